package provisiontest

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// errUndo is what scripted faults of the undo return.
var errUndo = errors.New("injected fault of the undo")

func undoCases() []testCase {
	return []testCase{
		rule("create", "a Create that fails at any step, before or after it took effect, leaves nothing", (*env).createUndone),
		rule("undo-fails", "when the undo fails too, both errors are told and the guest is incomplete; Delete or the same Create go on", (*env).undoFails),
		rule("undo-steps", "an undo that fails at any step leaves a guest that is incomplete, or nothing", (*env).undoStepFails),
		rule("delete", "a Delete that fails at any step leaves a guest that is whole or incomplete, or nothing, and is finished by repeating it", (*env).deleteRepeated),
	}
}

func (e *env) createUndone() {
	list := e.createPoints()
	before := e.leftovers()
	for _, p := range list {
		e.sub(p.String(), func(e *env) {
			f := NewFaults()
			p.fail(f, errInjected)
			_, err := e.open(f.Around).Create(e.ctx, e.keyed("a"), nil)
			require.ErrorIs(e.t, err, errInjected)
			require.NotContains(e.t, err.Error(), "undo failed")
			e.shaped(err, e.name("a"))
			require.Empty(e.t, f.Pending())
			e.absent(e.name("a"))
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

func (e *env) undoFails() {
	list := e.createPoints()
	before := e.leftovers()
	for i, p := range list {
		e.sub(p.String(), func(e *env) {
			f := NewFaults()
			p.fail(f, errInjected)
			f.Before("undo", "", errUndo)
			_, err := e.open(f.Around).Create(e.ctx, e.keyed("a"), nil)
			require.ErrorIs(e.t, err, errInjected)
			require.ErrorIs(e.t, err, errUndo)
			e.shaped(err, e.name("a"))
			e.absentOrIncomplete(false)
			e.idle(false)
			e.finish(i%2 == 0)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

// absentOrIncomplete requires what may be left of a guest: nothing, or an
// incomplete one that does not start. Only where the last write has taken
// effect it may be whole.
func (e *env) absentOrIncomplete(done bool) {
	e.t.Helper()
	g, err := e.Guest(e.ctx, e.name("a"))
	if errors.Is(err, provision.ErrNotFound) {
		return
	}
	require.NoError(e.t, err)
	st := e.status(g)
	if done {
		require.Equal(e.t, provision.StateStopped, st.State)
		return
	}
	require.Equal(e.t, provision.StateIncomplete, st.State, "a guest that is half made must say so")
	require.NotEmpty(e.t, st.Reason)
	require.True(e.t, st.Managed)
	require.ErrorIs(e.t, g.Start(e.ctx, nil), provision.ErrState)
}

// finish makes the guest whole with the same Create, or not; then removes it.
func (e *env) finish(again bool) {
	e.t.Helper()
	if again {
		g := e.make(e.keyed("a"))
		e.state(g, provision.StateStopped)
		require.Equal(e.t, e.keyed("a").Key, e.status(g).Key)
		require.Equal(e.t, e.keyed("a").Autostart, e.status(g).Autostart)
	}
	g, err := e.Guest(e.ctx, e.name("a"))
	if errors.Is(err, provision.ErrNotFound) && !again {
		return
	}
	require.NoError(e.t, err)
	require.NoError(e.t, g.Delete(e.ctx, nil))
	e.absent(e.name("a"))
}

func (e *env) undoStepFails() {
	learn := NewFaults()
	learn.Before("record", "", errInjected)
	_, err := e.open(learn.Around).Create(e.ctx, e.keyed("learn"), nil)
	require.ErrorIs(e.t, err, errInjected)
	before := e.leftovers()
	for i, p := range points(learn.Calls(), []string{"undo"}) {
		e.sub(p.String(), func(e *env) {
			f := NewFaults()
			f.Before("record", "", errInjected)
			p.fail(f, errUndo)
			_, err := e.open(f.Around).Create(e.ctx, e.keyed("a"), nil)
			require.ErrorIs(e.t, err, errInjected)
			require.ErrorIs(e.t, err, errUndo)
			require.Empty(e.t, f.Pending())
			e.absentOrIncomplete(false)
			e.finish(i%2 == 0)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

func (e *env) deleteRepeated() {
	list := e.deletePoints()
	before := e.leftovers()
	for _, p := range list {
		e.sub(p.String(), func(e *env) {
			e.make(e.keyed("a"))
			f := NewFaults()
			g, err := e.open(f.Around).Guest(e.ctx, e.name("a"))
			require.NoError(e.t, err)
			p.fail(f, errInjected)
			require.ErrorIs(e.t, g.Delete(e.ctx, nil), errInjected)
			require.Empty(e.t, f.Pending())
			e.absentOrIncomplete(p.Op == "record" && !p.After)
			require.NoError(e.t, g.Delete(e.ctx, nil), "repeated")
			e.absent(g.Name())
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}
