package provisiontest

import (
	"context"
	"errors"
	"fmt"

	"github.com/guestforge/provision"
)

// FitResize implements [provision.Resizer].
func (b *Backend) FitResize(ctx context.Context, id provision.ID, want *provision.Spec) ([]provision.Limit, error) {
	if err := b.refuse(provision.FeatureResize); err != nil {
		return nil, err
	}
	var limits []provision.Limit
	err := b.view(ctx, func(m *machine) error {
		if _, err := m.byID(id); err != nil {
			return err
		}
		limits = m.limits(want)
		without := *want
		without.Image = "" // it may be gone
		return errors.Join(m.judge(&without)...)
	})
	return limits, err
}

// Resize implements [provision.Resizer], in the steps "limits", "disk 0" and so on.
func (b *Backend) Resize(ctx context.Context, id provision.ID, want *provision.Spec, s *provision.Steps) error {
	if err := b.refuse(provision.FeatureResize); err != nil {
		return err
	}
	err := b.stepOn(ctx, s, id, "limits", func(_ *machine, g *guest) error {
		g.resize(want)
		return nil
	})
	for i, d := range want.Disks {
		if err != nil {
			return err
		}
		err = b.stepOn(ctx, s, id, fmt.Sprintf("disk %d", i), func(m *machine, g *guest) error {
			name := volumeName(g.ID, i)
			v := m.Volumes[name]
			v.Size = max(v.Size, uint64(d.Size))
			put(&m.Volumes, name, v)
			return nil
		})
	}
	return err
}

// stepOn changes one guest in one step of a long operation.
func (b *Backend) stepOn(ctx context.Context, s *provision.Steps, id provision.ID, name string, do func(*machine, *guest) error) error {
	return s.Do(ctx, name, func(ctx context.Context) error { return b.change(ctx, id, do) })
}

// resize gives a guest what it can have while it is on, and the rest when it is off.
func (g *guest) resize(want *provision.Spec) {
	next := want.Copy()
	g.Next = &next
	g.settle()
	g.Spec.CPU.Limit, g.Spec.CPU.Weight = next.CPU.Limit, next.CPU.Weight
	for i, d := range next.Disks {
		g.Spec.Disks[i].Size, g.Spec.Disks[i].IOPS, g.Spec.Disks[i].BPS = d.Size, d.IOPS, d.BPS
	}
	for i, n := range next.NICs {
		g.Spec.NICs[i].Rate = n.Rate
	}
}

// settle gives a guest that is off what it had to wait for.
func (g *guest) settle() {
	if g.Next != nil && !g.State.Live() {
		g.Spec, g.Next = *g.Next, nil
	}
}

var _ provision.Resizer = (*Backend)(nil)
