//go:build linux

package kvm_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/kvm"
)

// TestDaemon takes libvirtd away in all the ways that happen.
func TestDaemon(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	g := bootedGuest(t, h, tinySpec("lasting"))
	before := leftovers(t, rig)

	t.Run("restart between calls is not noticed", func(t *testing.T) {
		_, err := g.Status(ctx)
		require.NoError(t, err)
		require.NoError(t, rig.Restart(ctx))
		st, err := g.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, provision.StateRunning, st.State, "guests outlive their daemon")
	})

	t.Run("killed in the middle of create", func(t *testing.T) {
		for _, step := range []string{"define", "root disk", "seed", "console log"} {
			killing := openHost(t, rig.URI, &provision.Options{Around: func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
				if c.Op == "create" && c.Step == step {
					require.NoError(t, rig.Kill())
				}
				return next(ctx)
			}})
			made, err := killing.Create(ctx, tinySpec("unlucky"), nil)
			if err == nil {
				// The connection was found to be lost before the step was asked
				// for, and its successor was waited for.
				require.NoError(t, made.Delete(ctx, nil), step)
			} else {
				require.ErrorIs(t, err, provision.ErrUnavailable, step)
			}
			require.NoError(t, rig.Restart(ctx))
			require.Equal(t, before, leftovers(t, rig), "all or nothing, after %s", step)
			require.NoError(t, killing.Close())
		}
		again, err := h.Create(ctx, tinySpec("unlucky"), nil)
		require.NoError(t, err)
		require.NoError(t, again.Delete(ctx, nil))
	})

	t.Run("killed in the middle of a list", func(t *testing.T) {
		require.NoError(t, rig.Kill())
		var last error
		require.Eventually(t, func() bool {
			n := 0
			for st, err := range h.Guests(ctx, nil) {
				last = err
				if err == nil && st.Name == "lasting" {
					n++
				}
			}
			require.True(t, n == 1 || errors.Is(last, provision.ErrUnavailable), "never a short list: %d guests, %v", n, last)
			return n == 1
		}, 10*time.Second, 20*time.Millisecond)
	})

	t.Run("killed in the middle of a wait", func(t *testing.T) {
		done := make(chan error, 1)
		waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		go func() {
			_, err := g.Wait(waiting, provision.UntilState(provision.StatePaused))
			done <- err
		}()
		require.NoError(t, rig.Restart(ctx))
		require.NoError(t, g.Pause(ctx))
		require.NoError(t, <-done, "a short absence is waited out")
		require.NoError(t, g.Resume(ctx))
	})
}

// TestFrozenDaemon stops libvirtd with SIGSTOP: it accepts connections and does
// not answer.
func TestFrozenDaemon(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	const timeout = 500 * time.Millisecond
	before := goleak.IgnoreCurrent()
	opts := &provision.Options{LockDir: filepath.Join(t.TempDir(), "lock"), UndoTimeout: timeout}
	h, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: timeout}), opts)
	require.NoError(t, err)
	g, err := h.Create(ctx, tinySpec("quiet"), nil)
	require.NoError(t, err)

	require.NoError(t, rig.Freeze())
	calls := map[string]func(context.Context) error{
		"status":  func(ctx context.Context) error { _, err := g.Status(ctx); return err },
		"start":   func(ctx context.Context) error { return g.Start(ctx, nil) },
		"stop":    func(ctx context.Context) error { _, err := g.Stop(ctx, nil); return err },
		"delete":  func(ctx context.Context) error { return g.Delete(ctx, nil) },
		"labels":  func(ctx context.Context) error { return g.SetLabels(ctx, map[string]string{"a": "b"}) },
		"look up": func(ctx context.Context) error { _, err := h.Guest(ctx, "quiet"); return err },
		"create":  func(ctx context.Context) error { _, err := h.Create(ctx, tinySpec("other"), nil); return err },
		"plan":    func(ctx context.Context) error { _, err := h.Plan(ctx, tinySpec("other")); return err },
		"images":  func(ctx context.Context) error { _, err := h.Images(ctx); return err },
		"check":   func(ctx context.Context) error { _, err := h.Check(ctx); return err },
		"list": func(ctx context.Context) error {
			for _, err := range h.Guests(ctx, nil) {
				return err
			}
			return nil
		},
		"open": func(ctx context.Context) error {
			h, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Timeout: timeout}), opts)
			if err == nil {
				err = h.Close()
			}
			return err
		},
	}
	for name, call := range calls {
		t.Run(name+" ends by the backend's timeout", func(t *testing.T) {
			within(t, 5*time.Second, func() { require.ErrorIs(t, call(ctx), provision.ErrUnavailable) })
		})
		t.Run(name+" ends with its context", func(t *testing.T) {
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			within(t, 5*time.Second, func() { require.ErrorIs(t, call(short), context.DeadlineExceeded) })
		})
	}
	within(t, 5*time.Second, func() { require.NoError(t, h.Close()) })
	goleak.VerifyNone(t, before)

	require.NoError(t, rig.Thaw())
	h = openHost(t, rig.URI, nil)
	g, err = h.Guest(ctx, "quiet")
	require.NoError(t, err, "what a frozen daemon was asked to do was not done to this guest")
	require.NoError(t, g.Delete(ctx, &provision.DeleteOptions{Force: true}))
}

// TestNoDaemon: a daemon that is down is not a host without guests.
func TestNoDaemon(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "libvirt-sock")
	_, err := provision.Open(t.Context(), newBackend("qemu+unix:///system?socket="+socket), nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.NotErrorIs(t, err, provision.ErrNotFound)
	require.ErrorContains(t, err, "is it running?")
}

// TestNativeErrors: what libvirt said stays reachable.
func TestNativeErrors(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	_, err := h.Guest(t.Context(), "nobody")
	require.ErrorIs(t, err, provision.ErrNotFound)
	var native libvirt.Error
	require.ErrorAs(t, err, &native)
	require.Equal(t, uint32(libvirt.ErrNoDomain), native.Code)

	s := tinySpec("nowhere")
	s.NICs[0].Bridge = "br-gone"
	before := leftovers(t, rig)
	_, err = h.Create(t.Context(), s, nil)
	var field *provision.FieldError
	require.ErrorAs(t, err, &field, "a bridge that is not there is said before anything is made")
	require.Equal(t, "nics[0].bridge", field.Path)
	require.Equal(t, before, leftovers(t, rig))
	_, err = rig.Inside(t.Context(), "ip", "link", "add", "br-gone", "type", "bridge")
	require.NoError(t, err)
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	_, err = rig.Inside(t.Context(), "ip", "link", "delete", "br-gone")
	require.NoError(t, err)
	err = g.Start(t.Context(), nil)
	require.ErrorAs(t, err, &native)
	require.ErrorAs(t, err, &field)
	require.Equal(t, "nics[0].bridge", field.Path)
	require.ErrorContains(t, err, "br-gone")
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateStopped, st.State)
}

// TestFrozenInTheMiddleOfCreate: libvirtd carries out later what it was asked
// to do, and what then appears has its mark.
func TestFrozenInTheMiddleOfCreate(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	before := leftovers(t, rig)
	for _, step := range []string{"define", "root disk", "seed", "console log"} {
		opts := &provision.Options{LockDir: t.TempDir(), UndoTimeout: 500 * time.Millisecond,
			Around: func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
				if c.Op == "create" && c.Step == step {
					require.NoError(t, rig.Freeze())
				}
				return next(ctx)
			}}
		h, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: 300 * time.Millisecond}), opts)
		require.NoError(t, err)
		within(t, 10*time.Second, func() {
			_, err = h.Create(ctx, tinySpec("half"), nil)
			require.ErrorIs(t, err, provision.ErrUnavailable, step)
		})
		require.NoError(t, rig.Thaw())
		require.NoError(t, h.Close())

		// A daemon with the calls of closed connections before it may close new ones.
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			h, err = provision.Open(ctx, kvmrig.New(rig.URI), &provision.Options{LockDir: t.TempDir()})
			if err == nil || time.Now().After(end) {
				break
			}
		}
		require.NoError(t, err)
		t.Cleanup(func() { _ = h.Close() })
		g, err := h.Guest(ctx, "half")
		if err == nil {
			st, err := g.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, provision.StateIncomplete, st.State, step)
			require.ErrorIs(t, g.Start(ctx, nil), provision.ErrState)
		} else {
			require.ErrorIs(t, err, provision.ErrNotFound, step)
		}
		again, err := h.Create(ctx, tinySpec("half"), nil)
		require.NoError(t, err, "a repeated create replaces what is left after %s", step)
		require.NoError(t, again.Delete(ctx, nil))
		require.Equal(t, before, leftovers(t, rig), step)
	}
}
