//go:build linux

package lxc_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// What is wrong with one directory is told of that one, and keeps nobody from the
// others.
func TestOthersBroken(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	well, err := h.Create(t.Context(), lxcrig.Spec("well"), nil)
	require.NoError(t, err)
	hurt, err := h.Create(t.Context(), lxcrig.Spec("hurt"), nil)
	require.NoError(t, err)

	for name, text := range map[string]string{"crooked": "lxc.uts.name = a\nno setting\n", "empty": ""} {
		require.NoError(t, os.Mkdir(filepath.Join(path, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(path, name, "config"), []byte(text), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(path, "linked"), 0o700))
	require.NoError(t, os.Symlink("../empty/config", filepath.Join(path, "linked/config")))
	seen := map[string]provision.Status{}
	for st, err := range h.Guests(t.Context(), nil) {
		require.NoError(t, err)
		seen[st.Name] = st
	}
	require.Len(t, seen, 5)
	require.Equal(t, provision.StateStopped, seen["empty"].State)
	require.Contains(t, seen["crooked"].Reason, "line 2 is no key with a value")
	require.Contains(t, seen["linked"].Reason, "too many levels of symbolic links")

	whole := filepath.Join(path, "hurt/guest.json")
	text, err := os.ReadFile(whole)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(whole, text[:len(text)/2], 0o600))
	other := lxcrig.Open(t, path) // has no guest in mind
	g, err := other.GuestByID(t.Context(), well.ID())
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	_, err = other.GuestByID(t.Context(), hurt.ID())
	require.ErrorContains(t, err, whole)
	require.NotErrorIs(t, err, provision.ErrNotFound)
	require.NoError(t, os.WriteFile(whole, text, 0o600))
	require.NoError(t, hurt.Delete(t.Context(), nil))
}

// The ids of a guest are nobody else's while there are files that have them.
func TestIDsOutliveConfiguration(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("bare"), nil)
	require.NoError(t, err)
	links, err := filepath.Glob(filepath.Join(path, ".provision/ids/*"))
	require.NoError(t, err)
	require.Len(t, links, 1)
	config := filepath.Join(path, "bare/config")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.Remove(config))

	b := lxcrig.New(path)
	_, err = b.Probe(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Delete(t.Context(), g.ID(), nil))
	owner, err := os.Readlink(links[0])
	require.NoError(t, err)
	require.Equal(t, string(g.ID()), filepath.Base(owner))
	require.NoError(t, b.Close())

	require.NoError(t, os.WriteFile(config, text, 0o600))
	require.NoError(t, g.Delete(t.Context(), nil))
	require.NoFileExists(t, links[0])
}
