//go:build linux

package lxc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/roots"
)

// snapshotNote is what is kept with a snapshot beside its root.
type snapshotNote struct {
	Created     time.Time             `json:"created"`
	Consistency provision.Consistency `json:"consistency"`
}

// Snapshot implements [provision.Snapshotter]. What a snapshot takes is the host's
// disk, which no limit of the guest bounds: all that the guest has written since it
// was made, but for Btrfs and where files can share blocks.
func (b *Backend) Snapshot(ctx context.Context, id provision.ID, n *provision.NewSnapshot, s *provision.Steps) (provision.Snapshot, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return provision.Snapshot{}, err
	}
	note := snapshotNote{Created: n.Created, Consistency: provision.ConsistencyStopped}
	err = s.Do(ctx, "snapshot", func(ctx context.Context) (err error) {
		l, err := b.lifeOf(d)
		if err != nil {
			return err
		}
		if l.init != 0 {
			note.Consistency = provision.ConsistencyFrozen
		}
		text, err := json.Marshal(note)
		if err != nil {
			return err
		}
		r := b.rootOf(d)
		return b.whileFrozen(ctx, d, l, func() error {
			return r.Snapshot(ctx, n.Name, string(text), func(_, bytes int64) { s.Progress(bytes, 0) })
		})
	})
	if errors.Is(err, os.ErrExist) {
		return provision.Snapshot{}, fmt.Errorf("%w: %w", provision.ErrExists, err)
	}
	if err != nil {
		return provision.Snapshot{}, err
	}
	return b.snapshot(d, n.Name)
}

// Snapshots implements [provision.Snapshotter].
func (b *Backend) Snapshots(ctx context.Context, id provision.ID) ([]provision.Snapshot, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return nil, err
	}
	kept, err := b.rootOf(d).Snapshots()
	if err != nil {
		return nil, err
	}
	var list []provision.Snapshot
	for _, k := range kept {
		s, err := snapshotOf(k)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func snapshotOf(k roots.Snapshot) (provision.Snapshot, error) {
	var note snapshotNote
	if err := json.Unmarshal([]byte(k.Note), &note); err != nil {
		return provision.Snapshot{}, fmt.Errorf("note of the snapshot %s: %w", k.Name, err)
	}
	return provision.Snapshot{Name: k.Name, Created: note.Created, Size: provision.Bytes(k.Size), Consistency: note.Consistency}, nil
}

// snapshot returns one by its name.
func (b *Backend) snapshot(d *definition, name string) (provision.Snapshot, error) {
	kept, err := b.rootOf(d).Snapshots()
	if err != nil {
		return provision.Snapshot{}, err
	}
	for _, k := range kept {
		if k.Name == name {
			return snapshotOf(k)
		}
	}
	return provision.Snapshot{}, fmt.Errorf("%w: the guest has no snapshot %s", provision.ErrNotFound, name)
}

// RestoreSnapshot implements [provision.Snapshotter]. An image file that has grown
// since the snapshot grows again.
func (b *Backend) RestoreSnapshot(ctx context.Context, id provision.ID, name string, s *provision.Steps) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	switch l, err := b.lifeOf(d); {
	case err != nil:
		return err
	case l.state != provision.StateStopped:
		return fmt.Errorf("%w: it is %s", provision.ErrState, l.state)
	}
	if _, err := b.snapshot(d, name); err != nil {
		return err
	}
	r := b.rootOf(d)
	// Before the first step, after which Host takes the root for half restored.
	if err := errors.Join(r.Unmount(ctx), r.Unused()); err != nil {
		if errors.Is(err, roots.ErrBusy) {
			err = fmt.Errorf("%w: %w", provision.ErrBusy, err)
		}
		return errors.Join(err, r.Mount(context.WithoutCancel(ctx)))
	}
	err = s.Do(ctx, "restore", func(ctx context.Context) error {
		return r.Restore(ctx, name, func(_, bytes int64) { s.Progress(bytes, 0) })
	})
	// It is mounted again whatever became of it.
	return errors.Join(err, s.Do(ctx, "mount", func(ctx context.Context) error { return b.mountRoot(ctx, d) }))
}

// DeleteSnapshot implements [provision.Snapshotter].
func (b *Backend) DeleteSnapshot(ctx context.Context, id provision.ID, name string, s *provision.Steps) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	return s.Do(ctx, "delete snapshot", func(ctx context.Context) error { return b.rootOf(d).DeleteSnapshot(ctx, name) })
}

var _ provision.Snapshotter = (*Backend)(nil)
