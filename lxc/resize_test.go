//go:build linux

package lxc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// groupFile is a file of the group of a guest that has the limits.
func groupFile(path string, g *provision.Guest, controller, name string) string {
	return filepath.Join("/sys/fs/cgroup", controller, lxc.GroupsOf(path), string(g.ID()), "guest", name)
}

// What was changed, and what was lifted, holds also after the guest reboots itself,
// although liblxc's monitor still knows the old values.
func TestResizeAndReboot(t *testing.T) {
	path := lxcrig.Machine(t)
	s := lxcrig.Spec("a")
	s.CPU = provision.CPU{Count: 1, Limit: 0.5, Weight: 50}
	s.Memory.Swap = 64 * provision.MiB
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB, IOPS: 1000, BPS: 50 * provision.MiB}}
	s.Limits.Processes = 500
	s.NICs[0].Rate = provision.Rate{In: 10 * provision.Mbit, Out: 10 * provision.Mbit}
	_, g := running(t, path, s)

	s.CPU = provision.CPU{Count: 2, Weight: 200}
	s.Memory.Size, s.Memory.Swap = 128*provision.MiB, 0
	s.Disks[0].IOPS, s.Disks[0].BPS = 0, 20*provision.MiB
	s.Limits.Processes = 0
	s.NICs[0].Rate = provision.Rate{In: 20 * provision.Mbit}
	plan, err := g.Resize(t.Context(), s, nil)
	require.NoError(t, err)
	require.Equal(t, provision.ActionChange, plan.Action)
	holds := func(when string) {
		t.Helper()
		for _, l := range status(t, g).Limits {
			require.NotContains(t, l.Reason, "other means", "%s: %+v", when, l)
			require.NotContains(t, []string{"cpu.limit", "memory.swap", "disks[0].iops", "limits.processes", "nics[0].rate.out"}, l.Path, when)
		}
		require.Equal(t, "200", limit(t, g, "cpu.weight").Have, when)
		require.Equal(t, "20MiB", limit(t, g, "disks[0].bps").Have, when)
		require.Equal(t, "20Mbit", limit(t, g, "nics[0].rate.in").Have, when)
		require.Equal(t, 128*provision.MiB, status(t, g).Memory, when)
		require.Equal(t, "2\n", inside(t, path, "a", "nproc"), when)
	}
	holds("at once")

	console := filepath.Join(path, "a", "console.log")
	require.NoError(t, os.Truncate(console, 0))
	lxcrig.Run(t, "sh", "-c", "lxc-attach -P $1 -n a -- /bin/busybox reboot -f || :", "sh", path)
	becomes(t, func() bool {
		said, err := os.ReadFile(console)
		return err == nil && strings.Contains(string(said), "BOOTED-OK")
	})
	holds("after a reboot")
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

// A guest is not given less memory than it uses, and keeps what it had.
func TestResizeBelowUse(t *testing.T) {
	path := lxcrig.Machine(t)
	s := lxcrig.Spec("a")
	h, g := running(t, path, s)
	inside(t, path, "a", "mount -t tmpfs none /tmp && dd if=/dev/zero of=/tmp/fill bs=1M count=40")
	less := s
	less.Memory.Size = 32 * provision.MiB
	_, err := g.Resize(t.Context(), less, nil)
	require.ErrorIs(t, err, provision.ErrState)
	require.ErrorContains(t, err, "memory.size")
	plan, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, plan.Action, plan)
	inside(t, path, "a", "rm /tmp/fill")
	_, err = g.Resize(t.Context(), less, nil)
	require.NoError(t, err)
	require.Equal(t, 32*provision.MiB, status(t, g).Memory)
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

// Limits that somebody lifts by hand are not told as if they held.
func TestLimitsLiftedByHand(t *testing.T) {
	path := lxcrig.Machine(t)
	s := lxcrig.Spec("a")
	s.CPU.Limit = 0.5
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB, BPS: 10 * provision.MiB}}
	s.Limits.Processes = 100
	_, g := running(t, path, s)
	for _, l := range status(t, g).Limits {
		require.NotEqual(t, provision.NotEnforced, l.Enforcement, "%+v", l)
	}
	device := strings.TrimSpace(lxcrig.Run(t, "mountpoint", "-d", filepath.Join(path, "a", "rootfs")))
	for _, c := range []struct{ controller, file, value string }{
		{"memory", "memory.memsw.limit_in_bytes", "-1"}, {"memory", "memory.limit_in_bytes", "-1"},
		{"cpu", "cpu.cfs_quota_us", "-1"}, {"pids", "pids.max", "max"},
		{"blkio", "blkio.throttle.write_bps_device", device + " 0"},
	} {
		write(t, groupFile(path, g, c.controller, c.file), c.value)
	}
	for _, at := range []string{"memory.size", "cpu.limit", "limits.processes", "disks[0].bps"} {
		l := limit(t, g, at)
		require.Equal(t, provision.NotEnforced, l.Enforcement, "%+v", l)
		require.Contains(t, l.Reason, "other means", "%+v", l)
	}
	_, err := g.Restart(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	for _, l := range status(t, g).Limits {
		require.NotEqual(t, provision.NotEnforced, l.Enforcement, "%+v", l)
	}
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

// A root grows where it can, else with the next start; nothing else of it changes.
func TestResizeRoot(t *testing.T) {
	path := lxcrig.Machine(t)
	s := lxcrig.Spec("a")
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB, Inodes: 4096}}
	h, g := running(t, path, s)
	size := func() string {
		return strings.Fields(strings.Split(inside(t, path, "a", "df -k /"), "\n")[1])[1]
	}
	small := size()

	more := s
	more.Disks = []provision.Disk{{Size: 64 * provision.MiB, Inodes: 9999}}
	_, err := g.Resize(t.Context(), more, nil)
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, "disks[0].inodes")
	require.ErrorContains(t, err, "chosen when it is made")

	more.Disks = []provision.Disk{{Size: 256 * provision.MiB, Inodes: 4096}}
	plan, err := h.Plan(t.Context(), more)
	require.NoError(t, err)
	if plan.Changes[0].Impact == provision.ImpactRestart { // without CAP_SYS_RESOURCE
		require.Contains(t, plan.Changes[0].Reason, "CAP_SYS_RESOURCE")
		_, err = g.Resize(t.Context(), more, nil)
		require.ErrorIs(t, err, provision.ErrState)
		_, err = g.Resize(t.Context(), more, &provision.ResizeOptions{AtRestart: true})
		require.NoError(t, err)
		require.Equal(t, small, size())
		require.Contains(t, limit(t, g, "disks[0].size").Reason, "restart")
		_, err = g.Restart(t.Context(), &provision.StopOptions{Force: true})
	} else {
		_, err = g.Resize(t.Context(), more, nil)
	}
	require.NoError(t, err)
	require.NotEqual(t, small, size())
	require.Equal(t, 256*provision.MiB, status(t, g).Disks[0].Size)
	l := limit(t, g, "disks[0].inodes")
	require.Equal(t, provision.Partial, l.Enforcement, "%+v", l)

	s.Name = "b"
	s.Disks = nil
	_, g2 := running(t, path, s)
	s.Disks = more.Disks
	_, err = g2.Resize(t.Context(), s, nil)
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, "without a size of its own")
	for _, g := range []*provision.Guest{g, g2} {
		require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	}
}
