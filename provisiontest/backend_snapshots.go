package provisiontest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

// snapshot is what the disks of a guest were.
type snapshot struct {
	Owner       provision.ID          `json:"owner"`
	Name        string                `json:"name"`
	Created     time.Time             `json:"created"`
	Size        uint64                `json:"size"`
	Consistency provision.Consistency `json:"consistency"`
	Base        string                `json:"base,omitempty"` // the image that it stands on
	Files       map[string]bool       `json:"files,omitempty"`
	Whole       bool                  `json:"whole"`
}

// Snapshot implements [provision.Snapshotter], in the steps "begin", "copy" and
// "commit".
func (b *Backend) Snapshot(ctx context.Context, id provision.ID, n *provision.NewSnapshot, s *provision.Steps) (provision.Snapshot, error) {
	var taken snapshot
	for _, step := range []struct {
		name string
		do   func(*machine, *guest) error
	}{
		{"begin", func(m *machine, g *guest) error {
			for _, name := range m.snapshotsOf(id) {
				if !m.Snapshots[name].Whole {
					delete(m.Snapshots, name)
				}
			}
			put(&m.Snapshots, snapshotName(id, n.Name), snapshot{Owner: id, Name: n.Name, Created: n.Created})
			return nil
		}},
		{"copy", func(m *machine, g *guest) error {
			m.copyTo(snapshotName(id, n.Name), g)
			return nil
		}},
		{"commit", func(m *machine, _ *guest) error {
			taken = m.Snapshots[snapshotName(id, n.Name)]
			taken.Whole = true
			put(&m.Snapshots, snapshotName(id, n.Name), taken)
			return nil
		}},
	} {
		if err := b.snapshotStep(ctx, s, id, step.name, step.do); err != nil {
			return provision.Snapshot{}, err
		}
	}
	return taken.public(), nil
}

func (m *machine) copyTo(name string, g *guest) {
	snap := m.Snapshots[name]
	snap.Consistency = provision.ConsistencyStopped
	if g.State.Live() {
		snap.Consistency = provision.ConsistencyFrozen
	}
	for _, v := range m.volumesOf(g.ID) {
		snap.Size += m.Volumes[v].Size
		snap.Base = cmp.Or(snap.Base, m.Volumes[v].Base)
	}
	snap.Files = maps.Clone(g.Files)
	put(&m.Snapshots, name, snap)
}

// Snapshots implements [provision.Snapshotter].
func (b *Backend) Snapshots(ctx context.Context, id provision.ID) ([]provision.Snapshot, error) {
	if err := b.refuse(provision.FeatureSnapshots); err != nil {
		return nil, err
	}
	var list []provision.Snapshot
	err := b.view(ctx, func(m *machine) error {
		_, err := m.byID(id)
		for _, name := range m.snapshotsOf(id) {
			if snap := m.Snapshots[name]; snap.Whole {
				list = append(list, snap.public())
			}
		}
		return err
	})
	return list, err
}

// RestoreSnapshot implements [provision.Snapshotter], in the steps "look" and
// "exchange".
func (b *Backend) RestoreSnapshot(ctx context.Context, id provision.ID, name string, s *provision.Steps) error {
	var snap snapshot
	err := b.snapshotStep(ctx, s, id, "look", func(m *machine, g *guest) error {
		snap = m.Snapshots[snapshotName(id, name)]
		switch {
		case g.State.Live():
			return stateError("restore", g)
		case !snap.Whole:
			return fmt.Errorf("snapshot %q: %w", name, provision.ErrNotFound)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.snapshotStep(ctx, s, id, "exchange", func(_ *machine, g *guest) error {
		g.Files = maps.Clone(snap.Files)
		return nil
	})
}

// DeleteSnapshot implements [provision.Snapshotter], in the step "remove".
func (b *Backend) DeleteSnapshot(ctx context.Context, id provision.ID, name string, s *provision.Steps) error {
	return b.snapshotStep(ctx, s, id, "remove", func(m *machine, _ *guest) error {
		delete(m.Snapshots, snapshotName(id, name))
		return nil
	})
}

func (b *Backend) snapshotStep(ctx context.Context, s *provision.Steps, id provision.ID, name string, do func(*machine, *guest) error) error {
	if err := b.refuse(provision.FeatureSnapshots); err != nil {
		return err
	}
	return b.stepOn(ctx, s, id, name, do)
}

func (s snapshot) public() provision.Snapshot {
	return provision.Snapshot{Name: s.Name, Created: s.Created, Size: provision.Bytes(s.Size), Consistency: s.Consistency}
}

// snapshotsOf lists the snapshots of a guest, remains included, by their keys.
func (m *machine) snapshotsOf(id provision.ID) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m.Snapshots)) {
		if m.Snapshots[name].Owner == id {
			list = append(list, name)
		}
	}
	return list
}

func snapshotName(id provision.ID, name string) string {
	return fmt.Sprintf("%s-snapshot %s", id, name)
}

// shortName is a name without the ID that it begins with.
func shortName(id provision.ID, name string) string { return strings.TrimPrefix(name, string(id)+"-") }

var _ provision.Snapshotter = (*Backend)(nil)
