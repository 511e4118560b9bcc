package provisiontest

import (
	"errors"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// observe returns the state of a guest in the words of the table.
func (e *env) observe(g *provision.Guest) string {
	e.t.Helper()
	st, err := g.Status(e.ctx)
	if errors.Is(err, provision.ErrNotFound) {
		return "absent"
	}
	require.NoError(e.t, err)
	switch {
	case !st.Managed:
		return "foreign"
	case len(st.Suspended) > 0 && st.State == provision.StateStopped:
		return "suspended"
	}
	return string(st.State)
}

// reach returns a guest in a state: the one given if it is in it already.
func (e *env) reach(g *provision.Guest, state string) *provision.Guest {
	e.t.Helper()
	if g != nil {
		if e.observe(g) == state {
			return g
		}
		e.delete(g)
	}
	switch state {
	case "incomplete":
		return e.incomplete("a")
	case "foreign":
		return e.foreign("a")
	}
	g = e.create("a")
	if slices.Contains([]string{"running", "paused"}, state) {
		require.NoError(e.t, g.Start(e.ctx, nil))
	}
	switch state {
	case "absent":
		e.delete(g)
	case "paused":
		require.NoError(e.t, g.Pause(e.ctx))
	case "suspended":
		_, err := g.Suspend(e.ctx, "payment", nil)
		require.NoError(e.t, err)
	}
	require.Equal(e.t, state, e.observe(g), "the guest could not be brought into the state to test")
	return g
}

// incomplete returns a guest whose create failed at its last write, and could
// not be undone.
func (e *env) incomplete(suffix string) *provision.Guest {
	e.t.Helper()
	f := NewFaults()
	f.Before("record", "", errInjected)
	f.Before("undo", "", errInjected).Always()
	_, err := e.open(f.Around).Create(e.ctx, e.keyed(suffix), nil)
	require.ErrorIs(e.t, err, errInjected)
	g, err := e.Guest(e.ctx, e.name(suffix))
	require.NoError(e.t, err)
	e.state(g, provision.StateIncomplete)
	return g
}

func (e *env) foreign(suffix string) *provision.Guest {
	e.t.Helper()
	e.t.Cleanup(e.Foreign(e.t, e.machine, e.name(suffix)))
	g, err := e.Guest(e.ctx, e.name(suffix))
	require.NoError(e.t, err)
	return g
}
