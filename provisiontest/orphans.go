package provisiontest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func orphanCases() []testCase {
	return []testCase{
		rule("found", "what is left of a guest whose own object is gone is listed with evidence, young things are neither listed nor removed unless asked for, and it is removed only when told", withOrphans((*env).orphansFound)),
		rule("half-made", "a guest whose create did not finish is an orphan, and removing it removes all of it", withOrphans((*env).orphansHalfMade)),
		rule("in-use", "nothing of a guest is an orphan, managed or foreign, and what is none is refused and left alone", withOrphans((*env).orphansInUse)),
		rule("under-way", "nothing of a create, a delete or an import that is under way is an orphan", withOrphans((*env).orphansUnderWay)),
		rule("killed", "what a killed create leaves is removed as orphans, also when its object is removed by hand", withOrphans((*env).orphansKilled)),
	}
}

// withOrphans runs a case where orphans are supported, and checks that they are
// refused elsewhere.
func withOrphans(run func(*env)) func(*env) {
	return func(e *env) {
		if !e.declared(provision.FeatureOrphans, func() error {
			_, err := e.Orphans(e.ctx, nil)
			return errors.Join(err, e.RemoveOrphan(e.ctx, provision.Orphan{}, nil))
		}) {
			return
		}
		require.NotNil(e.t, e.Forget, "Config.Forget is required")
		run(e)
	}
}

// anyAge asks for what is a moment old too.
var anyAge = &provision.OrphanOptions{MinAge: time.Nanosecond}

func (e *env) orphansOf(id provision.ID, opts *provision.OrphanOptions) []provision.Orphan {
	e.t.Helper()
	all, err := e.Orphans(e.ctx, opts)
	require.NoError(e.t, err)
	return slices.DeleteFunc(all, func(o provision.Orphan) bool { return o.ID != id })
}

// swept removes all orphans of a guest.
func (e *env) swept(id provision.ID) {
	e.t.Helper()
	for _, o := range e.orphansOf(id, anyAge) {
		require.NoError(e.t, e.RemoveOrphan(e.ctx, o, anyAge), "%s %s", o.Kind, o.Name)
		require.ErrorIs(e.t, e.RemoveOrphan(e.ctx, o, anyAge), provision.ErrConflict, "%s %s is gone", o.Kind, o.Name)
	}
	require.Empty(e.t, e.orphansOf(id, anyAge))
}

func (e *env) orphansFound() {
	before := e.leftovers()
	g := e.create("a")
	e.Forget(e.t, e.machine, g.Name())
	list := e.orphansOf(g.ID(), anyAge)
	require.NotEmpty(e.t, list)
	for _, o := range list {
		require.NotEmpty(e.t, o.Kind)
		require.NotEmpty(e.t, o.Name)
		require.NotEmpty(e.t, o.Evidence, "%s %s", o.Kind, o.Name)
	}
	require.True(e.t, slices.ContainsFunc(list, func(o provision.Orphan) bool { return o.Kind == provision.OrphanVolume }), "the disk is among %v", list)
	for _, o := range e.orphansOf(g.ID(), nil) {
		require.Zero(e.t, o.Modified, "%s %s is young, and its age is known", o.Kind, o.Name)
	}
	there := e.leftovers()
	for _, o := range list {
		if !o.Modified.IsZero() {
			require.ErrorIs(e.t, e.RemoveOrphan(e.ctx, o, nil), provision.ErrConflict, "%s %s is young", o.Kind, o.Name)
		}
	}
	other := list[0]
	other.ID += "x"
	require.ErrorIs(e.t, e.RemoveOrphan(e.ctx, other, anyAge), provision.ErrConflict, "another ID")
	require.Empty(e.t, diff(there, e.leftovers()), "nothing was removed yet")
	e.swept(g.ID())
	require.Empty(e.t, diff(before, e.leftovers()))
}

func (e *env) orphansHalfMade() {
	before := e.leftovers()
	g := e.incomplete("a")
	require.Empty(e.t, e.orphansOf(g.ID(), nil), "it is young")
	list := e.orphansOf(g.ID(), anyAge)
	require.Len(e.t, list, 1, "what belongs to it is no orphan by itself")
	require.Equal(e.t, provision.OrphanGuest, list[0].Kind)
	require.Equal(e.t, g.Name(), list[0].Name)
	require.NotEmpty(e.t, list[0].Evidence)
	require.False(e.t, list[0].Modified.IsZero())
	e.swept(g.ID())
	e.absent(g.Name())
	require.Empty(e.t, diff(before, e.leftovers()))
}

func (e *env) orphansInUse() {
	lost := e.create("lost")
	e.Forget(e.t, e.machine, lost.Name())
	names := e.orphansOf(lost.ID(), anyAge)
	g := e.create("a")
	f := e.foreign("b")
	require.NoError(e.t, g.Start(e.ctx, nil))
	there := e.leftovers()
	require.Empty(e.t, e.orphansOf(g.ID(), anyAge))
	require.Empty(e.t, e.orphansOf(f.ID(), anyAge))
	for _, o := range names {
		// The same thing of the living guest, as far as names tell.
		o.Name = replaceID(o.Name, lost.ID(), g.ID())
		o.ID = g.ID()
		require.ErrorIs(e.t, e.RemoveOrphan(e.ctx, o, anyAge), provision.ErrConflict, "%s %s", o.Kind, o.Name)
	}
	for _, made := range []provision.Orphan{
		{Kind: provision.OrphanGuest, Name: g.Name(), ID: g.ID()},
		{Kind: provision.OrphanGuest, Name: f.Name(), ID: f.ID()},
		{Kind: "volume", Name: "no such volume"},
		{},
	} {
		require.ErrorIs(e.t, e.RemoveOrphan(e.ctx, made, anyAge), provision.ErrConflict)
	}
	all, err := e.Orphans(e.ctx, anyAge)
	require.NoError(e.t, err)
	unbounded, err := e.Orphans(e.ctx, &provision.OrphanOptions{MinAge: -1})
	require.NoError(e.t, err)
	require.Subset(e.t, unbounded, all, "a negative age leaves out nothing")
	require.Empty(e.t, diff(there, e.leftovers()))
	e.swept(lost.ID())
}

func replaceID(name string, old, now provision.ID) string {
	return strings.ReplaceAll(name, string(old), string(now))
}

func (e *env) orphansUnderWay() {
	looked := 0
	look := func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
		if c.Step == "" {
			return next(ctx)
		}
		err := next(ctx)
		all, lerr := e.Orphans(ctx, anyAge)
		require.NoError(e.t, lerr)
		require.Empty(e.t, all, "after %s %s", c.Op, c.Step)
		looked++
		return err
	}
	h := e.open(look)
	g, err := h.Create(e.ctx, e.keyed("a"), nil)
	require.NoError(e.t, err)
	require.NoError(e.t, g.Delete(e.ctx, nil))
	if e.Supports(provision.FeatureImages) == nil {
		_, err = e.imported(h, "a", provision.ImportOptions{})
		require.NoError(e.t, err)
		require.NoError(e.t, h.RemoveImage(e.ctx, e.name("a")))
	}
	require.Positive(e.t, looked)
}

func (e *env) orphansKilled() {
	before := e.leftovers()
	for i, p := range e.createPoints() {
		e.sub(p.String(), func(e *env) {
			e.killed(e.spawn(job{Do: "create", Name: e.name("a"), Key: e.keyed("a").Key, Kill: &p}))
			g, err := e.Guest(e.ctx, e.name("a"))
			if err == nil && e.status(g).State != provision.StateIncomplete {
				e.delete(g)
			} else if err == nil {
				if i%2 == 0 {
					e.Forget(e.t, e.machine, g.Name())
				}
				e.swept(g.ID())
			}
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}
