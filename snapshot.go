package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Snapshot is what the disks of a guest were at one moment.
type Snapshot struct {
	Name    string
	Created time.Time
	// Size is what it takes up on the host by itself. Zero: not known.
	Size Bytes
	// Consistency says what state the files are in.
	Consistency Consistency
}

// Consistency says how far the files in a [Snapshot] are whole.
type Consistency string

// Values of [Consistency].
const (
	ConsistencyStopped Consistency = "stopped" // the guest was off: all is as it left it
	ConsistencyFrozen  Consistency = "frozen"  // it was on, and frozen for the moment: as after a power failure
)

// SnapshotOptions of [Guest.Snapshot] and [Guest.RestoreSnapshot].
type SnapshotOptions struct {
	// Progress is called as the work goes on, on the goroutine of the call.
	Progress func(Progress)
}

// Snapshot keeps the disks of the guest, all at the same moment, under a name that
// is built as those of guests; one that is taken is [ErrExists]. A guest that is on
// is frozen for that moment and goes on; ask what runs in it to write down what it
// has before. Only disks are kept: not memory, Spec, limits, labels or suspension. A
// snapshot is all or nothing: one that failed or was killed is not listed, and what
// is left of it goes with the next one. Snapshots go with their guest, and keep the
// image that they stand on in use. opts may be nil.
func (g *Guest) Snapshot(ctx context.Context, name string, opts *SnapshotOptions) (Snapshot, error) {
	var taken Snapshot
	err := g.withSnapshots(ctx, "take a snapshot of", name, func(b Snapshotter, have []Snapshot, st Status, rec *record) (err error) {
		switch {
		case st.State == StateUnknown || rec.Restoring != "":
			return stateError("take a snapshot of", st)
		case slices.ContainsFunc(have, func(s Snapshot) bool { return s.Name == name }):
			return fmt.Errorf("snapshot %q: %w", name, ErrExists)
		}
		taken, err = g.take(ctx, b, name, opts)
		return err
	})
	return taken, err
}

// take makes a snapshot, or nothing.
func (g *Guest) take(ctx context.Context, b Snapshotter, name string, opts *SnapshotOptions) (taken Snapshot, err error) {
	n := &NewSnapshot{Name: name, Created: g.host.opts.Clock.Now().UTC().Truncate(time.Second)}
	err = g.steps(ctx, "snapshot", opts.progress(), func(ctx context.Context, s *Steps) (err error) {
		taken, err = b.Snapshot(ctx, g.id, n, s)
		return err
	})
	if err == nil {
		return taken, nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.host.opts.UndoTimeout)
	defer cancel()
	uerr := g.host.insist(undo, func(ctx context.Context) error {
		return g.steps(ctx, "undo", nil, func(ctx context.Context, s *Steps) error { return b.DeleteSnapshot(ctx, g.id, name, s) })
	})
	if uerr != nil {
		err = errors.Join(err, fmt.Errorf("undo failed; the next snapshot or DeleteSnapshot removes what is left: %w", uerr))
	}
	return Snapshot{}, err
}

// Snapshots lists the snapshots of the guest, the oldest first.
func (g *Guest) Snapshots(ctx context.Context) ([]Snapshot, error) {
	b, err := need[Snapshotter](g.host, FeatureSnapshots)
	if err == nil {
		err = g.inside(ctx, "list snapshots of", func(State) bool { return true })
	}
	var list []Snapshot
	if err == nil {
		list, err = g.snapshots(ctx, b)
	}
	return list, g.wrap("list snapshots of", err)
}

func (g *Guest) snapshots(ctx context.Context, b Snapshotter) (list []Snapshot, err error) {
	err = g.call(ctx, "snapshots", func(ctx context.Context) (err error) {
		list, err = b.Snapshots(ctx, g.id)
		return err
	})
	slices.SortFunc(list, func(a, b Snapshot) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name)) })
	return list, err
}

// RestoreSnapshot puts the disks of the guest back as they were, and drops what was
// written since; the snapshot stays. Disks keep the sizes that they have now. A guest
// that is on is [ErrState], a snapshot that is not there is [ErrNotFound]. When it
// fails half-way or is killed, the guest is not started, and its Status says why,
// until a restore of this or another snapshot has finished. opts may be nil.
func (g *Guest) RestoreSnapshot(ctx context.Context, name string, opts *SnapshotOptions) error {
	return g.withSnapshots(ctx, "restore a snapshot of", name, func(b Snapshotter, have []Snapshot, st Status, rec *record) error {
		switch {
		case st.State.Live() || st.State == StateUnknown:
			return stateError("restore a snapshot of", st)
		case !slices.ContainsFunc(have, func(s Snapshot) bool { return s.Name == name }):
			return fmt.Errorf("snapshot %q: %w", name, ErrNotFound)
		}
		before := rec.Restoring
		rec.Restoring = name
		if err := g.host.save(ctx, g.name, rec); err != nil {
			return err
		}
		var steps *Steps
		err := g.steps(ctx, "restore", opts.progress(), func(ctx context.Context, s *Steps) error {
			steps = s
			return b.RestoreSnapshot(ctx, g.id, name, s)
		})
		if err != nil && steps.begun() {
			return fmt.Errorf("the guest is not started until a restore has finished: %w", err)
		}
		rec.Restoring = ""
		if err != nil {
			rec.Restoring = before
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.host.opts.UndoTimeout)
			defer cancel()
			ctx = undo
		}
		return errors.Join(err, g.host.save(ctx, g.name, rec))
	})
}

// halfRestored returns why a guest is not started, or nothing.
func halfRestored(r *record) string {
	if r.Restoring == "" {
		return ""
	}
	return fmt.Sprintf("a restore of snapshot %q did not finish; restore it again", r.Restoring)
}

// DeleteSnapshot removes a snapshot. One that is not there is success; one of which
// a restore has not finished is [ErrState].
func (g *Guest) DeleteSnapshot(ctx context.Context, name string) error {
	return g.withSnapshots(ctx, "delete a snapshot of", name, func(b Snapshotter, _ []Snapshot, st Status, rec *record) error {
		if rec.Restoring == name {
			return stateError("delete a snapshot of", st)
		}
		return g.steps(ctx, "delete snapshot", nil, func(ctx context.Context, s *Steps) error {
			return b.DeleteSnapshot(ctx, g.id, name, s)
		})
	})
}

// withSnapshots runs a verb that changes snapshots under the lock of the guest.
func (g *Guest) withSnapshots(ctx context.Context, verb, name string, do func(Snapshotter, []Snapshot, Status, *record) error) error {
	b, err := need[Snapshotter](g.host, FeatureSnapshots)
	f := &fields{}
	f.name(name)
	if err := errors.Join(err, errors.Join(f.errs...)); err != nil {
		return g.wrap(verb, err)
	}
	return g.change(ctx, verb, func(st Status, rec *record) error {
		have, err := g.snapshots(ctx, b)
		if err != nil {
			return err
		}
		return do(b, have, st, rec)
	})
}

// steps makes a long call of the backend.
func (g *Guest) steps(ctx context.Context, op string, progress func(Progress), do func(context.Context, *Steps) error) error {
	c := Call{Op: op, Guest: g.name, ID: g.id}
	s := g.host.steps(c, progress)
	return g.host.call(ctx, c, func(ctx context.Context) error { return do(ctx, s) })
}

func (o *SnapshotOptions) progress() func(Progress) {
	if o == nil {
		return nil
	}
	return o.Progress
}

type snapshotJSON struct {
	Name        string      `json:"name"`
	Created     time.Time   `json:"created,omitzero"`
	Size        uint64      `json:"size,omitempty"`
	Consistency Consistency `json:"consistency"`
}

// MarshalJSON writes the size as a number of bytes.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	return json.Marshal(snapshotJSON{s.Name, s.Created, uint64(s.Size), s.Consistency})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Snapshot) UnmarshalJSON(data []byte) error {
	var v snapshotJSON
	err := json.Unmarshal(data, &v)
	*s = Snapshot{v.Name, v.Created, Bytes(v.Size), v.Consistency}
	return err
}
