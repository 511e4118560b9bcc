package provisiontest

import (
	"context"
	"fmt"
	"slices"

	"github.com/guestforge/provision"
)

// Inspect implements [provision.Backend].
func (b *Backend) Inspect(ctx context.Context, ref provision.Ref) (provision.Found, error) {
	var f provision.Found
	err := b.view(ctx, func(m *machine) error {
		g, err := m.byID(ref.ID)
		if ref.ID == "" {
			g, err = m.byName(ref.Name)
		}
		if err == nil {
			f = m.found(g)
		}
		return err
	})
	return f, err
}

// List implements [provision.Backend].
func (b *Backend) List(ctx context.Context) ([]provision.Found, error) {
	var list []provision.Found
	err := b.view(ctx, func(m *machine) error {
		for _, g := range m.sorted() {
			list = append(list, m.found(g))
		}
		return nil
	})
	return list, err
}

// ConsoleLog implements [provision.ConsoleLogger]. The log is never cut.
func (b *Backend) ConsoleLog(ctx context.Context, id provision.ID, offset int64) ([]byte, error) {
	if err := b.refuse(provision.FeatureConsoleLog); err != nil {
		return nil, err
	}
	var text []byte
	err := b.view(ctx, func(m *machine) error {
		g, err := m.byID(id)
		if err != nil {
			return err
		}
		offset = max(offset, 0)
		text = []byte(g.Console[min(offset, int64(len(g.Console))):])
		return nil
	})
	return text, err
}

// found is what a hypervisor would tell of a guest.
func (m *machine) found(g *guest) provision.Found {
	st := provision.Status{
		Name: g.Name, ID: g.ID, State: g.State, Reason: g.Reason, Autostart: g.Autostart,
		CPUs: g.Spec.CPU.Count, Memory: g.Spec.Memory.Size, Limits: m.limits(&g.Spec),
	}
	for i := range g.Spec.Disks {
		source := volumeName(g.ID, i)
		st.Disks = append(st.Disks, provision.DiskStatus{
			Target: diskTarget(i), Source: source, Size: provision.Bytes(m.Volumes[source].Size),
		})
	}
	for _, n := range g.Spec.NICs {
		st.NICs = append(st.NICs, provision.NICStatus{Bridge: n.Bridge, VLAN: n.VLAN, MAC: n.MAC, MTU: n.MTU, Isolated: n.Isolated})
		st.Addresses = append(st.Addresses, n.Addresses...)
	}
	return provision.Found{Status: st, Record: slices.Clone(g.Record)}
}

func diskTarget(i int) string { return fmt.Sprintf("vd%c", 'a'+i) }
