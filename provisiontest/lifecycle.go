package provisiontest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// lifecycleTable says what each verb answers in each state and, after ">",
// which other state it leads to. Verbs whose feature is not supported answer
// "unsupported" instead, and the state "paused" is left out then.
const lifecycleTable = `
verb         absent incomplete stopped      running      paused       suspended    foreign
start        gone   state      ok>running   ok           state        suspended    state
stop         gone   state      ok           ok>stopped   ok>stopped   ok           state
restart      gone   state      state        ok           ok>running   suspended    state
pause        gone   state      state        ok>paused    ok           state        state
resume       gone   state      state        ok           ok>running   suspended    state
suspend      gone   state      ok>suspended ok>suspended ok>suspended ok           state
unsuspend    gone   state      ok           ok           ok           ok>stopped   state
labels       gone   state      ok           ok           ok           ok           state
autostart    gone   state      ok           ok           ok           ok           state
status       gone   ok         ok           ok           ok           ok           ok
delete       ok     ok>absent  ok>absent    state        state        ok>absent    state
force-delete ok     ok>absent  ok>absent    ok>absent    ok>absent    ok>absent    state
`

// verb is one row of the table.
type verb struct {
	feature provision.Feature // that it needs; may be empty
	run     func(*env, *provision.Guest) error
}

// verbs do what the rows of the table say, without waiting for a graceful end.
func verbs() map[string]verb {
	kill := &provision.StopOptions{Force: true}
	return map[string]verb{
		"start": {"", func(e *env, g *provision.Guest) error { return g.Start(e.ctx, nil) }},
		"stop": {"", func(e *env, g *provision.Guest) error {
			_, err := g.Stop(e.ctx, kill)
			return err
		}},
		"restart": {"", func(e *env, g *provision.Guest) error {
			_, err := g.Restart(e.ctx, kill)
			return err
		}},
		"pause":  {provision.FeaturePause, func(e *env, g *provision.Guest) error { return g.Pause(e.ctx) }},
		"resume": {provision.FeaturePause, func(e *env, g *provision.Guest) error { return g.Resume(e.ctx) }},
		"suspend": {"", func(e *env, g *provision.Guest) error {
			_, err := g.Suspend(e.ctx, "payment", kill)
			return err
		}},
		"unsuspend": {"", func(e *env, g *provision.Guest) error { return g.Unsuspend(e.ctx, "payment") }},
		"labels": {"", func(e *env, g *provision.Guest) error {
			return g.SetLabels(e.ctx, map[string]string{"customer": "77"})
		}},
		"autostart": {provision.FeatureAutostart, func(e *env, g *provision.Guest) error { return g.SetAutostart(e.ctx, true) }},
		"status": {"", func(e *env, g *provision.Guest) error {
			_, err := g.Status(e.ctx)
			return err
		}},
		"delete": {"", func(e *env, g *provision.Guest) error { return g.Delete(e.ctx, nil) }},
		"force-delete": {"", func(e *env, g *provision.Guest) error {
			return g.Delete(e.ctx, &provision.DeleteOptions{Force: true})
		}},
	}
}

// answers are the errors behind the words of the table.
func answers() map[string]error {
	return map[string]error{
		"ok":          nil,
		"gone":        provision.ErrNotFound,
		"state":       provision.ErrState,
		"suspended":   provision.ErrSuspended,
		"unsupported": errors.ErrUnsupported,
	}
}

// lifecycleCases makes one case of each column.
func lifecycleCases() []testCase {
	lines := strings.Split(strings.TrimSpace(lifecycleTable), "\n")
	var cases []testCase
	for col, state := range strings.Fields(lines[0]) {
		if col == 0 {
			continue
		}
		words := fmt.Sprintf("on a guest that is %s, each verb has one defined result and leads to one defined state", state)
		cases = append(cases, rule(state, words, func(e *env) {
			if state == "paused" && e.Supports(provision.FeaturePause) != nil {
				e.pauseRefused()
				return
			}
			e.column(lines[1:], state, col)
		}))
	}
	return append(cases, powerCases()...)
}

// pauseRefused stands for the cases about paused guests where there are none.
func (e *env) pauseRefused() {
	g := e.create("a")
	require.NoError(e.t, g.Start(e.ctx, nil))
	require.ErrorIs(e.t, g.Pause(e.ctx), errors.ErrUnsupported)
	e.state(g, provision.StateRunning)
}

// column runs all verbs on a guest in one state. The guest is made anew only
// after a verb that moved it.
func (e *env) column(rows []string, state string, col int) {
	all := verbs()
	var g *provision.Guest
	for _, row := range rows {
		cells := strings.Fields(row)
		v := all[cells[0]]
		answer, next, moves := strings.Cut(cells[col], ">")
		if v.feature != "" && e.Supports(v.feature) != nil {
			answer, next, moves = "unsupported", "", false
		}
		if !moves {
			next = state
		}
		g = e.reach(g, state)
		e.sub(cells[0], func(e *env) { e.cell(v, g, answer, next) })
	}
}

// cell runs one verb and compares answer and state.
func (e *env) cell(v verb, g *provision.Guest, answer, next string) {
	before, _ := g.Status(e.ctx)
	err := v.run(e, g)
	if want := answers()[answer]; want != nil {
		require.ErrorIs(e.t, err, want)
		after, _ := g.Status(e.ctx)
		require.Empty(e.t, diff(before, after), "a verb that is refused changes nothing")
	} else {
		require.NoError(e.t, err)
	}
	require.Equal(e.t, next, e.observe(g), "state afterwards")
}
