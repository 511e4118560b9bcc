//go:build linux

package lxctest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// TestHungMonitor: a monitor process that does not answer costs nobody more than the
// time that a call of liblxc has, and its guest can be stopped all the same.
func TestHungMonitor(t *testing.T) {
	const patience = 500 * time.Millisecond
	m := newMachine(t)
	before := m.leftovers()
	m.reopen(lxc.Options{Timeout: patience})
	idle := holds(t)
	hung := m.start(lxcrig.Spec("hung"))
	m.says(hung, "BOOTED-OK")
	other := m.start(lxcrig.Spec("other"))
	monitor := m.monitor(hung)
	require.NoError(t, unix.Kill(monitor, unix.SIGSTOP))
	m.eventually("it is stopped", func() bool {
		var state string
		_, err := fmt.Sscanf(m.read(fmt.Sprintf("/proc/%d/stat", monitor)), fmt.Sprint(monitor)+" (lxc-start) %s", &state)
		return err != nil || state == "T"
	})

	within := func(what string, most time.Duration, do func(context.Context) error) {
		t.Helper()
		start := time.Now()
		err := do(t.Context())
		t.Logf("%s: %v, %v", what, time.Since(start).Round(time.Millisecond), err)
		require.Less(t, time.Since(start), most+4*time.Second, "%s; the machine may be busy", what)
	}
	require.Equal(t, provision.StateRunning, m.state(hung))
	within("pause", patience, func(ctx context.Context) error {
		err := hung.Pause(ctx)
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.Equal(t, provision.StateRunning, m.state(hung), "it is not paused after an error")
		return err
	})
	within("exec", patience, func(ctx context.Context) error {
		_, err := hung.Exec(ctx, []string{"/bin/true"}, nil)
		require.ErrorIs(t, err, provision.ErrUnavailable, "lxc-attach would wait for ever")
		return err
	})
	within("resume", patience, func(ctx context.Context) error { return hung.Resume(ctx) })
	within("shut down, with a deadline", patience, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience/2)
		defer cancel()
		_, err := hung.Stop(ctx, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		return err
	})
	within("list", 0, func(ctx context.Context) error {
		n := 0
		for _, err := range m.Guests(ctx, nil) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 2, n)
		return nil
	})
	within("another guest is stopped and started", 0, func(ctx context.Context) error {
		_, err := other.Stop(ctx, &provision.StopOptions{Force: true})
		require.NoError(t, err)
		return other.Start(ctx, nil)
	})
	within("stop by force", patience, func(ctx context.Context) error {
		_, err := hung.Stop(ctx, &provision.StopOptions{Force: true})
		require.NoError(t, err)
		return nil
	})
	require.Equal(t, provision.StateStopped, m.state(hung))
	m.eventually("its monitor has ended", func() bool { return ended(monitor) })
	require.NoError(t, hung.Start(t.Context(), nil))
	require.Equal(t, provision.StateRunning, m.state(hung))
	m.clean(before)
	sameAs(t, idle)
}
