package provisiontest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// errInjected is what scripted faults return.
var errInjected = errors.New("injected fault")

// aroundFunc is the type of Options.Around.
type aroundFunc = func(ctx context.Context, c provision.Call, next func(context.Context) error) error

// env is what a case works with. Its Host has no faults.
type env struct {
	*suite
	*provision.Host
	t      *testing.T
	ctx    context.Context
	prefix string // of all names that the case uses
}

// sub runs a subtest of the case. One that fails does not spoil the next.
func (e *env) sub(name string, run func(*env)) {
	e.t.Run(name, func(t *testing.T) {
		s := *e
		s.t = t
		t.Cleanup(func() {
			if t.Failed() {
				s.sweep()
			}
		})
		run(&s)
	})
}

// open returns a new Host on a new backend, with around inside the hook that
// the Config has.
func (e *env) open(around aroundFunc) *provision.Host {
	e.t.Helper()
	h, err := e.suite.open(e.ctx, e.t, around)
	require.NoError(e.t, err, "open")
	e.t.Cleanup(func() { require.NoError(e.t, h.Close(), "close") })
	return h
}

func (s *suite) open(ctx context.Context, tb testing.TB, around aroundFunc) (*provision.Host, error) {
	o := s.options(tb)
	o.Around = chain(o.Around, around)
	return provision.Open(ctx, s.New(tb, s.machine), o)
}

func chain(outer, inner aroundFunc) aroundFunc {
	switch {
	case outer == nil:
		return inner
	case inner == nil:
		return outer
	}
	return func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
		return outer(ctx, c, func(ctx context.Context) error { return inner(ctx, c, next) })
	}
}

func (e *env) leftovers() []string { return e.suite.leftovers(e.t) }

func (e *env) clock() provision.Clock {
	if c := e.options(e.t).Clock; c != nil {
		return c
	}
	return wallClock{}
}

// name returns a name that no other case uses.
func (e *env) name(suffix string) string { return e.prefix + suffix }

// spec returns a valid Spec of that name.
func (e *env) spec(suffix string) provision.Spec {
	return e.Spec(e.t, e.machine, e.name(suffix))
}

// keyed returns a valid Spec with a Key, and autostart where there is that, so
// that a create has all the steps that it can have.
func (e *env) keyed(suffix string) provision.Spec {
	return e.suite.keyed(e.t, e.Host, e.name(suffix))
}

func (s *suite) keyed(tb testing.TB, h *provision.Host, name string) provision.Spec {
	spec := s.Spec(tb, s.machine, name)
	spec.Key = "key-" + name
	spec.Autostart = h.Supports(provision.FeatureAutostart) == nil
	return spec
}

// create makes a guest of which the case expects nothing special.
func (e *env) create(suffix string) *provision.Guest { return e.make(e.spec(suffix)) }

func (e *env) make(s provision.Spec) *provision.Guest {
	e.t.Helper()
	g, err := e.Create(e.ctx, s, nil)
	require.NoError(e.t, err, "create")
	return g
}

func (e *env) status(g *provision.Guest) provision.Status {
	e.t.Helper()
	st, err := g.Status(e.ctx)
	require.NoError(e.t, err, "status of %s", g.Name())
	return st
}

// state requires a guest to be in a state.
func (e *env) state(g *provision.Guest, want provision.State) {
	e.t.Helper()
	st := e.status(g)
	require.Equal(e.t, want, st.State, "state of %s (%s)", g.Name(), st.Reason)
}

// absent requires that no guest has a name.
func (e *env) absent(name string) {
	e.t.Helper()
	_, err := e.Guest(e.ctx, name)
	require.ErrorIs(e.t, err, provision.ErrNotFound, "guest %s", name)
}

// delete removes a guest, whatever it does.
func (e *env) delete(g *provision.Guest) {
	e.t.Helper()
	require.NoError(e.t, g.Delete(e.ctx, &provision.DeleteOptions{Force: true}), "delete %s", g.Name())
}

// declared reports whether the Host supports a feature. If it does not, the
// verb must say the same.
func (e *env) declared(f provision.Feature, verb func() error) bool {
	e.t.Helper()
	no := e.Supports(f)
	if no == nil {
		return true
	}
	require.ErrorIs(e.t, no, errors.ErrUnsupported, "Supports(%s)", f)
	err := verb()
	require.ErrorIs(e.t, err, errors.ErrUnsupported, "%s is not declared, so the verb must refuse it", f)
	require.ErrorContains(e.t, err, no.Error(), "the verb must give the reason that Supports gives")
	return false
}

// soon returns a context that ends soon, for waits that must not succeed.
func (e *env) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, 300*time.Millisecond)
}

// diff compares data of package provision.
func diff(want, have any) string {
	return cmp.Diff(want, have, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}))
}
