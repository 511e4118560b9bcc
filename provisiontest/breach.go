package provisiontest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func breachCases() []testCase {
	return []testCase{
		rule("started-by-others", "a suspended guest that was started by other means is seen in Status, Events and Check, and the same Suspend stops it", (*env).startedByOthers),
		rule("killed-suspend", "a process that is killed at any step of a Suspend leaves a guest that the same Suspend keeps off, and Unsuspend restores", (*env).suspendKilled),
		rule("killed-unsuspend", "a process that is killed at any step of an Unsuspend leaves a guest that is suspended and does not start with its host, or is restored by the same Unsuspend and stopped by another Suspend", (*env).unsuspendKilled),
	}
}

func (e *env) startedByOthers() {
	g := e.make(e.keyed("a"))
	autostart := e.status(g).Autostart
	e.suspend(g, "payment")
	require.Empty(e.t, e.breaches(g))
	events := e.watch(e.Host)
	e.until(events, "ready", func(ev provision.Event) bool { return ev.Type == provision.EventReady })
	if e.StartOutside != nil && e.StartOutside(e.t, e.machine, g.Name()) == nil {
		st := e.status(g)
		require.Equal(e.t, provision.StateRunning, st.State)
		require.Equal(e.t, []string{"payment"}, st.Suspended)
		require.Contains(e.t, st.Reason, "started by other means")
		require.Contains(e.t, e.listed(g).Reason, "started by other means")
		e.until(events, "that tells of it", func(ev provision.Event) bool {
			return ev.Type == provision.EventState && ev.ID == g.ID() && strings.Contains(ev.Reason, "although suspended: payment")
		})
		if e.Supports(provision.FeatureCheck) == nil {
			require.Len(e.t, e.breaches(g), 1)
		}
		require.ErrorIs(e.t, g.Start(e.ctx, nil), provision.ErrSuspended)
	}
	e.suspend(g, "payment")
	e.state(g, provision.StateStopped)
	require.NotContains(e.t, e.status(g).Reason, "suspend")
	require.Empty(e.t, e.breaches(g))
	require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
	e.state(g, provision.StateStopped)
	require.Equal(e.t, autostart, e.status(g).Autostart)
}

// breaches returns what Check finds of the suspension of a guest.
func (e *env) breaches(g *provision.Guest) []provision.Finding {
	e.t.Helper()
	if e.Supports(provision.FeatureCheck) != nil {
		return nil
	}
	all, err := e.Check(e.ctx)
	require.NoError(e.t, err)
	var list []provision.Finding
	for _, f := range all {
		if f.Check == "suspended" && strings.Contains(f.Message, g.Name()) {
			require.Equal(e.t, provision.SeverityError, f.Severity)
			require.NotEmpty(e.t, f.Evidence)
			require.NotEmpty(e.t, f.Remedy)
			list = append(list, f)
		}
	}
	return list
}

// killPoints learns the changing calls of a verb from a run without faults.
func (e *env) killPoints(g *provision.Guest, do func(*provision.Guest)) []point {
	e.t.Helper()
	learn := NewFaults()
	same, err := e.open(learn.Around).Guest(e.ctx, g.Name())
	require.NoError(e.t, err)
	do(same)
	return points(learn.Calls(), []string{"record", "autostart", "block", "kill", "start"})
}

func (e *env) suspendKilled() {
	g := e.make(e.keyed("a"))
	autostart := e.status(g).Autostart
	require.NoError(e.t, g.Start(e.ctx, nil))
	list := e.killPoints(g, func(g *provision.Guest) { e.suspend(g, "payment") })
	for i, p := range list {
		e.sub(p.String(), func(e *env) {
			require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
			e.state(g, provision.StateRunning)
			e.killed(e.spawn(job{Do: "suspend", Name: g.Name(), Kill: &p}))
			st := e.status(g)
			if len(st.Suspended) == 0 {
				require.Equal(e.t, "before record", p.String())
				require.Equal(e.t, autostart, st.Autostart)
			}
			if i%2 == 0 || len(st.Suspended) == 0 {
				e.suspend(g, "payment")
				require.Equal(e.t, "suspended", e.observe(g))
				require.False(e.t, e.status(g).Autostart)
				require.NotContains(e.t, e.status(g).Reason, "suspend")
			}
			require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
			e.state(g, provision.StateRunning)
			require.Equal(e.t, autostart, e.status(g).Autostart)
		})
	}
}

func (e *env) unsuspendKilled() {
	g := e.make(e.keyed("a"))
	autostart := e.status(g).Autostart
	require.NoError(e.t, g.Start(e.ctx, nil))
	e.suspend(g, "payment")
	list := e.killPoints(g, func(g *provision.Guest) { require.NoError(e.t, g.Unsuspend(e.ctx, "payment")) })
	for i, p := range list {
		e.sub(p.String(), func(e *env) {
			e.suspend(g, "payment")
			e.killed(e.spawn(job{Do: "unsuspend", Name: g.Name(), Kill: &p}))
			st := e.status(g)
			if len(st.Suspended) > 0 {
				require.Equal(e.t, "suspended", e.observe(g))
				require.False(e.t, st.Autostart, "a suspended guest must not start with its host")
			}
			if i%2 == 0 {
				e.suspend(g, "abuse")
				require.Equal(e.t, "suspended", e.observe(g))
				require.False(e.t, e.status(g).Autostart)
				require.NoError(e.t, g.Unsuspend(e.ctx, "abuse"))
			}
			require.NoError(e.t, g.Unsuspend(e.ctx, "payment"))
			st = e.status(g)
			require.Equal(e.t, provision.StateRunning, st.State)
			require.Equal(e.t, autostart, st.Autostart)
			require.Empty(e.t, st.Suspended)
			require.NotContains(e.t, st.Reason, "suspend")
		})
	}
}
