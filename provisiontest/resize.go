package provisiontest

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func resizeCases() []testCase {
	return []testCase{
		rule("off", "a guest that is off has all of its new sizes at once, as read back, and is from then on one that was made from the new Spec", (*env).resizeOff),
		rule("on", "a guest that is on has at once what the plan calls live; the rest is refused, or waits for the restart and says so", resizable((*env).resizeOn)),
		rule("refused", "a Resize that wants anything else, a smaller disk or more than there is, names the field and changes nothing", resizable((*env).resizeRefused)),
		rule("fails", "a Resize that fails at any step leaves what was there, and is done by repeating it", resizable((*env).resizeFails)),
		rule("killed", "a process that is killed at any step of a Resize leaves a guest that works, and the same Resize finishes", resizable((*env).resizeKilled)),
	}
}

// resizable makes a case of something that only guests that can be resized have.
// The case "off" demands the refusal of the others.
func resizable(run func(*env)) func(*env) {
	return func(e *env) {
		if e.Supports(provision.FeatureResize) == nil {
			run(e)
		}
	}
}

// resizedFields are those in which the Specs of these cases ask for something.
func resizedFields() []provision.Feature {
	return []provision.Feature{
		provision.FeatureCPUCount, provision.FeatureCPULimit, provision.FeatureCPUWeight, provision.FeatureMemorySize, provision.FeatureMemorySwap,
		provision.FeatureProcesses, provision.FeatureDiskSize, provision.FeatureDiskIOPS, provision.FeatureDiskBPS, provision.FeatureNICRate,
	}
}

// sized returns the Spec of a guest that can be resized, and of what it is to be.
func (s *suite) sized(e *provision.Host, spec provision.Spec) (small, big provision.Spec) {
	small = spec.Copy()
	uses := fieldUses()
	for _, f := range resizedFields() {
		if e.Supports(f) == nil && (f != provision.FeatureNICRate || len(small.NICs) > 0) {
			uses[f](&small)
		}
	}
	return small, s.Bigger(small)
}

// bigger is the default of Config.Bigger.
func bigger(s provision.Spec) provision.Spec {
	s = s.Copy()
	s.CPU.Limit *= 1.5
	s.CPU.Weight *= 2
	s.Memory.Size *= 2
	s.Memory.Swap *= 2
	s.Limits.Processes *= 2
	for i := range s.Disks {
		s.Disks[i].Size += s.Disks[i].Size / 4
		s.Disks[i].IOPS *= 2
		s.Disks[i].BPS *= 2
	}
	for i := range s.NICs {
		s.NICs[i].Rate.In *= 2
		s.NICs[i].Rate.Out *= 2
	}
	return s
}

func (e *env) sized(suffix string) (small, big provision.Spec) {
	return e.suite.sized(e.Host, e.keyed(suffix))
}

func (e *env) resize(g *provision.Guest, s provision.Spec) *provision.Plan {
	e.t.Helper()
	p, err := g.Resize(e.ctx, s, &provision.ResizeOptions{AtRestart: true})
	require.NoError(e.t, err)
	return p
}

// as requires that a guest is as a Spec says.
func (e *env) as(s provision.Spec) {
	e.t.Helper()
	p := e.plan(s)
	require.Equal(e.t, provision.ActionNone, p.Action, "%s", p)
	for _, l := range p.Limits {
		require.NotContains(e.t, l.Reason, "other means", "limit %s", l.Path)
	}
}

func (e *env) resizeOff() {
	small, big := e.sized("a")
	g := e.make(small)
	if !e.declared(provision.FeatureResize, func() error { _, err := g.Resize(e.ctx, small, nil); return err }) {
		return
	}
	p, err := g.Resize(e.ctx, big, nil)
	require.NoError(e.t, err)
	require.Equal(e.t, provision.ActionChange, p.Action)
	require.NotEmpty(e.t, p.Changes)
	require.Empty(e.t, diff(e.status(g).Limits, p.Limits), "the limits that hold")
	e.as(big)
	same, err := e.Create(e.ctx, big, nil)
	require.NoError(e.t, err, "the key belongs to the new Spec")
	require.Equal(e.t, g.ID(), same.ID())
	_, err = e.Create(e.ctx, small, nil)
	require.ErrorIs(e.t, err, provision.ErrConflict, "and not to the old one")
	require.Equal(e.t, provision.ActionNone, e.resize(g, big).Action, "repeated")
	require.NoError(e.t, g.Start(e.ctx, nil))
	e.as(big)
}

func (e *env) resizeOn() {
	small, big := e.sized("a")
	g := e.make(small)
	require.NoError(e.t, g.Start(e.ctx, nil))
	want := map[string]provision.Change{}
	waits := ""
	for _, c := range e.plan(big).Changes {
		want[c.Path] = c
		if c.Impact == provision.ImpactRestart {
			waits = c.Path
		}
	}
	if waits != "" {
		before := e.status(g)
		_, err := g.Resize(e.ctx, big, nil)
		require.ErrorIs(e.t, err, provision.ErrState)
		require.ErrorContains(e.t, err, waits)
		require.Empty(e.t, diff(before, e.status(g)), "nothing is changed")
		e.as(small)
	}
	e.resize(g, big)
	for _, l := range e.status(g).Limits {
		c, changed := want[l.Path]
		switch {
		case !changed:
		case c.Impact == provision.ImpactRestart && l.Have != c.Want:
			require.Equal(e.t, provision.NotEnforced, l.Enforcement, "limit %s is %s", l.Path, l.Have)
			require.Contains(e.t, l.Reason, "restart", "limit %s is %s", l.Path, l.Have)
		default:
			require.Equal(e.t, c.Want, l.Want, "limit %s", l.Path)
			require.NotContains(e.t, l.Reason, "other means", "limit %s is %s", l.Path, l.Have)
		}
	}
	e.state(g, provision.StateRunning)
	_, err := g.Restart(e.ctx, &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
	e.as(big)
}

func (e *env) resizeRefused() {
	small, big := e.sized("a")
	g := e.make(small)
	before := e.status(g)
	for path, set := range map[string]func(*provision.Spec){
		"labels.tier": func(s *provision.Spec) { s.Labels = map[string]string{"tier": "gold"} },
		"hostname":    func(s *provision.Spec) { s.Hostname = "another" },
		"key":         func(s *provision.Spec) { s.Key = "another" },
		"image":       func(s *provision.Spec) { s.Image = "another" },
	} {
		if path != "key" && path != "labels.tier" && e.Supports(provision.Feature(path)) != nil {
			continue
		}
		s := big.Copy()
		set(&s)
		_, err := g.Resize(e.ctx, s, nil)
		e.refused(err, path)
	}
	if e.Supports(provision.FeatureDiskSize) == nil {
		s := small.Copy()
		s.Disks[0].Size -= provision.MiB
		_, err := g.Resize(e.ctx, s, nil)
		e.refused(err, "disks[0].size")
	}
	if e.Supports(provision.FeatureMemorySize) == nil {
		s := small.Copy()
		s.Memory.Size = 2 * e.Info().Memory
		_, err := g.Resize(e.ctx, s, nil)
		require.True(e.t, errors.Is(err, provision.ErrInvalid) || errors.Is(err, provision.ErrCapacity), "more memory than the machine has: %v", err)
	}
	require.Empty(e.t, diff(before, e.status(g)))
	e.as(small)
	require.NoError(e.t, g.Delete(e.ctx, nil))
	_, err := g.Resize(e.ctx, big, nil)
	require.ErrorIs(e.t, err, provision.ErrNotFound)
}

// resizeOps are what Resize changes something with.
func resizeOps() []string { return []string{"record", "fit resize", "resize"} }

// grown returns the old Spec with the sizes that disks have by now, as these stay.
func (e *env) grown(g *provision.Guest, s provision.Spec) provision.Spec {
	e.t.Helper()
	s = s.Copy()
	for i, d := range e.status(g).Disks {
		if i < len(s.Disks) && s.Disks[i].Size != 0 {
			s.Disks[i].Size = max(s.Disks[i].Size, d.Size)
		}
	}
	return s
}

func (e *env) resizeFails() {
	small, big := e.sized("a")
	again := func(f *Faults) *provision.Guest {
		g, err := e.open(f.Around).Guest(e.ctx, small.Name)
		require.NoError(e.t, err)
		return g
	}
	g := e.make(small)
	learn := NewFaults()
	e.resize(again(learn), big)
	e.delete(g)
	for _, p := range points(learn.Calls(), resizeOps()) {
		e.sub(p.String(), func(e *env) {
			g := e.make(small)
			require.NoError(e.t, g.Start(e.ctx, nil))
			f := NewFaults()
			same := again(f)
			p.fail(f, errInjected)
			_, err := same.Resize(e.ctx, big, &provision.ResizeOptions{AtRestart: true})
			require.ErrorIs(e.t, err, errInjected)
			require.NotContains(e.t, err.Error(), "undo failed")
			require.Empty(e.t, f.Pending())
			e.as(e.grown(g, small))
			e.state(g, provision.StateRunning)
			e.resize(same, big)
			_, err = g.Restart(e.ctx, &provision.StopOptions{Force: true})
			require.NoError(e.t, err)
			e.as(big)
			e.delete(g)
		})
	}
}

func (e *env) resizeKilled() {
	small, big := e.sized("a")
	learn := NewFaults()
	learner, err := e.open(learn.Around).Create(e.ctx, small, nil)
	require.NoError(e.t, err)
	calls := len(learn.Calls())
	e.resize(learner, big)
	e.delete(learner)
	before := e.leftovers()
	for i, p := range points(learn.Calls()[calls:], resizeOps()) {
		e.sub(p.String(), func(e *env) {
			g := e.make(small)
			e.killed(e.spawn(job{Do: "resize", Name: small.Name, Key: small.Key, Kill: &p}))
			e.state(g, provision.StateStopped)
			if i%2 == 0 {
				require.NoError(e.t, g.Start(e.ctx, nil), "it works")
				_, err := g.Stop(e.ctx, &provision.StopOptions{Force: true})
				require.NoError(e.t, err)
			}
			for _, l := range e.status(g).Limits {
				require.NotContains(e.t, l.Reason, "other means", "limit %s", l.Path)
			}
			e.resize(g, big)
			e.as(big)
			e.delete(g)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}
