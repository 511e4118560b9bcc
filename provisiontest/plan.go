package provisiontest

import (
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func planCases() []testCase {
	return []testCase{
		rule("create", "Plan for a new guest says create, and makes nothing", (*env).planCreate),
		rule("none", "Plan of the Spec that a guest was made from finds nothing to do", (*env).planNone),
		rule("memory", "Plan of another memory size is that one change", (*env).planMemory),
		rule("labels", "a change of labels has no impact", (*env).planLabels),
		rule("shrink", "a disk cannot be made smaller", (*env).planShrink),
		rule("finish", "Plan for an incomplete guest says finish", (*env).planFinish),
		rule("refused", "Plan refuses what Create would refuse", (*env).planRefused),
	}
}

func (e *env) plan(s provision.Spec) *provision.Plan {
	e.t.Helper()
	p, err := e.Plan(e.ctx, s)
	require.NoError(e.t, err)
	require.Equal(e.t, s.Name, p.Guest)
	require.Equal(e.t, e.Info().Kind, p.Kind)
	again, err := e.Plan(e.ctx, s)
	require.NoError(e.t, err)
	require.Equal(e.t, p.String(), again.String(), "the same question has the same answer")
	return p
}

func (e *env) planCreate() {
	before := e.leftovers()
	spec := e.keyed("a")
	p := e.plan(spec)
	require.Equal(e.t, provision.ActionCreate, p.Action)
	require.Empty(e.t, p.ID)
	have := map[string]string{}
	for _, c := range p.Changes {
		require.Empty(e.t, c.Have)
		have[c.Path] = c.Want
	}
	require.Equal(e.t, spec.Name, have["name"])
	require.Equal(e.t, spec.Name, have["hostname"], "defaults are in the plan")
	e.absent(spec.Name)
	require.Empty(e.t, diff(before, e.leftovers()))
}

func (e *env) planNone() {
	spec := e.keyed("a")
	g := e.make(spec)
	for _, running := range []bool{false, true} {
		if running {
			require.NoError(e.t, g.Start(e.ctx, nil))
		}
		p := e.plan(spec)
		require.Equal(e.t, provision.ActionNone, p.Action, "%s", p)
		require.Empty(e.t, p.Changes)
		require.Equal(e.t, g.ID(), p.ID)
	}
}

// onlyChange requires a plan with one change.
func (e *env) onlyChange(s provision.Spec, path string) provision.Change {
	e.t.Helper()
	p := e.plan(s)
	require.Equal(e.t, provision.ActionChange, p.Action)
	require.Len(e.t, p.Changes, 1, "%s", p)
	require.Equal(e.t, path, p.Changes[0].Path)
	require.NotEmpty(e.t, p.Changes[0].Impact)
	return p.Changes[0]
}

func (e *env) planMemory() {
	spec := e.spec("a")
	g := e.make(spec)
	before := e.status(g)
	spec.Memory.Size = before.Memory + 64*provision.MiB
	if !e.declared(provision.FeatureMemorySize, func() error { _, err := e.Plan(e.ctx, spec); return err }) {
		return
	}
	c := e.onlyChange(spec, "memory.size")
	require.Equal(e.t, before.Memory.String(), c.Have)
	require.Equal(e.t, spec.Memory.Size.String(), c.Want)
	require.Empty(e.t, diff(before, e.status(g)), "a plan changes nothing")
}

func (e *env) planLabels() {
	spec := e.spec("a")
	e.make(spec)
	spec.Labels = map[string]string{"customer": "77"}
	c := e.onlyChange(spec, "labels.customer")
	require.Equal(e.t, provision.ImpactNone, c.Impact)
}

func (e *env) planShrink() {
	spec := e.spec("a")
	fieldUses()[provision.FeatureDiskSize](&spec)
	if !e.declared(provision.FeatureDiskSize, func() error { _, err := e.Plan(e.ctx, spec); return err }) {
		return
	}
	e.make(spec)
	spec.Disks[0].Size -= provision.MiB
	c := e.onlyChange(spec, "disks[0].size")
	require.Equal(e.t, provision.ImpactImpossible, c.Impact)
	require.NotEmpty(e.t, c.Reason)
}

func (e *env) planFinish() {
	g := e.incomplete("a")
	p := e.plan(e.keyed("a"))
	require.Equal(e.t, provision.ActionFinish, p.Action)
	require.Equal(e.t, g.ID(), p.ID)
	e.state(g, provision.StateIncomplete)
}

func (e *env) planRefused() {
	e.foreign("a")
	_, err := e.Plan(e.ctx, e.spec("a"))
	require.ErrorIs(e.t, err, provision.ErrExists)
	spec := e.keyed("b")
	e.make(spec)
	spec.Name = e.name("c")
	_, err = e.Plan(e.ctx, spec)
	require.ErrorIs(e.t, err, provision.ErrConflict)
}
