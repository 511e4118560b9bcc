package provisiontest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guestforge/provision"
)

// Orphans implements [provision.Sweeper].
func (b *Backend) Orphans(ctx context.Context) ([]provision.Orphan, error) {
	if err := b.refuse(provision.FeatureOrphans); err != nil {
		return nil, err
	}
	var list []provision.Orphan
	err := b.view(ctx, func(m *machine) error {
		list = m.orphans()
		return nil
	})
	return list, err
}

// RemoveOrphan implements [provision.Sweeper].
func (b *Backend) RemoveOrphan(ctx context.Context, o provision.Orphan, before time.Time) error {
	if err := b.refuse(provision.FeatureOrphans); err != nil {
		return err
	}
	return b.update(ctx, func(m *machine) error {
		for _, have := range m.orphans() {
			if have.Kind != o.Kind || have.Name != o.Name || have.ID != o.ID || have.Image != o.Image || have.Modified.After(before) {
				continue
			}
			switch o.Kind {
			case provision.OrphanVolume:
				delete(m.Volumes, o.Name)
				delete(m.Snapshots, o.Name)
			case provision.OrphanSeed:
				delete(m.Seeds, o.Name)
			case provision.OrphanImage:
				delete(m.Partial, o.Name)
			}
			return nil
		}
		return fmt.Errorf("%w: %s is no orphan, or was written to after %s", provision.ErrConflict, o.Name, before)
	})
}

// orphans lists what belongs to no guest. A guest's entry is made first and
// removed last, and all of this is seen at one moment.
func (m *machine) orphans() []provision.Orphan {
	var list []provision.Orphan
	add := func(kind provision.OrphanKind, name string, owner provision.ID) {
		if m.Guests[owner] == nil {
			list = append(list, provision.Orphan{Kind: kind, Name: name, ID: owner, Evidence: []string{
				"its name has the form of what this backend makes for guests", fmt.Sprintf("no guest has the ID %s", owner)}})
		}
	}
	for name, v := range m.Volumes {
		n := len(list)
		if add(provision.OrphanVolume, name, v.Owner); len(list) > n {
			list[n].Size, list[n].Modified = provision.Bytes(v.Size), v.Made
		}
	}
	for name, s := range m.Snapshots {
		n := len(list)
		if add(provision.OrphanVolume, name, s.Owner); len(list) > n {
			list[n].Size, list[n].Modified = provision.Bytes(s.Size), s.Created
		}
	}
	for name, owner := range m.Seeds {
		add(provision.OrphanSeed, name, owner)
	}
	for name := range m.Partial {
		list = append(list, provision.Orphan{Kind: provision.OrphanImage, Name: name, Image: name,
			Evidence: []string{"an import began and did not finish", "no image has this name"}})
	}
	return list
}

// StopByAgent implements [provision.AgentStopper], for the guests that
// BackendOptions.Agent names. An agent hears also where the guest is deaf.
func (b *Backend) StopByAgent(ctx context.Context, id provision.ID) error {
	return b.change(ctx, id, func(m *machine, g *guest) error {
		switch {
		case m.opts.Agent == nil || !m.opts.Agent(g.Name):
			return fmt.Errorf("%w: guest %q has no agent", errors.ErrUnsupported, g.Name)
		case g.State == provision.StateRunning:
			m.shutDown(g)
			return nil
		case g.State.Live():
			return stateError("shut down by its agent", g)
		}
		return nil
	})
}

// ForceStart starts a guest by means that SetSuspended does not block, as most
// hypervisors cannot.
func (b *Backend) ForceStart(name string) error {
	return b.meddle(name, func(m *machine, g *guest) error {
		blocked := g.Suspended
		g.Suspended = false
		err := m.start(g)
		g.Suspended = blocked
		return err
	})
}

// Forget removes a guest's own entry behind the library's back, and leaves its
// volumes and seed.
func (b *Backend) Forget(name string) error {
	return b.meddle(name, func(m *machine, g *guest) error {
		m.undefine(g.ID)
		return nil
	})
}

var (
	_ provision.AgentStopper = (*Backend)(nil)
	_ provision.Sweeper      = (*Backend)(nil)
)
