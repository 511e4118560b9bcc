package kvm

import (
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
func nvramName(id provision.ID) string   { return string(id) + ".nvram.fd" }

// domain describes the domain of a new guest.
func (b *Backend) domain(g *provision.NewGuest, p *pool, emulated bool) domainxml.Guest {
	s := g.Spec
	d := domainxml.Guest{
		Name:       s.Name,
		UUID:       string(g.ID),
		Emulated:   emulated,
		ConsoleLog: p.ofFiles().path(consoleName(g.ID)),
		Agent:      true,
		Metadata:   []domainxml.Metadata{metadata(g.Record)},
		Disks:      disks(g, p),
		NICs:       b.nics(g),
	}
	limits(&d, s, b.known())
	if n, ok := s.Native.(*Native); ok {
		n.apply(&d, p.ofFiles().path(nvramName(g.ID)))
	}
	return d
}

func metadata(r provision.Record) domainxml.Metadata {
	return domainxml.Metadata{Namespace: namespace, Prefix: nsPrefix, Element: nsElement, Text: string(r)}
}
