//go:build linux

package lxc

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
)

// nicsFor are the host's sides of the guest's cards.
func nicsFor(d *definition) []*hostnet.NIC {
	var list []*hostnet.NIC
	for i := range d.Spec.NICs {
		n := &d.Spec.NICs[i]
		list = append(list, &hostnet.NIC{Guest: string(d.ID), Index: i, Bridge: n.Bridge, VLAN: n.VLAN, MAC: n.MAC, MTU: n.MTU,
			In: uint64(n.Rate.In), Out: uint64(n.Rate.Out), AntiSpoof: antiSpoofs(n), Addresses: n.Addresses, Isolated: n.Isolated})
	}
	return list
}

// antiSpoofs says whether a card gets rules: it does unless they are switched off.
func antiSpoofs(n *provision.NIC) bool { return n.AntiSpoof != provision.Off }

// netState is the network of the host, read when it is first needed: one reading
// does for all guests of a list.
type netState struct {
	once  sync.Once
	state *hostnet.State
	err   error
}

func (s *netState) read(ctx context.Context) (*hostnet.State, error) {
	s.once.Do(func() { s.state, s.err = hostnet.Read(ctx) })
	return s.state, s.err
}

// liveNICs says of what was asked of the cards of a guest that is on how far the
// kernel has it in force. The definition is nil of any other.
func liveNICs(ctx context.Context, net *netState, d *definition, st *provision.Status) error {
	if d == nil {
		return nil
	}
	nics := nicsFor(d)
	if len(nics) == 0 {
		return nil
	}
	state, err := net.read(ctx)
	if err != nil {
		return err
	}
	for i, n := range nics {
		for _, f := range state.Enforced(n) {
			switch f.Name {
			case "antiSpoof", "rate.in", "rate.out":
				st.Limits = append(st.Limits, nicLimit(i, f))
			case "isolated":
				if i < len(st.NICs) {
					st.NICs[i].Isolated = f.Have == "true"
				}
			}
		}
	}
	return nil
}

// foretellNIC says of the limits of a card what would be in effect.
func foretellNIC(i int, n *provision.NIC) []provision.Limit {
	var list []provision.Limit
	add := func(name, have string) {
		list = append(list, provision.Limit{Path: nicPath(i, name), Have: have, Enforcement: provision.Enforced})
	}
	if antiSpoofs(n) {
		add("antiSpoof", "true")
	}
	if n.Rate.In != 0 {
		add("rate.in", (n.Rate.In / 8 * 8).String())
	}
	if n.Rate.Out != 0 {
		add("rate.out", (n.Rate.Out / 8 * 8).String())
	}
	return list
}

func nicLimit(i int, f hostnet.Feature) provision.Limit {
	l := provision.Limit{Path: nicPath(i, f.Name), Have: f.Have, Enforcement: enforcement[f.Enforcement], Reason: f.Reason}
	if n, err := strconv.ParseUint(f.Have, 10, 63); err == nil {
		l.Have = provision.BitRate(n).String()
	}
	return l
}

var enforcement = map[hostnet.Enforcement]provision.Enforcement{
	hostnet.Enforced:    provision.Enforced,
	hostnet.Partial:     provision.Partial,
	hostnet.NotEnforced: provision.NotEnforced,
}

func nicPath(i int, name string) string { return fmt.Sprintf("nics[%d].%s", i, name) }
