package kvm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/guestforge/provision/domainxml"
)

// guards are what edits must leave as it is, and whose it is. An element stands
// for all that is in it.
var guards = []struct{ path, what string }{
	{"/domain/@type", "the choice between KVM and emulation (kvm.Options.Emulation)"},
	{"name", "the name of the guest"},
	{"uuid", "the ID of the guest"},
	{"vcpu", "what cpu.count sets"},
	{"memory", "what memory.size sets"},
	{"currentMemory", "what memory.size sets"},
	{"maxMemory", "what memory.size sets"},
	{"on_poweroff", "what a shutdown means"},
	{"metadata/" + nsPrefix + ":" + nsElement, "the record of the guest"},
	{"memtune", "the limits of memory"},
	{"blkiotune", "the limits of disks"},
	{"cputune/shares", "what cpu.weight sets"},
	{"cputune/period", "what cpu.limit sets"},
	{"cputune/quota", "what cpu.limit sets"},
	{"cputune/global_period", "what cpu.limit sets"},
	{"cputune/global_quota", "what cpu.limit sets"},
	{"cputune/vcpupin", "what cpu.pin sets"},
	{"cputune/emulatorpin", "what cpu.pin sets"},
	{"memoryBacking/hugepages", "what memory.hugePages sets"},
	{"memoryBacking/locked", "what memory.guaranteed sets"},
	{"memoryBacking/allocation", "what memory.guaranteed sets"},
	{"memoryBacking/nosharepages", "what memory.guaranteed sets"},
	{"devices/memballoon", "what memory.guaranteed sets"},
	{"resource", "the cgroup of the guest"},
	{"os/nvram", "the file of UEFI variables (native.firmware)"},
	{"os/@firmware", "what native.firmware sets"},
	{"os/firmware", "what native.firmware sets"},
	{"os/type", "what native.machine sets"},
	{"os/kernel", "what native.kernel sets"},
	{"os/initrd", "what native.kernel sets"},
	{"os/cmdline", "what native.kernel sets"},
	{"cpu/@mode", "what native.cpuModel sets"},
	{"cpu/model", "what native.cpuModel sets"},
}

// Parts of a disk and of a NIC that edits must leave.
var (
	diskGuards = []string{"@type", "@device", "source", "target", "backingStore", "mirror", "readonly", "serial", "driver/@type", "driver/@cache", "driver/@io", "iotune", "transient", "shareable"}
	nicGuards  = []string{"@type", "source", "mac", "target", "filterref", "bandwidth", "vlan", "virtualport", "port", "link", "mtu"}
)

// guard is a part of a document with its text.
type guard struct{ what, text string }

// guarded is what must stay of a document. Of devices, those that are there: what
// an edit adds comes behind them.
type guarded struct {
	fixed   []guard
	devices map[string][][]guard // by kind
}

func guardedOf(d *domainxml.Document) (*guarded, error) {
	inv, err := d.Inventory()
	if err != nil {
		return nil, err
	}
	r := guardReader{doc: d}
	g := &guarded{devices: map[string][][]guard{}}
	g.fixed = append(g.fixed,
		guard{"the record of the guest", inv.Metadata[namespace]},
		guard{"what the guest is", fmt.Sprint(inv.Type, inv.Name, inv.UUID, inv.CPUs, inv.MaxCPUs, inv.Memory, inv.MaxMemory, inv.Console)})
	for _, t := range guards {
		g.fixed = append(g.fixed, r.texts(t.path, t.what)...)
	}
	for i, path := range r.find("devices/disk") {
		parts := []guard{{"a disk of the guest", fmt.Sprint(inv.Disks[i])}}
		for _, part := range diskGuards {
			parts = append(parts, r.texts(path+"/"+part, "a disk of the guest: what it is on, its name, or its limits")...)
		}
		g.devices["disk"] = append(g.devices["disk"], parts)
	}
	for i, path := range r.find("devices/interface") {
		nic := inv.NICs[i]
		nic.Queues = 0 // anybody's choice
		parts := []guard{{"a NIC of the guest", fmt.Sprint(nic)}}
		for _, part := range nicGuards {
			parts = append(parts, r.texts(path+"/"+part, "a NIC of the guest: its connection, address, filter or limits")...)
		}
		g.devices["interface"] = append(g.devices["interface"], parts)
	}
	for _, kind := range []string{"serial", "console"} {
		for _, path := range r.find("devices/" + kind) {
			g.devices[kind] = append(g.devices[kind], r.texts(path, "the serial console and its log"))
		}
	}
	return g, r.err
}

// guardReader reads parts of a document; the first error stays.
type guardReader struct {
	doc *domainxml.Document
	err error
}

func (r *guardReader) find(path string) []string {
	list, err := r.doc.Find(path)
	if r.err == nil {
		r.err = err
	}
	return list
}

// texts returns a guard for each element or attribute that a path names, and one
// for their number.
func (r *guardReader) texts(path, what string) []guard {
	found := r.find(path)
	list := []guard{{what, strconv.Itoa(len(found))}}
	for _, at := range found {
		text, err := r.doc.Element(at)
		if errors.Is(err, domainxml.ErrNotFound) { // an attribute
			text, err = r.doc.Get(at)
		}
		if r.err == nil {
			r.err = err
		}
		list = append(list, guard{what, text})
	}
	return list
}

// broken returns what of g is no longer so in now, or "".
func (g *guarded) broken(now *guarded) string {
	if what := differs(g.fixed, now.fixed); what != "" {
		return what
	}
	for _, kind := range slices.Sorted(maps.Keys(g.devices)) {
		for i, parts := range g.devices[kind] {
			if i >= len(now.devices[kind]) {
				return parts[0].what
			}
			if what := differs(parts, now.devices[kind][i]); what != "" {
				return what
			}
		}
	}
	return ""
}

func differs(was, is []guard) string {
	for i, w := range was {
		if i >= len(is) || w != is[i] {
			return w.what
		}
	}
	return ""
}
