//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

func orphansOf(t *testing.T, h *provision.Host) map[string]provision.Orphan {
	t.Helper()
	list, err := h.Orphans(t.Context(), &provision.OrphanOptions{MinAge: -1})
	require.NoError(t, err)
	found := map[string]provision.Orphan{}
	for _, o := range list {
		require.NotEmpty(t, o.Evidence)
		found[string(o.Kind)+" "+o.Name] = o
	}
	return found
}

// Everything that can be left of guests and images is found and removed, and nothing
// that runs, or may be another's, is touched.
func TestOrphans(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	before := lxcrig.Leftovers(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("lost"), nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	for _, file := range []string{"config", "guest.json", "record"} {
		require.NoError(t, os.Remove(filepath.Join(path, "lost", file)))
	}
	others := orphansOf(t, h) // of other tests of this program
	for name, o := range others {
		require.NotEqual(t, g.ID(), o.ID, "%s: its processes run", name)
	}
	lxcrig.Run(t, "sh", "-c", `find "$@" -name cgroup.procs -exec cat {} + | sort -u | xargs kill -9 || :`, "sh",
		filepath.Join("/sys/fs/cgroup/freezer", lxc.GroupsOf(path), string(g.ID())))

	const gone = "0f0e0d0c-6f0a-4d0e-9a53-0d9c6c2f7a11" // a guest that never was
	groups := filepath.Join(lxc.GroupsOf(path), gone)
	require.NoError(t, os.MkdirAll(filepath.Join("/sys/fs/cgroup/pids", groups, "guest/ns"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(path, ".provision/new", gone, "upper"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(path, ".provision/images/torn/tree"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(path, "nobodys"), 0o755))
	lxcrig.Run(t, "nft", "add", "table", "netdev", hostnet.Table(gone))
	queue := "pi" + hostnet.Device(gone, 0)[2:]
	lxcrig.Run(t, "ip", "link", "add", queue, "type", "bridge")
	const other = "0f0e0d0c-6f0a-4d0e-9a53-0d9c6c2f7a12" // one of another LXCPATH, which runs
	lxcrig.Run(t, "nft", "add", "table", "netdev", hostnet.Table(other))
	lxcrig.Run(t, "ip", "link", "add", hostnet.Device(other, 0), "type", "bridge")
	defer lxcrig.Run(t, "ip", "link", "delete", hostnet.Device(other, 0))
	defer lxcrig.Run(t, "nft", "delete", "table", "netdev", hostnet.Table(other))

	var found map[string]provision.Orphan
	want := []string{"cgroup " + groups, "event events/" + string(g.ID()), "image " + filepath.Join(path, ".provision/images/torn"),
		"network table netdev " + hostnet.Table(gone), "network device " + queue,
		"network table netdev " + hostnet.Table(string(g.ID())), // its card goes a moment after its processes
		"volume lost", "volume new/" + gone}
	require.Eventually(t, func() bool { // the kernel takes a moment to end processes
		found = orphansOf(t, h)
		return !slices.ContainsFunc(want, func(name string) bool { return found[name].Kind == "" })
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, g.ID(), found["volume lost"].ID)
	require.NotContains(t, found, "network table netdev "+hostnet.Table(other))
	require.NotContains(t, found, "volume nobodys")
	young := found["volume new/"+gone]
	require.ErrorIs(t, h.RemoveOrphan(t.Context(), young, nil), provision.ErrConflict)
	busy, err := os.Open(filepath.Join(path, "lost/rootfs/bin"))
	require.NoError(t, err)
	all := &provision.OrphanOptions{MinAge: -1}
	require.ErrorIs(t, h.RemoveOrphan(t.Context(), found["volume lost"], all), provision.ErrBusy)
	require.NoError(t, busy.Close())
	for name, o := range found {
		if _, theirs := others[name]; theirs {
			continue
		}
		require.NoError(t, h.RemoveOrphan(t.Context(), o, all), name)
		require.ErrorIs(t, h.RemoveOrphan(t.Context(), o, all), provision.ErrConflict, name)
	}
	require.Equal(t, others, orphansOf(t, h))
	require.NoError(t, os.Remove(filepath.Join(path, "nobodys")))
	after := slices.DeleteFunc(lxcrig.Leftovers(t, path), func(s string) bool {
		return s == "table netdev "+hostnet.Table(other) || filepath.Base(s) == hostnet.Device(other, 0)
	})
	require.Equal(t, before, after)
}
