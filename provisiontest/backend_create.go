package provisiontest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/guestforge/provision"
)

// Create implements [provision.Backend], in the steps "define", "disk 0" and so
// on, and "seed".
func (b *Backend) Create(ctx context.Context, n *provision.NewGuest, s *provision.Steps) error {
	if err := b.refuseSpec(n.Spec); err != nil {
		return err
	}
	if err := b.step(ctx, s, "define", func(m *machine) error { return m.define(n) }); err != nil {
		return err
	}
	for i, d := range n.Spec.Disks {
		err := b.step(ctx, s, fmt.Sprintf("disk %d", i), func(m *machine) error {
			return m.addVolume(n, i, d)
		})
		if err != nil {
			return err
		}
	}
	return b.step(ctx, s, "seed", func(m *machine) error {
		put(&m.Seeds, seedName(n.ID), n.ID)
		return nil
	})
}

// define makes the guest's own entry, which nothing else may come before.
func (m *machine) define(n *provision.NewGuest) error {
	if other, err := m.byName(n.Spec.Name); err == nil && other.ID != n.ID {
		return fmt.Errorf("guest %q: %w", n.Spec.Name, provision.ErrExists)
	}
	g := entry(n)
	put(&m.Guests, n.ID, g)
	m.note(provision.EventCreated, g)
	return nil
}

// entry is the entry of a guest, without secrets.
func entry(n *provision.NewGuest) *guest {
	spec := n.Spec.Copy()
	spec.Access, spec.UserData, spec.Native = provision.Access{}, nil, nil
	return &guest{Name: spec.Name, ID: n.ID, Record: slices.Clone(n.Record), Spec: spec, State: provision.StateStopped}
}

func (m *machine) addVolume(n *provision.NewGuest, i int, d provision.Disk) error {
	v := volume{Owner: n.ID, Size: uint64(d.Size), Made: m.opts.Clock.Now().UTC()}
	if i == 0 {
		if img := m.Images[n.Spec.Image]; v.Size == 0 {
			v.Size = uint64(max(img.Capacity, img.Size))
		}
		if nat, ok := n.Spec.Native.(*Native); !ok || nat == nil || nat.Settings["rootDisk"] != "copy" {
			v.Base = n.Spec.Image
		}
	}
	put(&m.Volumes, volumeName(n.ID, i), v)
	return nil
}

// Delete implements [provision.Backend]: "kill", then each volume and snapshot,
// "seed" and "guest".
func (b *Backend) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	var volumes, snapshots []string
	err := b.view(ctx, func(m *machine) error {
		volumes, snapshots = m.volumesOf(id), m.snapshotsOf(id)
		return nil
	})
	if err != nil {
		return err
	}
	err = b.step(ctx, s, "kill", func(m *machine) error {
		if g := m.Guests[id]; g != nil && g.State.Live() {
			m.set(g, provision.StateStopped, "killed")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if err := b.step(ctx, s, shortName(id, v), func(m *machine) error { delete(m.Volumes, v); return nil }); err != nil {
			return err
		}
	}
	for _, snap := range snapshots {
		if err := b.step(ctx, s, shortName(id, snap), func(m *machine) error { delete(m.Snapshots, snap); return nil }); err != nil {
			return err
		}
	}
	err = b.step(ctx, s, "seed", func(m *machine) error { delete(m.Seeds, seedName(id)); return nil })
	if err != nil {
		return err
	}
	return b.step(ctx, s, "guest", func(m *machine) error { m.undefine(id); return nil })
}

func (m *machine) undefine(id provision.ID) {
	if g := m.Guests[id]; g != nil {
		delete(m.Guests, id)
		m.note(provision.EventDeleted, g)
	}
}

// volumesOf lists the volumes of a guest, the last first.
func (m *machine) volumesOf(id provision.ID) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m.Volumes)) {
		if m.Volumes[name].Owner == id {
			list = append(list, name)
		}
	}
	slices.Reverse(list)
	return list
}

// Names follow from the ID alone, so that what is left can always be found.
func volumeName(id provision.ID, i int) string { return fmt.Sprintf("%s-disk %d", id, i) }

func seedName(id provision.ID) string { return string(id) + "-seed" }

// put sets a key of a map that may be nil, as one from JSON is.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
