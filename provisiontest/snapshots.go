package provisiontest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func snapshotCases() []testCase {
	return []testCase{
		rule("kept", "a snapshot is listed with its time and consistency, brings the disks back as they were, more than once, and goes with its guest", (*env).snapshotKept),
		rule("refused", "a name that is taken or none, a snapshot that is not there and a guest that is on are refused; deleting what is not there is success", withSnapshots((*env).snapshotRefused)),
		rule("image", "an image that only a snapshot may stand on is in use as long as the guest needs it", withSnapshots((*env).snapshotImage)),
		rule("fails", "a Snapshot that fails at any step leaves none, and can be repeated", withSnapshots((*env).snapshotFails)),
		rule("killed", "a process that is killed at any step of a Snapshot leaves none, or a whole one; the next one and Delete leave nothing of it", withSnapshots((*env).snapshotKilled)),
		rule("restore-killed", "a process that is killed at any step of a restore leaves a guest that is as before or after it, or one that does not start until it is restored", withSnapshots((*env).restoreKilled)),
	}
}

// withSnapshots makes a case of something that only guests with snapshots have. The
// case "kept" demands the refusal of the others.
func withSnapshots(run func(*env)) func(*env) {
	return func(e *env) {
		if e.Supports(provision.FeatureSnapshots) == nil {
			run(e)
		}
	}
}

// marked is a file that these cases make in guests.
const marked = "/mark"

// mark makes the file, and hasMark tells whether it is there; where programs cannot
// be run in guests, what is on their disks is not looked at.
func (e *env) mark(g *provision.Guest) {
	e.t.Helper()
	if e.Supports(provision.FeatureExec) == nil {
		require.Equal(e.t, output{}, e.exec(g, provision.ExecOptions{}, "touch", marked))
	}
}

func (e *env) hasMark(g *provision.Guest, want bool) {
	e.t.Helper()
	if e.Supports(provision.FeatureExec) == nil {
		require.Equal(e.t, want, e.exec(g, provision.ExecOptions{}, "test", "-e", marked).OK(), "%s is there", marked)
	}
}

// on starts a guest and waits until programs can be run in it.
func (e *env) on(g *provision.Guest) {
	e.t.Helper()
	require.NoError(e.t, g.Start(e.ctx, nil))
	if e.Supports(provision.FeatureExec) == nil {
		_, err := g.Wait(e.ctx, provision.UntilExec())
		require.NoError(e.t, err)
	}
}

func (e *env) off(g *provision.Guest) {
	e.t.Helper()
	_, err := g.Stop(e.ctx, &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
}

// snapshots requires a guest to have these.
func (e *env) snapshots(g *provision.Guest, want ...string) []provision.Snapshot {
	e.t.Helper()
	list, err := g.Snapshots(e.ctx)
	require.NoError(e.t, err)
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	require.Equal(e.t, want, names)
	return list
}

func (e *env) snap(g *provision.Guest, name string) provision.Snapshot {
	e.t.Helper()
	s, err := g.Snapshot(e.ctx, name, nil)
	require.NoError(e.t, err)
	return s
}

func (e *env) snapshotKept() {
	before := e.leftovers()
	g := e.create("a")
	snapshot := func() error { _, err := g.Snapshot(e.ctx, "clean", nil); return err }
	if !e.declared(provision.FeatureSnapshots, snapshot) {
		e.declared(provision.FeatureSnapshots, func() error { _, err := g.Snapshots(e.ctx); return err })
		e.declared(provision.FeatureSnapshots, func() error { return g.RestoreSnapshot(e.ctx, "clean", nil) })
		e.declared(provision.FeatureSnapshots, func() error { return g.DeleteSnapshot(e.ctx, "clean") })
		return
	}
	clean := e.snap(g, "clean")
	require.Equal(e.t, provision.ConsistencyStopped, clean.Consistency)
	require.False(e.t, clean.Created.IsZero())
	e.on(g)
	e.mark(g)
	dirty := e.snap(g, "dirty")
	require.Equal(e.t, provision.ConsistencyFrozen, dirty.Consistency)
	e.state(g, provision.StateRunning)
	e.hasMark(g, true)
	require.Empty(e.t, diff([]provision.Snapshot{clean, dirty}, e.snapshots(g, "clean", "dirty")))
	limits := e.status(g).Limits
	for _, back := range []struct {
		name string
		mark bool
	}{{"clean", false}, {"dirty", true}, {"clean", false}} {
		e.off(g)
		require.NoError(e.t, g.RestoreSnapshot(e.ctx, back.name, nil))
		e.on(g)
		e.hasMark(g, back.mark)
	}
	require.Empty(e.t, diff(limits, e.status(g).Limits), "limits are no part of a snapshot")
	require.NoError(e.t, g.DeleteSnapshot(e.ctx, "clean"))
	e.snapshots(g, "dirty")
	e.hasMark(g, false)
	e.delete(g)
	require.Empty(e.t, diff(before, e.leftovers()))
}

func (e *env) snapshotRefused() {
	g := e.create("a")
	for _, name := range badNames() {
		_, err := g.Snapshot(e.ctx, name, nil)
		e.refused(err, "name")
		e.refused(g.RestoreSnapshot(e.ctx, name, nil), "name")
		e.refused(g.DeleteSnapshot(e.ctx, name), "name")
	}
	e.snapshots(g)
	e.snap(g, "a")
	_, err := g.Snapshot(e.ctx, "a", nil)
	require.ErrorIs(e.t, err, provision.ErrExists)
	require.ErrorIs(e.t, g.RestoreSnapshot(e.ctx, "b", nil), provision.ErrNotFound)
	require.NoError(e.t, g.Start(e.ctx, nil))
	require.ErrorIs(e.t, g.RestoreSnapshot(e.ctx, "a", nil), provision.ErrState)
	e.state(g, provision.StateRunning)
	require.NoError(e.t, g.DeleteSnapshot(e.ctx, "b"))
	require.NoError(e.t, g.DeleteSnapshot(e.ctx, "a"))
	require.NoError(e.t, g.DeleteSnapshot(e.ctx, "a"), "repeated")
	e.snapshots(g)
	e.delete(g)
	_, err = g.Snapshot(e.ctx, "a", nil)
	require.ErrorIs(e.t, err, provision.ErrNotFound)
}

func (e *env) snapshotImage() {
	if e.Supports(provision.FeatureImages) != nil {
		return
	}
	img, err := e.imported(e.Host, "a", provision.ImportOptions{})
	require.NoError(e.t, err)
	spec := e.spec("stands")
	spec.Image = img.Name
	g := e.make(spec)
	e.snap(g, "a")
	err = e.RemoveImage(e.ctx, img.Name)
	if err != nil { // else nothing stands on it
		require.ErrorIs(e.t, err, provision.ErrState)
	}
	require.NoError(e.t, g.RestoreSnapshot(e.ctx, "a", nil), "what it stands on is there")
	require.NoError(e.t, g.Start(e.ctx, nil))
	e.delete(g)
	require.NoError(e.t, e.RemoveImage(e.ctx, img.Name))
}

// snapshotPoints learns the steps of one verb from a run without faults.
func (e *env) snapshotPoints(do func(*provision.Guest), ops ...string) []point {
	e.t.Helper()
	learn := NewFaults()
	g, err := e.open(learn.Around).Create(e.ctx, e.spec("learn"), nil)
	require.NoError(e.t, err)
	calls := len(learn.Calls())
	do(g)
	list := points(learn.Calls()[calls:], ops)
	require.NotEmpty(e.t, list)
	e.delete(g)
	return list
}

func (e *env) snapshotFails() {
	list := e.snapshotPoints(func(g *provision.Guest) { e.snap(g, "a") }, "snapshots", "snapshot")
	g := e.create("a")
	e.snap(g, "kept")
	before := e.leftovers()
	for _, p := range list {
		e.sub(p.String(), func(e *env) {
			f := NewFaults()
			same, err := e.open(f.Around).Guest(e.ctx, g.Name())
			require.NoError(e.t, err)
			p.fail(f, errInjected)
			_, err = same.Snapshot(e.ctx, "b", nil)
			require.ErrorIs(e.t, err, errInjected)
			require.Empty(e.t, f.Pending())
			e.snapshots(g, "kept")
			require.Empty(e.t, diff(before, e.leftovers()))
			e.snap(same, "b")
			require.NoError(e.t, g.DeleteSnapshot(e.ctx, "b"))
		})
	}
}

func (e *env) snapshotKilled() {
	list := e.snapshotPoints(func(g *provision.Guest) { e.snap(g, "a") }, "snapshot")
	before := e.leftovers()
	for i, p := range list {
		e.sub(p.String(), func(e *env) {
			g := e.create("a")
			e.killed(e.spawn(job{Do: "snapshot", Name: g.Name(), Kill: &p}))
			e.state(g, provision.StateStopped)
			list, err := g.Snapshots(e.ctx)
			require.NoError(e.t, err)
			if len(list) == 1 {
				require.NoError(e.t, g.RestoreSnapshot(e.ctx, childSnapshot, nil), "one that is listed is whole")
				require.NoError(e.t, g.DeleteSnapshot(e.ctx, childSnapshot))
			}
			if i%2 == 0 {
				e.snap(g, "next")
				require.NoError(e.t, g.DeleteSnapshot(e.ctx, "next"))
				e.snapshots(g)
				e.snap(g, childSnapshot)
			}
			e.delete(g)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

func (e *env) restoreKilled() {
	list := e.snapshotPoints(func(g *provision.Guest) {
		e.snap(g, childSnapshot)
		require.NoError(e.t, g.RestoreSnapshot(e.ctx, childSnapshot, nil))
	}, "record", "restore")
	before := e.leftovers()
	for _, p := range list {
		e.sub(p.String(), func(e *env) {
			g := e.create("a")
			e.snap(g, childSnapshot)
			e.killed(e.spawn(job{Do: "restore", Name: g.Name(), Kill: &p}))
			if err := g.Start(e.ctx, nil); err != nil {
				require.ErrorIs(e.t, err, provision.ErrState)
				require.Contains(e.t, e.status(g).Reason, "restore")
				require.ErrorIs(e.t, g.DeleteSnapshot(e.ctx, childSnapshot), provision.ErrState)
			}
			e.off(g)
			require.NoError(e.t, g.RestoreSnapshot(e.ctx, childSnapshot, nil))
			require.NoError(e.t, g.Start(e.ctx, nil))
			e.delete(g)
			require.Empty(e.t, diff(before, e.leftovers()))
		})
	}
}

// childSnapshot is the name of the snapshot that children take and restore.
const childSnapshot = "child"

// changes are the works of children that change a guest which is there.
func (s *suite) changes() map[string]work {
	on := func(do func(context.Context, *provision.Host, *provision.Guest, *job) error) work {
		return func(ctx context.Context, _ *testing.T, h *provision.Host, j *job) (provision.ID, error) {
			return childVerb(ctx, h, j, func(g *provision.Guest) error { return do(ctx, h, g, j) })
		}
	}
	return map[string]work{
		"resize": func(ctx context.Context, t *testing.T, h *provision.Host, j *job) (provision.ID, error) {
			_, big := s.sized(h, s.keyed(t, h, j.Name))
			return childVerb(ctx, h, j, func(g *provision.Guest) error {
				_, err := g.Resize(ctx, big, &provision.ResizeOptions{AtRestart: true})
				return err
			})
		},
		"snapshot": on(func(ctx context.Context, _ *provision.Host, g *provision.Guest, _ *job) error {
			_, err := g.Snapshot(ctx, childSnapshot, nil)
			return err
		}),
		"restore": on(func(ctx context.Context, _ *provision.Host, g *provision.Guest, _ *job) error {
			return g.RestoreSnapshot(ctx, childSnapshot, nil)
		}),
	}
}
