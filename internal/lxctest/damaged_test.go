//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// A file of one guest that cannot be read is that guest's trouble only.
func TestDamagedFiles(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	bad, err := h.Create(t.Context(), lxcrig.Spec("bad"), nil)
	require.NoError(t, err)
	good, err := h.Create(t.Context(), lxcrig.Spec("good"), nil)
	require.NoError(t, err)
	for _, c := range []struct {
		file, content string
		state         provision.State
		managed       bool
		start         error // nil: of no kind that a program could do something about
	}{
		{"guest.json", "", provision.StateUnknown, true, nil},
		{"guest.json", "{}", provision.StateUnknown, true, nil},
		{"guest.json", "fifo", provision.StateUnknown, true, nil},
		{"record", "{", provision.StateStopped, false, provision.ErrState},
		{"record", "fifo", provision.StateUnknown, false, provision.ErrState},
		{"config", "x", provision.StateUnknown, true, provision.ErrState},
		{"config", "", provision.StateStopped, true, provision.ErrConflict}, // liblxc would run the host's own root
	} {
		t.Run(c.file+" "+c.content, func(t *testing.T) {
			file := filepath.Join(path, "bad", c.file)
			was, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.Remove(file))
			if c.content == "fifo" {
				lxcrig.Run(t, "mkfifo", file)
			} else {
				require.NoError(t, os.WriteFile(file, []byte(c.content), 0o600))
			}
			fresh := lxcrig.Open(t, path) // that has seen neither
			all := map[provision.ID]provision.Status{}
			for st, err := range fresh.Guests(t.Context(), nil) {
				require.NoError(t, err)
				all[st.ID] = st
			}
			require.Len(t, all, 2)
			require.Equal(t, c.state, all[bad.ID()].State)
			require.Equal(t, c.managed, all[bad.ID()].Managed)
			err = bad.Start(t.Context(), nil)
			require.Error(t, err)
			if c.start != nil {
				require.ErrorIs(t, err, c.start)
			}

			g, err := fresh.GuestByID(t.Context(), good.ID())
			require.NoError(t, err)
			_, err = g.Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.WriteFile(file, was, 0o600))
		})
	}
	for _, g := range []*provision.Guest{bad, good} {
		require.NoError(t, g.Start(t.Context(), nil))
		require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	}
	require.Equal(t, []string{".provision/images/tiny"}, lxcrig.Leftovers(t, path))
}

// What somebody takes out of the configuration by hand stays out, unless nothing would
// confine the guest then.
func TestConfigurationConfines(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("hand"), nil)
	require.NoError(t, err)
	file := filepath.Join(path, "hand/config")
	was, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, key := range []string{"lxc.idmap", "lxc.rootfs.path", "lxc.hook.pre-start", "lxc.cgroup.dir.container", "lxc.net.0.type"} {
		require.NoError(t, os.WriteFile(file, append(was, key+" =\n"...), 0o600))
		require.ErrorIs(t, g.Start(t.Context(), nil), provision.ErrConflict, key)
	}
	require.NoError(t, os.WriteFile(file, append(was, "lxc.net.0.type = none\n"...), 0o600))
	require.ErrorIs(t, g.Start(t.Context(), nil), provision.ErrConflict)
	require.NoError(t, os.WriteFile(file, append(was, "lxc.tty.max = 3\n"...), 0o600))
	require.NoError(t, g.Start(t.Context(), nil))
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}
