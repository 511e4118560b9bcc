package kvm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// maxQueues is how many queues a NIC gets at most. Each takes a thread of the
// host, and interrupts of the guest.
const maxQueues = 8

// nics are the network cards of a guest, in the order of its Spec.
func (b *Backend) nics(g *provision.NewGuest) []domainxml.NIC {
	var list []domainxml.NIC
	for i, n := range g.Spec.NICs {
		if n.Bridge == "" {
			continue // gone from the guest that a plan compares with
		}
		nic := domainxml.NIC{
			Bridge: n.Bridge, MAC: n.MAC.String(), Device: tapName(g.ID, i),
			OpenVSwitch: b.isOVS(n.Bridge), VLAN: n.VLAN, Isolated: n.Isolated, MTU: n.MTU,
			// As many as processors, which is part of what the guest sees.
			Queues: min(g.Spec.CPU.Count, maxQueues),
			In:     kibPerSecond(n.Rate.In), Out: kibPerSecond(n.Rate.Out),
		}
		if f := b.filterFor(&n); f != nil {
			nic.Filter, nic.Parameters = f.name, f.parameters(&n)
		}
		list = append(list, nic)
	}
	return list
}

// isOVS says whether a bridge is one of Open vSwitch, which only the options
// know: libvirt does not tell.
func (b *Backend) isOVS(bridge string) bool { return slices.Contains(b.opts.OpenVSwitch, bridge) }

// tapName is the host's side of a NIC: the same at each start, so that counters
// and rules can name it. Linux takes 15 characters; libvirt keeps "vnet" for
// itself.
func tapName(id provision.ID, nic int) string {
	return fmt.Sprintf("gf%.11s%x", strings.ReplaceAll(string(id), "-", ""), nic)
}

// keepQueues gives NICs as many queues as they were made with: the guest has seen
// them.
func keepQueues(list []domainxml.NIC, inv *domainxml.Inventory) {
	for i := range list {
		at := slices.IndexFunc(inv.NICs, func(n domainxml.NICItem) bool { return n.MAC == list[i].MAC })
		if at >= 0 {
			list[i].Queues = inv.NICs[at].Queues
		}
	}
}
