//go:build linux

package lxctest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// A monitor process that does not answer keeps nobody waiting for longer than the
// Timeout, no other guest at all, and its guest can be killed and removed.
func TestMonitorStopped(t *testing.T) {
	path := lxcrig.Machine(t)
	const timeout = 300 * time.Millisecond
	b := lxc.New(&lxc.Options{LXCPath: path, IDDir: path + "/.provision/ids", Timeout: timeout})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: filepath.Join(path, ".locks")})
	require.NoError(t, err)
	hung, err := h.Create(t.Context(), lxcrig.Spec("hung"), nil)
	require.NoError(t, err)
	well, err := h.Create(t.Context(), lxcrig.Spec("well"), nil)
	require.NoError(t, err)
	require.NoError(t, hung.Start(t.Context(), nil))
	require.NoError(t, well.Start(t.Context(), nil))
	pid := monitorOf(t, path, hung.ID())
	lxcrig.Run(t, "kill", "-STOP", pid)

	before := goleak.IgnoreCurrent()
	require.Equal(t, provision.StateRunning, state(t, hung), "it is: the kernel says so")
	require.ErrorIs(t, b.Stop(t.Context(), hung.ID(), provision.Shutdown), provision.ErrUnavailable)
	short, cancel := context.WithTimeout(t.Context(), timeout/3)
	defer cancel()
	require.ErrorIs(t, b.Stop(short, hung.ID(), provision.Shutdown), context.DeadlineExceeded)
	require.NoError(t, goleak.Find(before), "the calls of liblxc have ended")

	slow := make(chan error, 1)
	go func() { slow <- b.Stop(t.Context(), hung.ID(), provision.Shutdown) }()
	_, err = well.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, provision.StateStopped, state(t, well))
	require.ErrorIs(t, <-slow, provision.ErrUnavailable)

	_, err = hung.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, provision.StateStopped, state(t, hung))
	require.NoError(t, hung.Start(t.Context(), nil))
	lxcrig.Run(t, "kill", "-STOP", monitorOf(t, path, hung.ID()))
	require.NoError(t, hung.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	require.NoError(t, well.Delete(t.Context(), nil))
	require.NoError(t, h.Close())
}

// A guest that reboots itself is on all the while, as far as is told, and has its
// limits afterwards; one whose monitor was killed is told as what it is, and can be
// started again.
func TestRebootAndKilledMonitor(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("reboot"), nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	group := filepath.Join("/sys/fs/cgroup/freezer", lxc.GroupsOf(path), string(g.ID()), "guest/ns/cgroup.procs")
	first := func() string {
		text, err := os.ReadFile(group)
		if err != nil {
			return ""
		}
		pid, _, _ := strings.Cut(string(text), "\n")
		return pid
	}
	was := first()
	require.NotEmpty(t, was)
	lxcrig.Run(t, "sh", "-c", `lxc-attach -P "$1" -n reboot --clear-env -- /bin/busybox reboot -f || :`, "sh", path)
	require.Eventually(t, func() bool {
		st := state(t, g)
		require.NotEqual(t, provision.StateUnknown, st)
		now := first()
		return st == provision.StateRunning && now != "" && now != was
	}, 20*time.Second, 10*time.Millisecond)
	limit, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/memory", lxc.GroupsOf(path), string(g.ID()), "guest/memory.limit_in_bytes"))
	require.NoError(t, err)
	require.Equal(t, "67108864", strings.TrimSpace(string(limit)))

	lxcrig.Run(t, "kill", "-9", monitorOf(t, path, g.ID()))
	require.Eventually(t, func() bool {
		st, err := g.Status(t.Context())
		require.NoError(t, err)
		if st.State == provision.StateStopping {
			require.Contains(t, st.Reason, "monitor process is gone")
		}
		return st.State == provision.StateStopped // the kernel kills the first process with it: lxc.monitor.signal.pdeath
	}, 5*time.Second, time.Millisecond)
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	require.Equal(t, provision.StateRunning, state(t, g))
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}
