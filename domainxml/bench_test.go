package domainxml_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision/domainxml"
)

// benches are a simple guest, the document of a running one, and a large one.
var benches = []string{"small", "live", "large"}

func benchDoc(tb testing.TB, name string) []byte {
	tb.Helper()
	doc, err := os.ReadFile("testdata/bench/" + name + ".xml")
	require.NoError(tb, err)
	return doc
}

// BenchmarkInventory finds the same in a document with this package and with the
// official model of the schema.
func BenchmarkInventory(b *testing.B) {
	for _, name := range benches {
		doc := benchDoc(b, name)
		b.Run(name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := domainxml.Read(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/libvirtxml", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := modelInventory(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEdit changes memory, vCPUs and a disk's cache, and adds a NIC.
func BenchmarkEdit(b *testing.B) {
	for _, name := range benches {
		doc := benchDoc(b, name)
		b.Run(name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := editOurs(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/libvirtxml", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := editModel(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Both ways give the same, or the benchmarks compare nothing.
func TestBenchmarksAgree(t *testing.T) {
	for _, name := range benches {
		doc := benchDoc(t, name)
		ours, err := domainxml.Read(doc)
		require.NoError(t, err)
		model, err := modelInventory(doc)
		require.NoError(t, err)
		ours.Metadata = model.Metadata // libvirtxml leaves it as XML
		require.Empty(t, cmp.Diff(model, ours), name)

		one, err := editOurs(doc)
		require.NoError(t, err)
		two, err := editModel(doc)
		require.NoError(t, err)
		var inv [2]*domainxml.Inventory
		for i, text := range [][]byte{one, two} {
			inv[i], err = domainxml.Read(text)
			require.NoError(t, err)
		}
		require.Empty(t, cmp.Diff(inv[1], inv[0]), name)
		require.Contains(t, string(one), "writeback")
		require.Contains(t, string(two), "writeback")
	}
}

// A third of the allocations is what the parser of our own is for.
func TestInventoryAllocates(t *testing.T) {
	for _, name := range benches {
		doc := benchDoc(t, name)
		ours := testing.AllocsPerRun(20, func() { _, _ = domainxml.Read(doc) })
		model := testing.AllocsPerRun(20, func() { _, _ = modelInventory(doc) })
		t.Logf("%s: %d bytes, %.0f allocations, libvirtxml %.0f", name, len(doc), ours, model)
		require.LessOrEqual(t, ours, model/3, name)
	}
}

// modelInventory takes the fields of an Inventory that these documents have.
func modelInventory(doc []byte) (*domainxml.Inventory, error) {
	var d libvirtxml.Domain
	if err := d.Unmarshal(string(doc)); err != nil {
		return nil, err
	}
	inv := &domainxml.Inventory{
		Type: d.Type, Name: d.Name, UUID: d.UUID, CPUs: int(d.VCPU.Value), MaxCPUs: int(d.VCPU.Value),
		MaxMemory: uint64(d.Memory.Value) << 10, Memory: uint64(d.CurrentMemory.Value) << 10,
		Metadata: map[string]string{"": d.Metadata.XML},
	}
	for _, disk := range d.Devices.Disks {
		inv.Disks = append(inv.Disks, domainxml.DiskItem{
			Type: "file", Device: disk.Device, Target: disk.Target.Dev, Bus: disk.Target.Bus,
			Format: disk.Driver.Type, Source: disk.Source.File.File, Serial: disk.Serial, ReadOnly: disk.ReadOnly != nil,
		})
	}
	for _, nic := range d.Devices.Interfaces {
		item := domainxml.NICItem{Type: "bridge", Source: nic.Source.Bridge.Bridge, MAC: strings.ToLower(nic.MAC.Address), Model: nic.Model.Type}
		if nic.Target != nil {
			item.Device = nic.Target.Dev
		}
		inv.NICs = append(inv.NICs, item)
	}
	for _, g := range d.Devices.Graphics {
		inv.Graphics = append(inv.Graphics, domainxml.GraphicsItem{Type: "vnc", Listen: g.VNC.Listen, Port: g.VNC.Port, AutoPort: g.VNC.AutoPort == "yes"})
	}
	for _, s := range d.Devices.Serials {
		if inv.Console == "" && s.Log != nil {
			inv.Console = s.Log.File
		}
	}
	return inv, nil
}

func editOurs(doc []byte) ([]byte, error) {
	d, err := domainxml.Parse(doc)
	if err != nil {
		return nil, err
	}
	err = d.Apply(
		set("memory", "8388608"), set("currentMemory", "8388608"), set("vcpu", "8"),
		set("devices/disk[target/@dev='vda']/driver/@cache", "writeback"),
		add("devices", fmt.Sprintf("<interface type='bridge'>\n  <mac address='%s'/>\n  <source bridge='br9'/>\n  <model type='virtio'/>\n</interface>", mac)),
	)
	return d.Bytes(), err
}

func editModel(doc []byte) ([]byte, error) {
	var d libvirtxml.Domain
	if err := d.Unmarshal(string(doc)); err != nil {
		return nil, err
	}
	d.Memory.Value, d.CurrentMemory.Value, d.VCPU.Value = 8388608, 8388608, 8
	i := slices.IndexFunc(d.Devices.Disks, func(disk libvirtxml.DomainDisk) bool { return disk.Target.Dev == "vda" })
	d.Devices.Disks[i].Driver.Cache = "writeback"
	d.Devices.Interfaces = append(d.Devices.Interfaces, libvirtxml.DomainInterface{
		MAC:    &libvirtxml.DomainInterfaceMAC{Address: mac},
		Source: &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: "br9"}},
		Model:  &libvirtxml.DomainInterfaceModel{Type: "virtio"},
	})
	text, err := d.Marshal()
	return []byte(text), err
}
