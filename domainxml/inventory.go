package domainxml

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Inventory is what a panel shows of a domain.
type Inventory struct {
	Type      string // "kvm", "qemu", "lxc", …
	Name      string
	UUID      string
	CPUs      int    // that the guest has now: the current attribute, or the maximum
	MaxCPUs   int    // up to which it can grow
	Memory    uint64 // bytes that the guest has now: currentMemory, or the maximum
	MaxMemory uint64 // bytes up to which the balloon can grow
	Disks     []DiskItem
	NICs      []NICItem
	Graphics  []GraphicsItem
	// Console is the log file of the first serial device that has one.
	Console string
	// Metadata is the text of each element below metadata, by namespace URI.
	Metadata map[string]string
}

// DiskItem is a disk of an Inventory.
type DiskItem struct {
	Type     string // of the source: "file", "block", "network", …
	Device   string // "disk", "cdrom", …
	Target   string // "vda"
	Bus      string // "virtio"
	Format   string // of the driver: "qcow2"
	Source   string // file, block device, volume or network name
	Pool     string // of a volume
	Serial   string // what the guest sees below /dev/disk/by-id
	ReadOnly bool
}

// NICItem is a network card of an Inventory.
type NICItem struct {
	Type   string // "bridge", "network", …
	Source string // bridge or network
	MAC    string // in lower case
	Model  string
	Device string // the host's side
	Filter string // name of the network filter
	VLAN   int    // the first tag; 0: none
	// VirtualPort is the type of the port, "openvswitch" for example.
	VirtualPort string
	Isolated    bool // from the other isolated ports of the bridge
	MTU         int  // 0: that of the bridge
	Queues      int  // 0: one
}

// GraphicsItem is a display of an Inventory.
type GraphicsItem struct {
	Type     string // "vnc", "spice", …
	Listen   string // address or socket; empty: the host's default
	Port     int    // 0 or -1: none yet
	AutoPort bool   // the port is chosen at each start
}

// Read takes the inventory out of a document: [Parse], and then
// [Document.Inventory].
func Read(doc []byte) (*Inventory, error) {
	d, err := Parse(doc)
	if err != nil {
		return nil, err
	}
	return d.Inventory()
}

// Inventory returns what a panel shows. Elements that it does not know are passed
// over; numbers that are none, and memory of more than 16 EiB, are errors.
func (d *Document) Inventory() (*Inventory, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	r := inventoryReader{Document: d}
	inv := &Inventory{
		Type: d.get(d.domain, "type"), Name: d.text(d.domain, "name"), UUID: d.text(d.domain, "uuid"),
		MaxMemory: r.bytes("memory"), Memory: r.bytes("currentMemory"), Metadata: map[string]string{},
	}
	if n := d.child(d.domain, "vcpu"); n != 0 {
		inv.MaxCPUs, inv.CPUs = r.number(n, d.whole(n)), r.number(n, d.get(n, "current"))
	}
	if inv.CPUs == 0 {
		inv.CPUs = inv.MaxCPUs
	}
	if inv.Memory == 0 {
		inv.Memory = inv.MaxMemory
	}
	if n := d.child(d.domain, "metadata"); n != 0 {
		for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
			// Of several of one namespace, libvirt keeps the first.
			ns := d.namespace(c)
			if _, seen := inv.Metadata[ns]; !seen {
				inv.Metadata[ns] = d.own(c)
			}
		}
	}
	for n := d.child(d.domain, "devices"); n != 0; n = d.nextNamed(n) {
		r.devices(inv, n)
	}
	if r.err != nil {
		return nil, r.err
	}
	return inv, nil
}

// inventoryReader reads numbers; the first error stays.
type inventoryReader struct {
	*Document
	err error
}

func (r *inventoryReader) devices(inv *Inventory, n id) {
	for c := r.nodes[n].first; c != 0; c = r.nodes[c].next {
		if r.nodes[c].foreign {
			continue
		}
		switch r.name(c) {
		case "disk":
			inv.Disks = append(inv.Disks, r.disk(c))
		case "interface":
			inv.NICs = append(inv.NICs, r.nic(c))
		case "graphics":
			inv.Graphics = append(inv.Graphics, r.graphics(c))
		case "serial":
			if inv.Console == "" {
				inv.Console = r.deep(c, "file", "log")
			}
		}
	}
}

func (r *inventoryReader) disk(n id) DiskItem {
	item := DiskItem{
		Type: r.get(n, "type"), Device: r.get(n, "device"), Format: r.deep(n, "type", "driver"),
		Target: r.deep(n, "dev", "target"), Bus: r.deep(n, "bus", "target"),
		Serial: r.text(n, "serial"), ReadOnly: r.child(n, "readonly") != 0,
	}
	if item.Device == "" {
		item.Device = "disk"
	}
	if s := r.child(n, "source"); s != 0 {
		item.Source, item.Pool = r.source(n), r.get(s, "pool")
	}
	return item
}

// sourceAttrs are what libvirt reads of a disk's source, by the type of the disk.
var sourceAttrs = map[string]string{
	"": "file", "file": "file", "block": "dev", "volume": "volume", "network": "name", "dir": "dir", "vhostuser": "path", "vhostvdpa": "dev",
}

// source is what names what is behind a disk, "" for an empty drive.
func (t *tree) source(disk id) string {
	s := t.child(disk, "source")
	if s == 0 {
		return ""
	}
	return t.get(s, sourceAttrs[t.get(disk, "type")])
}

func (r *inventoryReader) nic(n id) NICItem {
	item := NICItem{
		Type: r.get(n, "type"), MAC: strings.ToLower(r.deep(n, "address", "mac")), Model: r.deep(n, "type", "model"),
		Device: r.deep(n, "dev", "target"), Filter: r.deep(n, "filter", "filterref"),
	}
	item.Source = r.link(n)
	item.VirtualPort = r.deep(n, "type", "virtualport")
	item.Isolated = r.deep(n, "isolated", "port") == "yes"
	item.MTU, item.Queues = r.number(n, r.deep(n, "size", "mtu")), r.number(n, r.deep(n, "queues", "driver"))
	if tag := r.down(n, "vlan", "tag"); tag != 0 {
		item.VLAN = r.number(tag, r.get(tag, "id"))
	}
	return item
}

// link is what names what a NIC is connected to. A running domain's has network and
// bridge.
func (t *tree) link(nic id) string {
	s := t.child(nic, "source")
	if s == 0 {
		return ""
	}
	switch kind := t.get(nic, "type"); kind {
	case "network":
		if bridge := t.get(s, "bridge"); bridge != "" {
			return bridge
		}
		return t.get(s, kind)
	case "bridge":
		return t.get(s, kind)
	}
	return t.get(s, "dev")
}

func (r *inventoryReader) graphics(n id) GraphicsItem {
	item := GraphicsItem{
		Type: r.get(n, "type"), Listen: r.get(n, "listen"), Port: r.number(n, r.get(n, "port")),
		AutoPort: r.get(n, "autoport") == "yes",
	}
	if l := r.child(n, "listen"); item.Listen == "" && l != 0 {
		item.Listen = r.get(l, "address") + r.get(l, "socket")
	}
	return item
}

// number reads an integer that may be missing.
func (r *inventoryReader) number(n id, text string) int {
	text = strings.Trim(text, " \t\r\n")
	if text == "" {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		r.fail(n, fmt.Errorf("%q is not a number of up to 31 bits", text))
	}
	return int(v)
}

// bytes reads an amount of memory below the domain.
func (r *inventoryReader) bytes(name string) uint64 {
	n := r.child(r.domain, name)
	if n == 0 {
		return 0
	}
	v, err := scaled(r.whole(n), r.get(n, "unit"))
	if err != nil {
		r.fail(n, err)
	}
	return v
}

func (r *inventoryReader) fail(n id, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("domainxml: %s: %w", r.naming().path(n), err)
	}
}

// units of the unit attribute in lower case (libvirt's virScaleInteger, which
// takes any case); the default is KiB.
var units = map[string]uint64{
	"": 1 << 10, "b": 1, "byte": 1, "bytes": 1,
	"kb": 1e3, "k": 1 << 10, "kib": 1 << 10, "mb": 1e6, "m": 1 << 20, "mib": 1 << 20,
	"gb": 1e9, "g": 1 << 30, "gib": 1 << 30, "tb": 1e12, "t": 1 << 40, "tib": 1 << 40,
	"pb": 1e15, "p": 1 << 50, "pib": 1 << 50, "eb": 1e18, "e": 1 << 60, "eib": 1 << 60,
}

// scaled returns an amount of memory in bytes; no text is 0.
func scaled(text, unit string) (uint64, error) {
	text = strings.Trim(text, " \t\r\n")
	u, ok := units[unit]
	if !ok {
		u, ok = units[strings.ToLower(unit)]
	}
	if !ok {
		return 0, fmt.Errorf("memory unit %q is not known", unit)
	}
	if text == "" {
		return 0, nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("memory %q is not a whole number of 64 bits", text)
	}
	if v > math.MaxUint64/u {
		return 0, fmt.Errorf("memory of %d %s is too much", v, unit)
	}
	return v * u, nil
}
