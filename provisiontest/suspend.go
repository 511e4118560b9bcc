package provisiontest

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func suspendCases() []testCase {
	return []testCase{
		rule("reasons", "reasons are a set: the guest stays suspended until the last is lifted, and lifting an unknown one does nothing", (*env).reasons),
		rule("restored", "lifting the last reason restores power and autostart as they were", (*env).restored),
		rule("survives", "suspension holds on a Host that is opened later", (*env).suspensionSurvives),
		rule("autostart", "SetAutostart on a suspended guest takes effect when the suspension ends", (*env).suspendedAutostart),
		rule("bad-reason", "a reason that is no word is refused, with the field named", (*env).badReasons),
		rule("interrupted-suspend", "a Suspend that failed anywhere is finished by repeating it", (*env).interruptedSuspend),
		rule("interrupted-unsuspend", "an Unsuspend that failed anywhere is finished by repeating it", (*env).interruptedUnsuspend),
	}
}

func (e *env) suspend(g *provision.Guest, reason string) {
	e.t.Helper()
	_, err := g.Suspend(e.ctx, reason, &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
}

func (e *env) reasons() {
	g := e.create("a")
	e.suspend(g, "payment")
	e.suspend(g, "abuse")
	e.suspend(g, "payment")
	require.Equal(e.t, []string{"abuse", "payment"}, e.status(g).Suspended)
	require.Equal(e.t, []string{"abuse", "payment"}, e.listed(g).Suspended)
	require.NoError(e.t, g.Unsuspend(e.ctx, "bandwidth"))
	require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
	require.Equal(e.t, []string{"abuse"}, e.status(g).Suspended)
	require.ErrorIs(e.t, g.Start(e.ctx, nil), provision.ErrSuspended)
	require.NoError(e.t, g.Unsuspend(e.ctx, "abuse"))
	require.Empty(e.t, e.status(g).Suspended)
	require.NoError(e.t, g.Start(e.ctx, nil))
}

func (e *env) restored() {
	for _, running := range []bool{false, true} {
		g := e.make(e.keyed(fmt.Sprintf("running-%v", running)))
		want := provision.StateStopped
		if running {
			want = provision.StateRunning
			require.NoError(e.t, g.Start(e.ctx, nil))
		}
		before := e.status(g)
		e.suspend(g, "payment")
		e.suspend(g, "abuse")
		e.state(g, provision.StateStopped)
		require.False(e.t, e.status(g).Autostart, "autostart while suspended")
		require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
		e.state(g, provision.StateStopped)
		require.NoError(e.t, g.Unsuspend(e.ctx, "abuse"))
		e.state(g, want)
		require.Equal(e.t, before.Autostart, e.status(g).Autostart)
	}
}

func (e *env) suspensionSurvives() {
	g := e.create("a")
	e.suspend(g, "payment")
	same, err := e.open(nil).Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	require.ErrorIs(e.t, same.Start(e.ctx, nil), provision.ErrSuspended)
	_, err = same.Restart(e.ctx, nil)
	require.ErrorIs(e.t, err, provision.ErrSuspended)
	require.NoError(e.t, same.Unsuspend(e.ctx, "payment"))
	require.NoError(e.t, g.Start(e.ctx, nil))
}

func (e *env) suspendedAutostart() {
	g := e.create("a")
	e.suspend(g, "payment")
	if !e.declared(provision.FeatureAutostart, func() error { return g.SetAutostart(e.ctx, true) }) {
		return
	}
	require.NoError(e.t, g.SetAutostart(e.ctx, true))
	require.False(e.t, e.status(g).Autostart, "while suspended")
	require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
	require.True(e.t, e.status(g).Autostart, "afterwards")
}

func (e *env) badReasons() {
	g := e.create("a")
	for _, reason := range []string{"", "Payment", "a b", "x\n", "-x"} {
		_, err := g.Suspend(e.ctx, reason, nil)
		e.refused(err, "reason")
		e.refused(g.Unsuspend(e.ctx, reason), "reason")
	}
	require.Empty(e.t, e.status(g).Suspended)
}

func (e *env) interruptedSuspend() {
	g := e.make(e.keyed("a"))
	autostart := e.status(g).Autostart
	suspend := func(g *provision.Guest) error {
		_, err := g.Suspend(e.ctx, "payment", &provision.StopOptions{Force: true})
		return err
	}
	e.interrupted(g, suspend, func() { require.NoError(e.t, g.Unsuspend(e.ctx, "payment")) }, func(e *env) {
		require.Equal(e.t, "suspended", e.observe(g))
		require.ErrorIs(e.t, g.Start(e.ctx, nil), provision.ErrSuspended)
		require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
		e.state(g, provision.StateRunning)
		require.Equal(e.t, autostart, e.status(g).Autostart)
	})
}

func (e *env) interruptedUnsuspend() {
	g := e.make(e.keyed("a"))
	autostart := e.status(g).Autostart
	unsuspend := func(g *provision.Guest) error { return g.Unsuspend(e.ctx, "payment") }
	e.interrupted(g, unsuspend, func() { e.suspend(g, "payment") }, func(e *env) {
		require.Equal(e.t, "running", e.observe(g))
		st := e.status(g)
		require.Empty(e.t, st.Suspended)
		require.Equal(e.t, autostart, st.Autostart)
	})
}

// interrupted fails a verb at each of its calls, before and after, on a guest
// that runs and was prepared, and repeats it. The calls are learned from a first
// run without faults.
func (e *env) interrupted(g *provision.Guest, do func(*provision.Guest) error, prepare func(), check func(*env)) {
	again := func(f *Faults) *provision.Guest {
		same, err := e.open(f.Around).Guest(e.ctx, g.Name())
		require.NoError(e.t, err)
		return same
	}
	ready := func() {
		require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
		require.NoError(e.t, g.Start(e.ctx, nil))
		prepare()
	}
	ready()
	learn := NewFaults()
	require.NoError(e.t, do(again(learn)))
	check(e)
	for _, p := range points(learn.Calls(), nil) {
		if p.Op == "probe" {
			continue
		}
		e.sub(p.String(), func(e *env) {
			ready()
			f := NewFaults()
			same := again(f)
			p.fail(f, errInjected)
			require.ErrorIs(e.t, do(same), errInjected)
			require.Empty(e.t, f.Pending())
			require.NoError(e.t, do(same), "repeated")
			check(e)
		})
	}
}
