//go:build linux

package kvm_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// TestHazard02Outcome: the connection is lost after a change was asked for and
// before the answer. What can be asked is asked, on another connection.
func TestHazard02Outcome(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	b := newBackend(p.URI)
	h, err := provision.Open(ctx, b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	cut := func(proc uint32) {
		p.set(func() { p.cutAfter = proc })
		t.Cleanup(func() { p.set(func() { require.Zero(t, p.cutAfter, "procedure %d was not called", proc) }) })
	}
	cut(procFilterDefine)
	g, err := h.Create(ctx, tinySpec("filtered"), nil)
	require.NoError(t, err)
	defined := p.count(procFilterDefine)
	cut(procFilterRead)
	require.NoError(t, g.Start(ctx, nil), "to look at a filter changes nothing")
	require.Equal(t, defined, p.count(procFilterDefine), "what is there is not made")
	remove(t, g)
	cut(procDefine)
	g, err = h.Create(ctx, tinySpec("told-late"), nil)
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		proc uint32
		do   func() error
	}{
		{"record", procSetMetadata, func() error { return g.SetLabels(ctx, map[string]string{"a": "b"}) }},
		{"autostart", procSetAutostart, func() error { return g.SetAutostart(ctx, true) }},
		{"start", procCreate, func() error { return g.Start(ctx, nil) }},
		{"pause", procSuspend, func() error { return g.Pause(ctx) }},
		{"resume", procResume, func() error { return g.Resume(ctx) }},
		{"kill", procDestroy, func() error { _, err := g.Stop(ctx, &provision.StopOptions{Force: true}); return err }},
		{"volumes", procVolDelete, func() error { return g.Delete(ctx, nil) }},
	} {
		before := p.count(c.proc)
		cut(c.proc)
		require.NoError(t, c.do(), c.name)
		if c.proc != procVolDelete {
			require.Equal(t, before+1, p.count(c.proc), "%s is not done twice", c.name)
		}
	}
	g, err = h.Create(ctx, tinySpec("told-late"), nil)
	require.NoError(t, err)
	cut(procUndefine)
	require.NoError(t, g.Delete(ctx, nil))
	require.NotContains(t, leftovers(t, rig), "domain told-late")
	require.Zero(t, p.count(procFeature), "ConnectSupportsFeature starts a keepalive that nobody answers")
}

// TestHungGuest: QEMU is stopped, and many changes of it hang. Others are read,
// made, started, stopped and removed meanwhile.
func TestHungGuest(t *testing.T) {
	rig := startRig(t)
	const forever = 5 * time.Minute
	b := kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: forever})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	hung := bootedGuest(t, h, tinySpec("hung"))
	other, err := h.Create(t.Context(), tinySpec("other"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, other) })
	pid, err := rig.GuestPID("hung")
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })

	// Without the locks of Host, which let one change of a guest through: it is
	// as if many programs had tried.
	jobs, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answers atomic.Int64
	done := make(chan error)
	const many = 50
	for range many {
		go func() {
			err := b.Pause(jobs, hung.ID())
			answers.Add(1)
			done <- err
		}()
	}
	time.Sleep(500 * time.Millisecond) // the first of them are with libvirtd

	ctx, stop := context.WithTimeout(t.Context(), time.Minute) // far from five minutes
	defer stop()
	for range 20 {
		st, err := other.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, provision.StateStopped, st.State)
		n := 0
		for _, err := range h.Guests(ctx, nil) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 2, n)
	}
	st, err := hung.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State, "as far as libvirt knows")
	require.NoError(t, other.Start(ctx, nil))
	_, err = other.Stop(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, other.Delete(ctx, nil))
	third, err := h.Create(ctx, tinySpec("third"), nil)
	require.NoError(t, err)
	require.NoError(t, third.Delete(ctx, nil))
	require.Zero(t, answers.Load(), "the changes hang all the while")

	cancel()
	unknown := 0
	for range many {
		err := <-done
		require.ErrorIs(t, err, context.Canceled)
		if isUnknown(err) {
			unknown++
		} else {
			require.ErrorContains(t, err, "nothing was sent")
		}
	}
	require.Positive(t, unknown, "of those that were sent nobody knows")
	require.Less(t, unknown, many)
}

func isUnknown(err error) bool { return errors.Is(err, provision.ErrOutcomeUnknown) }

// TestOutcomeUnknown: a change that does not happen in time is not known to have
// failed, and happens later.
func TestOutcomeUnknown(t *testing.T) {
	rig := startRig(t)
	slow := openHost(t, rig.URI, nil)
	g := bootedGuest(t, slow, tinySpec("late"))
	b := kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: 500 * time.Millisecond})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	pid, err := rig.GuestPID("late")
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	hasty, err := h.Guest(t.Context(), "late")
	require.NoError(t, err)
	err = hasty.Pause(t.Context())
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.ErrorIs(t, err, provision.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "asked again")
	_, err = g.Wait(t.Context(), provision.UntilState(provision.StatePaused))
	require.NoError(t, err, "it happened after all")

	require.NoError(t, rig.Freeze())
	_, err = hasty.Status(t.Context())
	require.NoError(t, rig.Thaw())
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.NotErrorIs(t, err, provision.ErrOutcomeUnknown, "a question changes nothing")
	require.NoError(t, g.Resume(t.Context()))
}

// TestHazard14OldConnections: connections that were put aside for long are asked
// for the version before they are used, and those that hang are left.
func TestHazard14OldConnections(t *testing.T) {
	rig, _ := testrig.Start(t)
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	b := newBackend(p.URI)
	h := openWith(t, b)
	look := func() {
		t.Helper()
		_, err := h.Guest(t.Context(), "nobody")
		require.ErrorIs(t, err, provision.ErrNotFound)
	}
	look()
	before := p.count(procLibVersion)
	look()
	require.Equal(t, before, p.count(procLibVersion), "a connection that was just used is not asked")
	b.AgeConnections()
	look()
	require.Equal(t, before+1, p.count(procLibVersion))
	p.stick()
	b.AgeConnections()
	look()
	require.Zero(t, p.count(procFeature), "that would start a keepalive that the RPC library does not answer")
}
