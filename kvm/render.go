package kvm

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// The record of a guest stands in its domain's metadata under this namespace.
const (
	namespace  = "https://github.com/guestforge/provision/record/1"
	nsPrefix   = "provision"
	nsElement  = "record"
	diskFormat = "qcow2"
)

// Names of what belongs to a guest follow from its ID alone.
func rootName(id provision.ID) string    { return string(id) + ".root.qcow2" }
func seedName(id provision.ID) string    { return string(id) + ".seed.img" }
func consoleName(id provision.ID) string { return string(id) + ".console.log" }

// domain describes the domain of a new guest.
func (b *Backend) domain(g *provision.NewGuest, p *pool, emulated bool) domainxml.Guest {
	s := g.Spec
	d := domainxml.Guest{
		Name:       s.Name,
		UUID:       string(g.ID),
		Emulated:   emulated,
		CPUs:       s.CPU.Count,
		Memory:     uint64(s.Memory.Size),
		ConsoleLog: p.path(consoleName(g.ID)),
		Metadata:   []domainxml.Metadata{metadata(g.Record)},
	}
	if s.Image != "" {
		d.Disks = append(d.Disks, domainxml.Disk{Path: p.path(rootName(g.ID)), Format: diskFormat, Serial: "root"})
	}
	d.Disks = append(d.Disks, domainxml.Disk{Path: p.path(seedName(g.ID)), Format: "raw", Serial: "seed", ReadOnly: true})
	for i, n := range s.NICs {
		d.NICs = append(d.NICs, domainxml.NIC{Bridge: n.Bridge, MAC: n.MAC.String(), Device: tapName(g.ID, i)})
	}
	if n, ok := s.Native.(*Native); ok {
		n.apply(&d)
	}
	return d
}

func metadata(r provision.Record) domainxml.Metadata {
	return domainxml.Metadata{Namespace: namespace, Prefix: nsPrefix, Element: nsElement, Text: string(r)}
}

// tapName is the host's side of a NIC: the same at each start, so that counters
// and rules can name it. Linux takes 15 characters; libvirt keeps "vnet" for
// itself.
func tapName(id provision.ID, nic int) string {
	return fmt.Sprintf("gf%.11s%x", strings.ReplaceAll(string(id), "-", ""), nic)
}

// route is a default route in netplan's flow style. A gateway outside of the
// NIC's networks, as hosters have it for single addresses, is reached on link;
// of link-local ones, the kernel knows that by itself only with IPv6.
func route(n provision.NIC, g netip.Addr) string {
	to := "::/0"
	if g.Is4() {
		to = "0.0.0.0/0"
	}
	for _, a := range n.Addresses {
		if a.Contains(g) || g.Is6() && g.IsLinkLocalUnicast() {
			return fmt.Sprintf("{to: %q, via: %q}", to, g)
		}
	}
	return fmt.Sprintf("{to: %q, via: %q, on-link: true}", to, g)
}
