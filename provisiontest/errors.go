package provisiontest

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func errorsCases() []testCase {
	return []testCase{
		rule("shape", "every error is one *provision.Error, on one line, that names verb, backend and guest", (*env).errorShape),
		rule("not-found", "what is not there is ErrNotFound", (*env).errorNotFound),
		rule("all-at-once", "all that is wrong with a Spec is reported at once, on one line", (*env).errorsAtOnce),
		rule("closed", "a Host that was closed answers fs.ErrClosed", (*env).errorClosed),
		rule("foreign", "a foreign guest is listed as not managed and refused by every verb that changes", (*env).errorForeign),
		rule("no-image", "a Spec whose image is not there is refused before anything is made", (*env).errorNoImage),
	}
}

// shaped requires an error of the shape that verbs return.
func (e *env) shaped(err error, guest string) {
	e.t.Helper()
	var outer, inner *provision.Error
	require.ErrorAs(e.t, err, &outer)
	require.NotEmpty(e.t, outer.Op)
	require.Equal(e.t, e.Info().Kind, outer.Kind)
	require.Equal(e.t, guest, outer.Guest)
	require.False(e.t, errors.As(outer.Err, &inner), "wrapped twice: %v", err)
	require.NotContains(e.t, err.Error(), "\n", "the text is one line")
}

func (e *env) errorShape() {
	g := e.create("a")
	require.NoError(e.t, g.Delete(e.ctx, nil))
	for name, v := range verbs() {
		if err := v.run(e, g); !strings.HasSuffix(name, "delete") {
			e.shaped(err, g.Name())
		}
	}
	_, err := g.Wait(e.ctx, provision.UntilState(provision.StateRunning))
	e.shaped(err, g.Name())
	_, err = g.ConsoleLog(e.ctx, 0)
	e.shaped(err, g.Name())
	_, err = e.Guest(e.ctx, "no\nbody")
	e.shaped(err, "no\nbody")
	_, err = e.Create(e.ctx, provision.Spec{Name: "a b"}, nil)
	e.shaped(err, "a b")
	_, err = e.Plan(e.ctx, provision.Spec{Name: "a b"})
	e.shaped(err, "a b")
}

func (e *env) errorNotFound() {
	e.absent(e.name("nobody"))
	g := e.create("a")
	e.delete(g)
	_, err := g.Status(e.ctx)
	require.ErrorIs(e.t, err, provision.ErrNotFound)
	require.NotErrorIs(e.t, err, provision.ErrUnavailable)
	for st, err := range e.Guests(e.ctx, nil) {
		require.NoError(e.t, err)
		require.NotEqual(e.t, g.ID(), st.ID)
	}
}

func (e *env) errorsAtOnce() {
	spec := e.spec("a")
	spec.Name, spec.Key, spec.CPU.Count = "A", "\n", -1
	_, err := e.Create(e.ctx, spec, nil)
	require.ErrorIs(e.t, err, provision.ErrInvalid)
	for _, path := range []string{"name", "key", "cpu.count"} {
		require.ErrorContains(e.t, err, path+": ")
	}
	e.shaped(err, "A")
}

func (e *env) errorClosed() {
	h := e.open(nil)
	g, err := h.Create(e.ctx, e.spec("a"), nil)
	require.NoError(e.t, err)
	require.NoError(e.t, h.Close())
	for name, v := range verbs() {
		if v.feature == "" || h.Supports(v.feature) == nil {
			require.ErrorIs(e.t, v.run(e, g), fs.ErrClosed, name)
		}
	}
	_, err = h.Create(e.ctx, e.spec("b"), nil)
	require.ErrorIs(e.t, err, fs.ErrClosed)
	_, err = h.Guest(e.ctx, g.Name())
	require.ErrorIs(e.t, err, fs.ErrClosed)
	for _, err := range h.Guests(e.ctx, nil) {
		require.ErrorIs(e.t, err, fs.ErrClosed)
	}
	e.absent(e.name("b"))
	same, err := e.Guest(e.ctx, g.Name())
	require.NoError(e.t, err, "the guest is still there")
	e.delete(same)
}

func (e *env) errorForeign() {
	g := e.foreign("a")
	for _, st := range []provision.Status{e.status(g), e.listed(g)} {
		require.False(e.t, st.Managed)
		require.Empty(e.t, st.Key)
		require.Empty(e.t, st.Labels)
	}
	for st, err := range e.Guests(e.ctx, &provision.ListOptions{ManagedOnly: true}) {
		require.NoError(e.t, err)
		require.NotEqual(e.t, g.Name(), st.Name)
	}
	require.ErrorIs(e.t, g.Start(e.ctx, nil), provision.ErrState)
	require.ErrorIs(e.t, g.Delete(e.ctx, &provision.DeleteOptions{Force: true}), provision.ErrState)
}

func (e *env) errorNoImage() {
	before := e.leftovers()
	spec := e.spec("a")
	spec.Image = e.name("none")
	plan, err := e.Plan(e.ctx, spec)
	if err == nil && e.Supports(provision.FeatureImages) != nil {
		// Images that the library does not keep may be found under any name.
		require.Equal(e.t, provision.ActionCreate, plan.Action)
		return
	}
	require.Error(e.t, err)
	_, err = e.Create(e.ctx, spec, nil)
	require.Error(e.t, err)
	e.shaped(err, spec.Name)
	require.NotErrorIs(e.t, err, provision.ErrUnavailable)
	e.absent(spec.Name)
	require.Empty(e.t, diff(before, e.leftovers()))
}
