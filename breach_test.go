package provision_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/provisiontest"
)

// What an interrupted Unsuspend left to do is done by the next verb that means
// it, or given up by one that means the opposite.
func TestLiftingIsFinished(t *testing.T) {
	boom := errors.New("killed")
	for _, c := range []struct {
		verb      string
		do        func(*provision.Guest) error
		state     provision.State
		suspended bool
		autostart bool
	}{
		{"unsuspend", func(g *provision.Guest) error { return g.Unsuspend(t.Context(), "payment") }, provision.StateRunning, false, true},
		{"another reason", func(g *provision.Guest) error { return g.Unsuspend(t.Context(), "abuse") }, provision.StateRunning, false, true},
		{"start", func(g *provision.Guest) error { return g.Start(t.Context(), nil) }, provision.StateRunning, false, true},
		{"stop", func(g *provision.Guest) error { return second(g.Stop(t.Context(), nil)) }, provision.StateStopped, false, true},
		{"suspend", func(g *provision.Guest) error { return second(g.Suspend(t.Context(), "abuse", nil)) }, provision.StateStopped, true, false},
		{"autostart", func(g *provision.Guest) error {
			return errors.Join(g.SetAutostart(t.Context(), false), g.Unsuspend(t.Context(), "payment"))
		}, provision.StateRunning, false, false},
	} {
		t.Run(c.verb, func(t *testing.T) {
			r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
			g := r.create(with(small(), func(s *provision.Spec) { s.Autostart = true }))
			ctx := t.Context()
			require.NoError(t, g.Start(ctx, nil))
			require.NoError(t, second(g.Suspend(ctx, "payment", nil)))
			// As a kill after the first write: nothing can be done or undone.
			r.faults.After("record", "", boom)
			require.ErrorIs(t, g.Unsuspend(ctx, "payment"), boom)
			st, err := g.Status(ctx)
			require.NoError(t, err)
			require.Empty(t, st.Suspended)
			require.False(t, st.Autostart)
			require.Contains(t, st.Reason, "its unsuspend is not finished")

			require.NoError(t, c.do(g))
			st, err = g.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, c.state, st.State)
			require.Equal(t, c.suspended, len(st.Suspended) > 0)
			require.Equal(t, c.autostart, st.Autostart)
			require.NotContains(t, st.Reason, "unsuspend")
			if c.suspended {
				require.NoError(t, g.Unsuspend(ctx, "abuse"))
				st, err = g.Status(ctx)
				require.NoError(t, err)
				require.Equal(t, provision.StateRunning, st.State, "as it would have been")
				require.True(t, st.Autostart)
			}
		})
	}
}

// A suspended guest that is on, or will be with its host, is told of; while its
// Suspend waits for it, it is not somebody else's doing.
func TestBreachOfASuspension(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	g := r.running()
	boom := errors.New("killed")
	r.faults.Before("kill", "", boom)
	_, err := g.Suspend(ctx, "payment", &provision.StopOptions{Force: true})
	require.ErrorIs(t, err, boom)
	reason := func() string {
		t.Helper()
		st, err := g.Status(ctx)
		require.NoError(t, err)
		return st.Reason
	}
	require.Contains(t, reason(), "its suspend is not finished")
	require.NoError(t, second(g.Suspend(ctx, "payment", nil)))
	require.NotContains(t, reason(), "suspend")

	require.NoError(t, r.backend.ForceStart("web1"))
	require.Equal(t, "started by other means", reason())
	found := func() []provision.Finding {
		t.Helper()
		all, err := r.Check(ctx)
		require.NoError(t, err)
		var list []provision.Finding
		for _, f := range all {
			if f.Check == "suspended" {
				list = append(list, f)
			}
		}
		return list
	}
	require.Len(t, found(), 1)
	require.Equal(t, provision.SeverityError, found()[0].Severity)
	require.Contains(t, found()[0].Evidence, string(g.ID()))
	require.NoError(t, g.Pause(ctx))
	require.Contains(t, reason(), "started by other means", "a paused guest holds memory too")
	require.NoError(t, second(g.Suspend(ctx, "payment", nil)))
	require.Empty(t, found())

	require.NoError(t, r.backend.SetAutostart(ctx, g.ID(), true))
	require.Contains(t, reason(), "it starts with its host all the same")
	require.Len(t, found(), 1)
	require.NoError(t, second(g.Suspend(ctx, "payment", nil)))
	require.Empty(t, found())
}

// A guest whose Create was killed before its autostart was set gets it from the
// same Create; one that was switched off stays so.
func TestCreateFinishesAutostart(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	s := with(small(), func(s *provision.Spec) { s.Key, s.Autostart = "order-1", true })
	g := r.create(s)
	require.NoError(t, r.backend.SetAutostart(ctx, g.ID(), false)) // as if it had not come to it
	auto := func() bool {
		t.Helper()
		again, err := r.Create(ctx, s, nil)
		require.NoError(t, err)
		require.Equal(t, g.ID(), again.ID())
		st, err := again.Status(ctx)
		require.NoError(t, err)
		return st.Autostart
	}
	require.True(t, auto())
	require.NoError(t, g.SetAutostart(ctx, false))
	require.False(t, auto())
	require.NoError(t, g.SetAutostart(ctx, true))
	require.NoError(t, second(g.Suspend(ctx, "payment", nil)))
	require.False(t, auto())
}

// What is half-made does not start with its host, whatever fails.
func TestIncompleteHasNoAutostart(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	s := with(small(), func(s *provision.Spec) { s.Autostart = true })
	boom := errors.New("boom")
	r.faults.After("autostart", "", boom)
	r.faults.Before("undo", "", boom)
	_, err := r.Create(ctx, s, nil)
	require.ErrorIs(t, err, boom)
	idle := func() {
		t.Helper()
		g, err := r.Guest(ctx, "web1")
		require.NoError(t, err)
		st, err := g.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, provision.StateIncomplete, st.State)
		require.False(t, st.Autostart)
	}
	idle()
	g := r.create(s)
	r.faults.Before("delete", "disk 0", boom)
	require.ErrorIs(t, g.Delete(ctx, nil), boom)
	idle()
}

// The rules of orphans that hold on all backends: age, order and sizes.
func TestOrphansByAge(t *testing.T) {
	r := newRig(t, provisiontest.BackendOptions{}, provision.Options{})
	ctx := t.Context()
	s := small()
	s.Disks = []provision.Disk{{}, {Size: provision.GiB}}
	g := r.create(s)
	require.NoError(t, r.backend.Forget("web1"))
	leftover(with(small(), func(s *provision.Spec) { s.Name = "half" }))(r)
	list := func(o *provision.OrphanOptions) (kinds []provision.OrphanKind) {
		t.Helper()
		all, err := r.Orphans(ctx, o)
		require.NoError(t, err)
		for _, o := range all {
			kinds = append(kinds, o.Kind)
		}
		return kinds
	}
	seed := []provision.OrphanKind{provision.OrphanSeed}
	all := []provision.OrphanKind{provision.OrphanGuest, provision.OrphanSeed, provision.OrphanVolume, provision.OrphanVolume}
	require.Equal(t, seed, list(nil), "its age is not known")
	require.Equal(t, all, list(&provision.OrphanOptions{MinAge: -1}), "none is asked for")
	require.NoError(t, r.clock.Sleep(ctx, 9*time.Minute))
	require.Equal(t, seed, list(nil))
	require.Equal(t, all, list(&provision.OrphanOptions{MinAge: 8 * time.Minute}))
	found, err := r.Orphans(ctx, &provision.OrphanOptions{MinAge: time.Minute})
	require.NoError(t, err)
	err = r.RemoveOrphan(ctx, found[2], nil)
	require.ErrorIs(t, err, provision.ErrConflict, "it is too young for the default")
	require.ErrorContains(t, err, "was written to after")
	require.NoError(t, r.clock.Sleep(ctx, 2*time.Minute))
	require.Equal(t, all, list(nil))
	require.Equal(t, g.ID(), found[2].ID)
	for _, o := range found {
		require.NoError(t, r.RemoveOrphan(ctx, o, nil))
	}
	require.Empty(t, list(nil))
	_, err = r.Guest(ctx, "half")
	require.ErrorIs(t, err, provision.ErrNotFound)
}
