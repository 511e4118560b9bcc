package domainxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// maxDocument bounds what Read takes: the largest string of libvirt's own
// protocol.
const maxDocument = 4 << 20

// Inventory is what a panel shows of a domain.
type Inventory struct {
	Type   string // "kvm", "qemu", "lxc", …
	Name   string
	UUID   string
	CPUs   int    // that the guest has now: the current attribute, or the maximum
	Memory uint64 // bytes that the guest has now: currentMemory, or the maximum
	Disks  []DiskItem
	NICs   []NICItem
	// Console is the log file of the first serial device that has one.
	Console string
	// Metadata is the text of each element below metadata, by namespace URI.
	Metadata map[string]string
}

// DiskItem is a disk of an Inventory.
type DiskItem struct {
	Device   string // "disk", "cdrom", …
	Target   string // "vda"
	Bus      string // "virtio"
	Format   string // of the driver: "qcow2"
	Source   string // file, block device, volume or network name
	ReadOnly bool
}

// NICItem is a network card of an Inventory.
type NICItem struct {
	Type   string // "bridge", "network", …
	Source string // bridge or network
	MAC    string
	Model  string
	Device string // the host's side
	VLAN   int    // the first tag; 0: none
}

// The parts of the schema that Inventory needs.
type domainDoc struct {
	XMLName  xml.Name
	Type     string `xml:"type,attr"`
	Name     string `xml:"name"`
	UUID     string `xml:"uuid"`
	Memory   amount `xml:"memory"`
	Current  amount `xml:"currentMemory"`
	VCPU     vcpu   `xml:"vcpu"`
	Metadata struct {
		Items []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	} `xml:"metadata"`
	Devices struct {
		Disks   []diskDoc   `xml:"disk"`
		NICs    []nicDoc    `xml:"interface"`
		Serials []serialDoc `xml:"serial"`
	} `xml:"devices"`
}

type amount struct {
	Unit  string `xml:"unit,attr"`
	Value uint64 `xml:",chardata"`
}

type vcpu struct {
	Current int `xml:"current,attr"`
	Value   int `xml:",chardata"`
}

type diskDoc struct {
	Device string `xml:"device,attr"`
	Driver struct {
		Type string `xml:"type,attr"`
	} `xml:"driver"`
	Source struct {
		File   string `xml:"file,attr"`
		Dev    string `xml:"dev,attr"`
		Volume string `xml:"volume,attr"`
		Name   string `xml:"name,attr"`
		Dir    string `xml:"dir,attr"`
	} `xml:"source"`
	Target struct {
		Dev string `xml:"dev,attr"`
		Bus string `xml:"bus,attr"`
	} `xml:"target"`
	ReadOnly *struct{} `xml:"readonly"`
}

type nicDoc struct {
	Type string `xml:"type,attr"`
	MAC  struct {
		Address string `xml:"address,attr"`
	} `xml:"mac"`
	Source struct {
		Bridge  string `xml:"bridge,attr"`
		Network string `xml:"network,attr"`
		Dev     string `xml:"dev,attr"`
	} `xml:"source"`
	Model struct {
		Type string `xml:"type,attr"`
	} `xml:"model"`
	Target struct {
		Dev string `xml:"dev,attr"`
	} `xml:"target"`
	VLAN struct {
		Tags []struct {
			ID int `xml:"id,attr"`
		} `xml:"tag"`
	} `xml:"vlan"`
}

type serialDoc struct {
	Log struct {
		File string `xml:"file,attr"`
	} `xml:"log"`
}

// Read takes the inventory out of a domain document. Anything that is not one
// document with a domain at its root is an error; elements that it does not
// know are passed over.
func Read(doc []byte) (*Inventory, error) {
	if len(doc) > maxDocument {
		return nil, fmt.Errorf("domainxml: the document has more than %d bytes", maxDocument)
	}
	dec := xml.NewDecoder(bytes.NewReader(doc))
	root, err := outside(dec)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, errors.New("domainxml: the document has no element")
	}
	var d domainDoc
	if err := dec.DecodeElement(&d, root); err != nil {
		return nil, fmt.Errorf("domainxml: %w", err)
	}
	if d.XMLName.Local != "domain" {
		return nil, fmt.Errorf("domainxml: the root element is %q, not domain", d.XMLName.Local)
	}
	more, err := outside(dec)
	if err != nil {
		return nil, err
	}
	if more != nil {
		return nil, errors.New("domainxml: more than one root element")
	}
	return d.inventory()
}

// outside passes over what may stand before and after the root element, up to
// the next one or, with nil, the end.
func outside(dec *xml.Decoder) (*xml.StartElement, error) {
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("domainxml: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("domainxml: text outside of the root element")
			}
		}
	}
}

func (d *domainDoc) inventory() (*Inventory, error) {
	inv := &Inventory{Type: d.Type, Name: d.Name, UUID: d.UUID, CPUs: d.VCPU.Value, Metadata: map[string]string{}}
	if d.VCPU.Current != 0 {
		inv.CPUs = d.VCPU.Current
	}
	mem := d.Memory
	if d.Current.Value != 0 {
		mem = d.Current
	}
	var err error
	if inv.Memory, err = mem.bytes(); err != nil {
		return nil, err
	}
	for _, m := range d.Metadata.Items {
		inv.Metadata[m.XMLName.Space] = m.Text
	}
	for _, v := range d.Devices.Disks {
		inv.Disks = append(inv.Disks, v.item())
	}
	for _, v := range d.Devices.NICs {
		inv.NICs = append(inv.NICs, v.item())
	}
	for _, s := range d.Devices.Serials {
		if inv.Console == "" {
			inv.Console = s.Log.File
		}
	}
	return inv, nil
}

func (v *diskDoc) item() DiskItem {
	s := v.Source
	item := DiskItem{Device: v.Device, Target: v.Target.Dev, Bus: v.Target.Bus, Format: v.Driver.Type, ReadOnly: v.ReadOnly != nil}
	item.Source = first(s.File, s.Dev, s.Volume, s.Name, s.Dir)
	if item.Device == "" {
		item.Device = "disk"
	}
	return item
}

func (v *nicDoc) item() NICItem {
	item := NICItem{Type: v.Type, MAC: strings.ToLower(v.MAC.Address), Model: v.Model.Type, Device: v.Target.Dev}
	item.Source = first(v.Source.Bridge, v.Source.Network, v.Source.Dev)
	if len(v.VLAN.Tags) > 0 {
		item.VLAN = v.VLAN.Tags[0].ID
	}
	return item
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// units of the unit attribute in lower case (libvirt's virScaleInteger, which
// takes any case); the default is KiB.
var units = map[string]uint64{
	"": 1 << 10, "b": 1, "byte": 1, "bytes": 1,
	"kb": 1e3, "k": 1 << 10, "kib": 1 << 10, "mb": 1e6, "m": 1 << 20, "mib": 1 << 20,
	"gb": 1e9, "g": 1 << 30, "gib": 1 << 30, "tb": 1e12, "t": 1 << 40, "tib": 1 << 40,
	"pb": 1e15, "p": 1 << 50, "pib": 1 << 50, "eb": 1e18, "e": 1 << 60, "eib": 1 << 60,
}

func (a amount) bytes() (uint64, error) {
	u, ok := units[strings.ToLower(a.Unit)]
	if !ok {
		return 0, fmt.Errorf("domainxml: memory unit %q is not known", a.Unit)
	}
	if a.Value > math.MaxUint64/u {
		return 0, fmt.Errorf("domainxml: memory of %d %s is too much", a.Value, a.Unit)
	}
	return a.Value * u, nil
}
