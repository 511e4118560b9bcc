//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// Two directories for containers on one machine, with so few blocks of ids that both
// begin to look at the same ones.
func TestBlocksOfTwoPaths(t *testing.T) {
	ids := filepath.Join(t.TempDir(), "ids")
	var hosts []*provision.Host
	for range 2 {
		path := lxcrig.Machine(t)
		h, err := provision.Open(t.Context(), lxc.New(&lxc.Options{LXCPath: path, IDDir: ids, IDs: lxc.IDRange{First: 0x70000000, Blocks: 2}}),
			&provision.Options{LockDir: filepath.Join(path, ".locks")})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		hosts = append(hosts, h)
	}
	spec := lxcrig.Spec("one")
	one, err := hosts[0].Create(t.Context(), spec, nil)
	require.NoError(t, err)
	two, err := hosts[1].Create(t.Context(), spec, nil)
	require.NoError(t, err)
	claims := readLinks(t, ids)
	require.Len(t, claims, 2, "each has its own")
	spec.Name = "three"
	_, err = hosts[1].Create(t.Context(), spec, nil)
	require.ErrorIs(t, err, provision.ErrCapacity)

	for _, h := range hosts {
		orphans, err := h.Orphans(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, orphans, "the blocks of another path are no orphans")
	}

	// The claim of the first got lost, and another guest has its block.
	for link, owner := range claims {
		if filepath.Base(owner) == string(one.ID()) {
			require.NoError(t, os.Remove(link))
		}
	}
	three, err := hosts[1].Create(t.Context(), spec, nil)
	require.NoError(t, err)
	require.ErrorIs(t, one.Start(t.Context(), nil), provision.ErrConflict)

	// It must not give away what is another's.
	require.NoError(t, one.Delete(t.Context(), nil))
	require.Len(t, readLinks(t, ids), 2)
	for _, g := range []*provision.Guest{two, three} {
		require.NoError(t, g.Start(t.Context(), nil))
		require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	}
	require.Empty(t, readLinks(t, ids))
}

func readLinks(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	links := map[string]string{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		owner, err := os.Readlink(path)
		require.NoError(t, err)
		links[path] = owner
	}
	return links
}
