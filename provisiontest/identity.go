package provisiontest

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func identityCases() []testCase {
	return []testCase{
		rule("reused-name", "a handle of a guest that is gone answers ErrNotFound and never touches the new guest of its name", (*env).reusedName),
		rule("unique", "every guest has its own ID, which stays the same for its life", (*env).uniqueID),
		rule("handles", "every handle of a guest, on any Host, is for the same guest", (*env).handles),
	}
}

func (e *env) reusedName() {
	old := e.create("a")
	e.delete(old)
	anew := e.create("a")
	require.NotEqual(e.t, old.ID(), anew.ID())
	require.NoError(e.t, anew.Start(e.ctx, nil))
	before := e.status(anew)
	for name, v := range verbs() {
		e.sub(name, func(e *env) {
			err := v.run(e, old)
			switch {
			case v.feature != "" && e.Supports(v.feature) != nil:
				require.ErrorIs(e.t, err, errors.ErrUnsupported)
			case name == "delete" || name == "force-delete":
				require.NoError(e.t, err)
			default:
				require.ErrorIs(e.t, err, provision.ErrNotFound)
			}
			require.Empty(e.t, diff(before, e.status(anew)), "the new guest")
		})
	}
	_, err := old.Wait(e.ctx, provision.UntilGone())
	require.NoError(e.t, err)
	_, err = old.Wait(e.ctx, provision.UntilState(provision.StateRunning))
	require.ErrorIs(e.t, err, provision.ErrNotFound)
}

func (e *env) uniqueID() {
	seen := map[provision.ID]bool{}
	for _, suffix := range []string{"a", "b", "a"} {
		if g, err := e.Guest(e.ctx, e.name(suffix)); err == nil {
			e.delete(g)
		}
		g := e.create(suffix)
		require.False(e.t, seen[g.ID()], "ID %s again", g.ID())
		seen[g.ID()] = true
		require.NoError(e.t, g.Start(e.ctx, nil))
		require.Equal(e.t, g.ID(), e.status(g).ID)
	}
}

func (e *env) handles() {
	g := e.create("a")
	same, err := e.open(nil).Guest(e.ctx, e.name("a"))
	require.NoError(e.t, err)
	require.Equal(e.t, g.ID(), same.ID())
	require.NoError(e.t, same.Start(e.ctx, nil))
	e.state(g, provision.StateRunning)
	e.delete(same)
	_, err = g.Status(e.ctx)
	require.ErrorIs(e.t, err, provision.ErrNotFound)
}
