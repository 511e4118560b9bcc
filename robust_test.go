package provision_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// A customer who has paid and whose guest cannot be started is still suspended,
// and does not start with the host.
func TestUnsuspendThatCannotStart(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	g := r.create(with(small(), func(s *provision.Spec) { s.Autostart = true }))
	require.NoError(t, g.Start(ctx, nil))
	_, err := g.Suspend(ctx, "payment", nil)
	require.NoError(t, err)
	r.faults.Before("start", "", errors.New("cannot allocate memory"))
	require.ErrorContains(t, g.Unsuspend(ctx, "payment"), "cannot allocate memory")
	st, err := g.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"payment"}, st.Suspended)
	require.False(t, st.Autostart)
	require.ErrorIs(t, r.backend.StartOutside("web1"), provision.ErrSuspended)

	require.NoError(t, g.Unsuspend(ctx, "payment"))
	st, err = g.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	require.True(t, st.Autostart)
}

// The last write took effect, its answer was lost, and the undo stops half-way:
// the guest must not look whole.
func TestUndoMarksTheGuestAgain(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	s := with(small(), func(s *provision.Spec) { s.Key = "order-1" })
	r.faults.After("record", "", provision.ErrUnavailable)
	r.faults.Before("undo", "guest", errors.New("undefine refused"))
	_, err := r.Create(ctx, s, nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	g, err := r.Guest(ctx, "web1")
	require.NoError(t, err)
	require.Equal(t, provision.StateIncomplete, r.state(g))
	again, err := r.Create(ctx, s, nil)
	require.NoError(t, err)
	require.NotEqual(t, g.ID(), again.ID())
	require.NoError(t, again.Start(ctx, nil))
}

// Force does not wait for a guest that hangs in its shutdown.
func TestForcedStopOfAGuestThatHangs(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	r.backend.drift = func(st *provision.Status) { st.State = provision.StateStopping }
	result, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, provision.StopKilled, result)
}

// An image stays while a guest has it whose record cannot be used: one made by a
// newer version, a copy, or one that is damaged.
func TestImageOfAGuestThatIsNotManagedStays(t *testing.T) {
	for name, change := range map[string]func(provision.Record) provision.Record{
		"newer": func(r provision.Record) provision.Record {
			return bytes.Replace(r, []byte(`{"v":1,`), []byte(`{"v":2,`), 1)
		},
		"copy": func(r provision.Record) provision.Record {
			return bytes.Replace(r, []byte(`"id":"`), []byte(`"id":"x`), 1)
		},
		"damaged": func(provision.Record) provision.Record { return provision.Record("x") },
		"unknown phase": func(r provision.Record) provision.Record {
			return bytes.Replace(r, []byte(`"created"`), []byte(`"phase":"resizing","created"`), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
			ctx := t.Context()
			g := r.create(small())
			f, err := r.backend.Backend.Inspect(ctx, provision.Ref{ID: g.ID()})
			require.NoError(t, err)
			require.NoError(t, r.backend.SetRecord(ctx, g.ID(), change(f.Record)))
			st, err := g.Status(ctx)
			require.NoError(t, err)
			require.False(t, st.Managed)
			require.ErrorIs(t, g.Delete(ctx, &provision.DeleteOptions{Force: true}), provision.ErrState)
			require.ErrorIs(t, r.RemoveImage(ctx, "debian-12"), provision.ErrState)
		})
	}
}

func TestNegativeGrace(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	g := r.running()
	opts := &provision.StopOptions{Grace: -1}
	_, stop := g.Stop(t.Context(), opts)
	_, restart := g.Restart(t.Context(), opts)
	_, suspend := g.Suspend(t.Context(), "abuse", opts)
	for _, err := range []error{stop, restart, suspend} {
		require.ErrorIs(t, err, provision.ErrInvalid)
	}
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	require.Empty(t, st.Suspended)
}

// A lock directory that is removed, as at the end of a session, is made again,
// and who waits for a lock ends up with that of the new file.
func TestLockDirIsRemoved(t *testing.T) {
	dir := t.TempDir()
	locks := filepath.Join(dir, "locks")
	b := provisiontest.NewBackend(&provisiontest.BackendOptions{File: filepath.Join(dir, "machine")})
	require.NoError(t, b.AddImage("debian-12"))
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: locks})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	require.NoError(t, os.RemoveAll(locks))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = h.Create(ctx, small(), nil)
	require.NoError(t, err)
}
