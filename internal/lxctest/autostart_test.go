//go:build linux

package lxctest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// reboot does to a guest that is off what a restart of the host does.
func rebootHost(t *testing.T, path string, names ...string) {
	t.Helper()
	for _, name := range names {
		lxcrig.Run(t, "umount", filepath.Join(path, name, "rootfs"))
	}
}

func state(t *testing.T, g *provision.Guest) provision.State {
	t.Helper()
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	return st.State
}

// After a restart of the host, LXC alone starts the guests that are to start, with all
// that holds them, and no others.
func TestAutostart(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	make := func(name string, autostart bool) *provision.Guest {
		s := lxcrig.Spec(name)
		s.Autostart = autostart
		g, err := h.Create(t.Context(), s, nil)
		require.NoError(t, err)
		return g
	}
	up, off, later, sunk := make("up", true), make("off", false), make("later", false), make("sunk", true)
	require.NoError(t, later.SetAutostart(t.Context(), true))
	_, err := sunk.Suspend(t.Context(), "payment", nil)
	require.NoError(t, err)
	rebootHost(t, path, "up", "off", "later", "sunk")

	lxcrig.Run(t, "lxc-autostart", "-P", path)
	require.Equal(t, provision.StateRunning, state(t, up))
	require.Equal(t, provision.StateRunning, state(t, later))
	require.Equal(t, provision.StateStopped, state(t, off))
	require.Equal(t, provision.StateStopped, state(t, sunk))
	limit, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/memory", lxc.GroupsOf(path), string(up.ID()), "guest/memory.limit_in_bytes"))
	require.NoError(t, err)
	require.Equal(t, "67108864", strings.TrimSpace(string(limit)))
	require.Contains(t, lxcrig.Run(t, "nft", "list", "tables"), "provision_")
	root := lxcrig.Run(t, "lxc-attach", "-P", path, "-n", "up", "--clear-env", "--", "/bin/ls", "/sbin/init")
	require.Contains(t, root, "init")

	// Nobody starts the suspended one, and who tries is told why.
	require.Error(t, lxcrig.StartOutside(t, path, "sunk"))
	lxcrig.Run(t, "sed", "-i", "s/^lxc.start.auto = 0/lxc.start.auto = 1/", filepath.Join(path, "sunk/config"))
	_ = exec.Command("lxc-autostart", "-P", path).Run() // it fails, or not, by its version
	require.Equal(t, provision.StateStopped, state(t, sunk))
	said, err := os.ReadFile(filepath.Join(path, "sunk/hook.log"))
	require.NoError(t, err)
	require.Contains(t, string(said), "suspended")
	require.NoError(t, sunk.Unsuspend(t.Context(), "payment"))
	require.NoError(t, sunk.Start(t.Context(), nil))
	for _, g := range []*provision.Guest{up, off, later, sunk} {
		require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	}
	require.NotContains(t, strings.Join(lxcrig.Leftovers(t, path), "\n"), string(up.ID()))
}
