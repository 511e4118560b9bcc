package provisiontest

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/guestforge/provision"
)

// Usage implements [provision.StatsReader]. A guest that is on uses all of its
// processors, and reads and sends a little for each second of that.
func (b *Backend) Usage(ctx context.Context, ids []provision.ID) (map[provision.ID]provision.Usage, error) {
	if err := b.refuse(provision.FeatureUsage); err != nil {
		return nil, err
	}
	all := map[provision.ID]provision.Usage{}
	err := b.view(ctx, func(m *machine) error {
		for _, g := range m.Guests {
			if ids == nil && g.State.Live() || slices.Contains(ids, g.ID) {
				all[g.ID] = m.usage(g)
			}
		}
		return nil
	})
	return all, err
}

func (m *machine) usage(g *guest) provision.Usage {
	u := provision.Usage{Time: m.opts.Clock.Now()}
	ran := m.ran(g)
	if g.State.Live() {
		u.Run = strconv.Itoa(g.Runs)
		u.CPU = ran * time.Duration(max(1, g.Spec.CPU.Count))
		u.Memory = provision.MemoryUsage{Host: g.Spec.Memory.Size, Guest: g.Spec.Memory.Size / 2}
		for _, n := range g.Spec.NICs {
			u.NICs = append(u.NICs, provision.NICUsage{
				MAC: n.MAC, In: provision.Bytes(ran.Seconds() * 100), PacketsIn: uint64(ran.Seconds()),
			})
		}
	}
	for i := range g.Spec.Disks {
		d := provision.DiskUsage{Target: diskTarget(i), Allocated: provision.Bytes(m.Volumes[volumeName(g.ID, i)].Size / 2)}
		if g.State.Live() {
			d.Read, d.Reads = provision.Bytes(ran.Seconds()*4096), uint64(ran.Seconds())
		}
		u.Disks = append(u.Disks, d)
	}
	return u
}

// ran is how long a guest has been running since it was started, pauses not
// counted.
func (m *machine) ran(g *guest) time.Duration {
	if g.Since.IsZero() {
		return g.Ran
	}
	return g.Ran + m.opts.Clock.Now().Sub(g.Since)
}

// Addresses implements [provision.Addresser]. A running guest has an agent, which
// tells what the Spec gives it, and leases an address for each NIC without one.
func (b *Backend) Addresses(ctx context.Context, id provision.ID) (provision.Addresses, error) {
	if err := b.refuse(provision.FeatureAddresses); err != nil {
		return provision.Addresses{}, err
	}
	var all provision.Addresses
	err := b.view(ctx, func(m *machine) error {
		g, err := m.byID(id)
		switch {
		case err != nil:
			return err
		case g.State == provision.StateRunning:
			all.Found = seen(&g.Spec)
		default:
			all.Failed = append(all.Failed, provision.FailedSource{Source: provision.SourceAgent, Reason: "the guest is " + string(g.State)})
		}
		all.Failed = append(all.Failed, provision.FailedSource{Source: provision.SourceARP, Reason: "the simulated host has no ARP table"})
		return nil
	})
	return all, err
}

func seen(s *provision.Spec) (list []provision.Address) {
	for _, n := range s.NICs {
		if len(n.Addresses) == 0 {
			leased := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, n.MAC[5]}), 24)
			list = append(list, provision.Address{Address: leased, MAC: n.MAC, Source: provision.SourceLease})
		}
	}
	for _, n := range s.NICs {
		for _, p := range n.Addresses {
			list = append(list, provision.Address{Address: p, MAC: n.MAC, Source: provision.SourceAgent})
		}
	}
	return list
}
