//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// A tenant takes all that the file system has: blocks, or inodes. He can be suspended,
// everybody else goes on, and what he has taken comes back when his guest is deleted.
func TestFileSystemFull(t *testing.T) {
	for name, fill := range map[string]string{
		"blocks": `for size in 1M 4k 1k; do dd if=/dev/zero of=/fill.$size bs=$size; sync; done
			i=0; while echo x >/small.$i; do i=$((i + 1)); done; sync`,
		"inodes": `i=0; while : >/file.$i; do i=$((i + 1)); done`,
	} {
		t.Run(name, func(t *testing.T) {
			path := fileSystem(t)
			h := lxcrig.Open(t, path)
			lxcrig.Import(t, h, lxcrig.Image, lxcrig.Tiny(t), "tar")
			greedy, err := h.Create(t.Context(), lxcrig.Spec("greedy"), nil)
			require.NoError(t, err)
			require.NoError(t, greedy.SetAutostart(t.Context(), true))
			other, err := h.Create(t.Context(), lxcrig.Spec("other"), nil)
			require.NoError(t, err)
			require.NoError(t, other.Start(t.Context(), nil))
			require.NoError(t, greedy.Start(t.Context(), nil))
			_, err = greedy.Exec(t.Context(), []string{"/bin/busybox", "sh", "-c", fill}, &provision.ExecOptions{})
			require.NoError(t, err)

			_, err = h.Create(t.Context(), lxcrig.Spec("new"), nil)
			require.ErrorIs(t, err, provision.ErrCapacity)
			_, err = h.Guest(t.Context(), "new")
			require.ErrorIs(t, err, provision.ErrNotFound, "nothing is left of it")

			_, err = greedy.Suspend(t.Context(), "payment", &provision.StopOptions{Grace: time.Second})
			require.NoError(t, err)
			st, err := greedy.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, provision.StateStopped, st.State)
			require.Equal(t, []string{"payment"}, st.Suspended)
			require.Error(t, lxcrig.StartOutside(t, path, "greedy"))
			st, err = other.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, provision.StateRunning, st.State)

			require.NoError(t, greedy.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
			fresh, err := h.Create(t.Context(), lxcrig.Spec("new"), nil)
			require.NoError(t, err)
			for _, g := range []*provision.Guest{other, fresh} {
				require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
			}
			require.NoError(t, h.RemoveImage(t.Context(), lxcrig.Image))
			spare, err := filepath.Glob(path + "/.provision/spare/*")
			require.NoError(t, err)
			require.Len(t, spare, 16)
			require.Equal(t, []string{"lost+found"}, lxcrig.Leftovers(t, path))
		})
	}
}

// fileSystem makes a small one, for containers.
func fileSystem(t *testing.T) string {
	t.Helper()
	dir := lxcrig.Machine(t)
	path := filepath.Join(dir, "small")
	require.NoError(t, os.Mkdir(path, 0o755))
	lxcrig.Run(t, "mkfs.ext4", "-q", "-N", "2048", path+".img", "64M")
	lxcrig.Run(t, "mount", "-o", "loop", path+".img", path)
	t.Cleanup(func() { lxcrig.Run(t, "umount", path) })
	return path
}
