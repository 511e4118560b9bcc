package domainxml_test

import (
	"encoding/xml"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

func TestBuildGolden(t *testing.T) {
	all := guests()
	require.GreaterOrEqual(t, len(all), 10)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			text, err := domainxml.Build(all[name])
			require.NoError(t, err)
			again, err := domainxml.Build(all[name])
			require.NoError(t, err)
			require.Equal(t, string(text), string(again))
			golden.Check(t, "build/"+name+".xml", string(text))
		})
	}
}

// expected is what Read has to find in the document of a Guest.
func expected(g *domainxml.Guest) *domainxml.Inventory {
	inv := &domainxml.Inventory{
		Type: "kvm", Name: g.Name, UUID: g.UUID, CPUs: g.CPUs, MaxCPUs: g.CPUs,
		Memory: (g.Memory + 1023) >> 10 << 10, MaxMemory: (g.Memory + 1023) >> 10 << 10,
		Console: g.ConsoleLog, Metadata: map[string]string{},
	}
	if g.Emulated {
		inv.Type = "qemu"
	}
	for i, d := range g.Disks {
		name := "vd" + string(rune('a'+i%26))
		if i >= 26 {
			name = "vd" + string(rune('a'+i/26-1)) + name[2:]
		}
		source := "file"
		if d.Block {
			source = "block"
		}
		inv.Disks = append(inv.Disks, domainxml.DiskItem{
			Type: source, Device: "disk", Target: name, Bus: "virtio", Format: d.Format, Source: d.Path, Serial: d.Serial, ReadOnly: d.ReadOnly,
		})
	}
	for _, n := range g.NICs {
		inv.NICs = append(inv.NICs, domainxml.NICItem{Type: "bridge", Source: n.Bridge, MAC: strings.ToLower(n.MAC), Model: "virtio", Device: n.Device, Filter: n.Filter, VLAN: n.VLAN, Isolated: n.Isolated, MTU: n.MTU, Queues: n.Queues})
		if n.OpenVSwitch {
			inv.NICs[len(inv.NICs)-1].VirtualPort = "openvswitch"
		}
	}
	for _, m := range g.Metadata {
		inv.Metadata[m.Namespace] = m.Text
	}
	return inv
}

// What is put in is read back, to the byte.
func TestBuildReadsBack(t *testing.T) {
	for name, g := range guests() {
		text, err := domainxml.Build(g)
		require.NoError(t, err, name)
		have, err := read(t, text)
		require.NoError(t, err, name)
		require.Empty(t, cmp.Diff(expected(&g), have, cmpopts.EquateEmpty()), name)
	}
}

// A record is one line of printable ASCII: each of these characters comes back.
func TestBuildKeepsRecords(t *testing.T) {
	var ascii strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		ascii.WriteByte(c)
	}
	for _, text := range []string{ascii.String(), " leading and trailing ", "", strings.Repeat(ascii.String(), 256<<10/ascii.Len())} {
		g := ordinary()
		g.Metadata = []domainxml.Metadata{record(text)}
		doc, err := domainxml.Build(g)
		require.NoError(t, err)
		inv, err := read(t, doc)
		require.NoError(t, err)
		require.True(t, inv.Metadata[ours] == text, "a record of %d bytes changed", len(text))
	}
}

// Without a prefix, for libvirt to add its own, the element has the same text.
func TestMetadataXML(t *testing.T) {
	text, err := record(hostile).XML()
	require.NoError(t, err)
	var v struct {
		XMLName xml.Name
		Text    string `xml:",chardata"`
	}
	require.NoError(t, xml.Unmarshal([]byte(text), &v))
	require.Equal(t, xml.Name{Local: "record"}, v.XMLName)
	require.Equal(t, hostile, v.Text)
	require.NotContains(t, text, "\r")
	for _, bad := range []string{"\x00", "\xff", "\uffff"} {
		_, err := record(bad).XML()
		require.Error(t, err, "%q", bad)
	}
}

// All devices are VirtIO, or none: whatever a Guest asks for, the document has
// no device that the guest's kernel needs an old driver for.
func TestBuildHasOnlyVirtIO(t *testing.T) {
	for name, g := range guests() {
		text, err := domainxml.Build(g)
		require.NoError(t, err)
		var d libvirtxml.Domain
		require.NoError(t, d.Unmarshal(string(text)), name)
		for _, disk := range d.Devices.Disks {
			require.Equal(t, "virtio", disk.Target.Bus, name)
			require.NotEmpty(t, disk.Driver.Type, "the format is probed")
		}
		for _, nic := range d.Devices.Interfaces {
			require.Equal(t, "virtio", nic.Model.Type, name)
		}
		for _, c := range d.Devices.Controllers {
			ok := c.Type == "usb" && c.Model == "none" || c.Type == "pci"
			require.True(t, ok, "%s: controller %s of model %s", name, c.Type, c.Model)
		}
		v := d.Devices.Videos
		require.True(t, len(v) == 1 && v[0].Model.Type == "none", "%s: a display", name)
		balloon := "virtio"
		if g.Backing.NoBalloon {
			balloon = "none"
		}
		require.Equal(t, balloon, d.Devices.MemBalloon.Model)
		devs := d.Devices
		require.Zero(t, len(devs.Inputs)+len(devs.Sounds)+len(devs.Graphics)+len(devs.Hostdevs)+len(devs.Filesystems)+len(devs.RedirDevs), name)
		for _, word := range []string{"e1000", "rtl8139", "ide", "sata", "scsi", "fdc", "ehci", "qxl", "vnc", "tablet"} {
			require.NotContains(t, string(text), `"`+word, name)
		}
	}
}

// Each device that is there has a port, and SparePorts are left for others.
func TestBuildHasPorts(t *testing.T) {
	for name, g := range guests() {
		text, err := domainxml.Build(g)
		require.NoError(t, err)
		var d libvirtxml.Domain
		require.NoError(t, d.Unmarshal(string(text)))
		ports := 0
		for _, c := range d.Devices.Controllers {
			if c.Model == "pcie-root-port" {
				ports++
			}
		}
		devices := len(d.Devices.Disks) + len(d.Devices.Interfaces) + len(d.Devices.RNGs) + len(d.Devices.Channels)
		if !g.Backing.NoBalloon {
			devices++
		}
		require.Equal(t, devices+domainxml.SparePorts, ports, name)
	}
}

func TestBuildRoundsMemoryUp(t *testing.T) {
	for memory, want := range map[uint64]uint64{
		1: 1024, 1023: 1024, 1024: 1024, 1025: 2048, 512 << 20: 512 << 20, 512<<20 + 1: 512<<20 + 1024,
		1<<56 + 1: 1<<56 + 1024, math.MaxInt64: 1 << 63,
	} {
		g := minimal()
		g.Memory = memory
		doc, err := domainxml.Build(g)
		require.NoError(t, err)
		inv, err := read(t, doc)
		require.NoError(t, err, "%d", memory)
		require.Equal(t, want, inv.Memory)
	}
}
