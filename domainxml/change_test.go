package domainxml_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

const (
	gib = 1 << 30
	mac = "52:54:00:01:02:03"
)

var data = domainxml.Disk{Path: pool + "data.qcow2", Format: "qcow2", Serial: "data"}

// changed are edits of documents, each with a file of what comes out.
var changed = map[string]struct {
	doc    string // file below testdata
	change func(*domainxml.Document) error
}{
	"add-disk":       {"corpus/libvirt90-inactive-q35.xml", addDisk(data)},
	"add-disk-tabs":  {"edit/from/tabs-crlf.xml", addDisk(data)},
	"add-disk-line":  {"edit/from/one-line.xml", addDisk(data)},
	"add-disk-none":  {"edit/from/no-devices.xml", addDisk(domainxml.Disk{Path: "/a&b", Format: "raw", ReadOnly: true})},
	"add-nic":        {"corpus/virtinstall-uefi-fedora.xml", addNIC(domainxml.NIC{Bridge: "br0", MAC: mac, Device: "tap0"})},
	"add-nic-first":  {"build/no-nics.xml", addNIC(domainxml.NIC{Bridge: "br0", MAC: mac})},
	"remove-nic":     {"corpus/libvirt90-inactive-q35.xml", func(d *domainxml.Document) error { return d.RemoveNIC("52:54:00:AA:BB:01") }},
	"remove-disk":    {"corpus/libvirt90-inactive-q35.xml", func(d *domainxml.Document) error { return d.RemoveDisk("sda") }},
	"memory-mib":     {"edit/from/tuned.xml", func(d *domainxml.Document) error { return d.SetMemory(2*gib, 4*gib) }},
	"memory-odd":     {"edit/from/tuned.xml", func(d *domainxml.Document) error { return d.SetMemory(2*gib+1, 4*gib) }},
	"memory-fedora":  {"corpus/virtinstall-uefi-fedora.xml", func(d *domainxml.Document) error { return d.SetMemory(gib, gib) }},
	"cpus-down":      {"edit/from/tuned.xml", func(d *domainxml.Document) error { return d.SetCPUs(2, 4) }},
	"cpus-up":        {"edit/from/tuned.xml", func(d *domainxml.Document) error { return d.SetCPUs(16, 16) }},
	"cpus-line":      {"edit/from/one-line.xml", func(d *domainxml.Document) error { return d.SetCPUs(2, 8) }},
	"boot":           {"corpus/libvirt90-inactive-q35.xml", func(d *domainxml.Document) error { return d.SetBoot("52:54:00:AA:bb:01", "vda", "sda") }},
	"boot-again":     {"edit/from/tuned.xml", func(d *domainxml.Document) error { return d.SetBoot("vdb", "vda") }},
	"boot-none":      {"edit/from/tuned.xml", func(d *domainxml.Document) error { return d.SetBoot() }},
	"metadata":       {"corpus/libvirt90-inactive-q35.xml", func(d *domainxml.Document) error { return d.SetMetadata(record(`{"v":1,"a":"<&>"}`)) }},
	"metadata-first": {"edit/from/tabs-crlf.xml", func(d *domainxml.Document) error { return d.SetMetadata(record("a\r\nb")) }},
	"metadata-text":  {"build/two-metadata.xml", func(d *domainxml.Document) error { return d.SetMetadata(record("new")) }},
	"metadata-other": {"corpus/libvirt90-inactive-q35.xml", func(d *domainxml.Document) error {
		return d.SetMetadata(domainxml.Metadata{Namespace: "https://example.net/xmlns/app/1.0", Prefix: "app", Element: "info", Text: "x"})
	}},
	"metadata-remove": {"build/two-metadata.xml", func(d *domainxml.Document) error { return d.RemoveMetadata(ours) }},
	"tuning": {"corpus/libvirt90-inactive-q35.xml", apply(
		set("cputune/shares", "512"), set("cputune/vcpupin[@vcpu='0']/@cpuset", "2"), set("cputune/vcpupin[@vcpu='1']/@cpuset", "3"),
		set("cputune/emulatorpin/@cpuset", "0-1"), set("memtune/hard_limit/@unit", "MiB"), set("memtune/hard_limit", "512"),
	)},
	"tuning-more": {"edit/from/tuned.xml", apply(
		set("cputune/vcpupin[@vcpu='1']/@cpuset", "9"), set("cputune/vcpupin[@vcpu='4']/@cpuset", "12"), set("cputune/period", "100000"), remove("cputune/shares"),
	)},
	"disk-tuning": {"corpus/libvirt90-inactive-q35.xml", apply(
		set("devices/disk[target/@dev='vda']/driver/@cache", "writeback"), set("devices/disk[target/@dev='sdb']/iotune/total_iops_sec", "900"),
		set("devices/disk[target/@dev='vda']/iotune/read_bytes_sec", "1000000"), remove("devices/disk[target/@dev='vda']/driver/@iothread"),
	)},
	"snapshot": {"corpus/libvirt90-snapshot-inactivedomain.xml", apply(
		set("name", "of-the-domain"), set("/domainsnapshot/name", "of-the-snapshot"), set("/domainsnapshot/inactiveDomain/vcpu", "3"),
	)},
	"status": {"corpus/libvirt90-run-domstatus.xml", apply(set("title", "running"), remove("devices/controller[1]"))},
}

func addDisk(disk domainxml.Disk) func(*domainxml.Document) error {
	return func(d *domainxml.Document) error { _, err := d.AddDisk(disk); return err }
}

func addNIC(nic domainxml.NIC) func(*domainxml.Document) error {
	return func(d *domainxml.Document) error { return d.AddNIC(nic) }
}

func apply(list ...domainxml.Edit) func(*domainxml.Document) error {
	return func(d *domainxml.Document) error { return d.Apply(list...) }
}

func load(tb testing.TB, name string) *domainxml.Document {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + name)
	require.NoError(tb, err)
	return mustParse(tb, string(text))
}

func TestChangeGolden(t *testing.T) {
	for name, tt := range changed {
		t.Run(name, func(t *testing.T) {
			d := load(t, tt.doc)
			require.NoError(t, tt.change(d))
			golden.Check(t, "edit/"+name+".xml", d.String())
			agrees(t, d, mustFlatten(t, d.String()))
		})
	}
}

// changeable are the documents that each change fits: no elements twice that are
// there once, and no units of the future.
func changeable(tb testing.TB) map[string]string {
	tb.Helper()
	docs := withDomain(tb)
	for _, name := range []string{"odd-duplicate-siblings", "odd-future-elements"} {
		delete(docs, "testdata/corpus/"+name+".xml")
	}
	return docs
}

// What was set is read back, and setting it again changes no byte.
func TestSetCPUs(t *testing.T) {
	for file, text := range changeable(t) {
		d := mustParse(t, text)
		for _, n := range [][2]int{{1, 1}, {2, 4}, {4, 4}, {1, 8}} {
			before := d.String()
			if err := d.SetCPUs(n[0], n[1]); err != nil {
				require.Regexp(t, `cpu/numa|cpu/topology|cputune/`, err.Error(), file)
				require.Equal(t, before, d.String())
				continue
			}
			inv, err := d.Inventory()
			require.NoError(t, err)
			require.Equal(t, n, [2]int{inv.CPUs, inv.MaxCPUs}, file)
			once := d.String()
			require.NoError(t, d.SetCPUs(n[0], n[1]))
			require.Equal(t, once, d.String())
		}
	}
}

func TestSetMemory(t *testing.T) {
	for file, text := range changeable(t) {
		for _, n := range [][2]uint64{{gib, gib}, {gib, 2 * gib}, {3*gib + 1, 3*gib + 1}, {1, 1 << 20}} {
			d := mustParse(t, text)
			if err := d.SetMemory(n[0], n[1]); err != nil {
				require.Regexp(t, `cpu/numa|maxMemory|hard_limit`, err.Error(), file)
				require.Equal(t, text, d.String())
				continue
			}
			inv, err := d.Inventory()
			require.NoError(t, err)
			require.Equal(t, [2]uint64{(n[0] + 1023) / 1024 * 1024, (n[1] + 1023) / 1024 * 1024}, [2]uint64{inv.Memory, inv.MaxMemory}, file)
			once := d.String()
			require.NoError(t, d.SetMemory(n[0], n[1]))
			require.Equal(t, once, d.String())
		}
	}
}

// A device that is added is there as if Build had made it, and without it the
// document says what it said.
func TestAddAndRemoveDevices(t *testing.T) {
	const free = "52:54:00:fe:ed:01"
	for file, text := range changeable(t) {
		t.Run(file, func(t *testing.T) {
			d := mustParse(t, text)
			old, err := d.Inventory()
			require.NoError(t, err)
			data := domainxml.Disk{Path: "/free.qcow2", Format: "qcow2", Serial: "data"}
			target, err := d.AddDisk(data)
			require.NoError(t, err)
			require.NoError(t, d.AddNIC(domainxml.NIC{Bridge: "br7", MAC: free}))
			inv, err := d.Inventory()
			require.NoError(t, err)
			require.Contains(t, inv.Disks, domainxml.DiskItem{Type: "file", Device: "disk", Target: target, Bus: "virtio", Format: "qcow2", Source: data.Path, Serial: "data"})
			require.Contains(t, inv.NICs, domainxml.NICItem{Type: "bridge", Source: "br7", MAC: free, Model: "virtio"})
			require.Len(t, inv.Disks, len(old.Disks)+1)
			require.Len(t, inv.NICs, len(old.NICs)+1)
			require.NoError(t, d.RemoveDisk(target))
			require.NoError(t, d.RemoveNIC(free))
			switch {
			case strings.Contains(file, "indent-none"): // a line break is left
				require.Empty(t, differ(said(mustFlatten(t, text)), said(mustFlatten(t, d.String()))))
			case len(old.Disks)+len(old.NICs) > 0:
				require.Equal(t, text, d.String())
			}
			require.ErrorIs(t, d.RemoveDisk(target), domainxml.ErrNotFound)
			require.ErrorIs(t, d.RemoveNIC(free), domainxml.ErrNotFound)
		})
	}
}

// Each device that is taken out and put in again is the same, if elsewhere.
func TestRemoveThenAdd(t *testing.T) {
	d := load(t, "corpus/libvirt90-inactive-q35.xml")
	want := unnumbered(t, d.String())
	devices, err := d.Find("devices/*")
	require.NoError(t, err)
	require.Greater(t, len(devices), 30)
	for _, at := range devices {
		d := mustParse(t, d.String())
		text, err := d.Element(at)
		require.NoError(t, err)
		require.NoError(t, d.Apply(remove(at)))
		require.NotEqual(t, want, unnumbered(t, d.String()))
		require.NoError(t, d.Apply(add("devices", text)))
		require.Equal(t, want, unnumbered(t, d.String()), at)
	}
}

func TestAddDiskFindsTarget(t *testing.T) {
	d := mustParse(t, "<domain><devices><disk><target dev='vda'/></disk><disk/><disk><target dev='vdc'/></disk></devices></domain>")
	var have []string
	for i := range 30 {
		target, err := d.AddDisk(domainxml.Disk{Path: fmt.Sprintf("/%d.raw", i), Format: "raw"})
		require.NoError(t, err)
		have = append(have, target)
	}
	require.Equal(t, []string{"vdb", "vdd", "vde"}, have[:3])
	require.Equal(t, []string{"vdz", "vdaa", "vdab"}, have[23:26])
}

// Two disks of one file destroy it.
func TestAddDiskTwice(t *testing.T) {
	d := mustParse(t, "<domain/>")
	_, err := d.AddDisk(data)
	require.NoError(t, err)
	before := d.String()
	_, err = d.AddDisk(data)
	require.ErrorContains(t, err, `is the source of "vda" already`)
	require.Equal(t, before, d.String())
}

func TestSetBoot(t *testing.T) {
	d := load(t, "edit/from/tuned.xml")
	require.NoError(t, d.SetBoot("vdb", "vda"))
	text := d.String()
	require.NoError(t, d.SetBoot("vdb", "vda"))
	require.Equal(t, text, d.String())
	at, err := d.Find("devices/*/boot")
	require.NoError(t, err)
	require.Len(t, at, 2)
	require.NoError(t, d.SetBoot())
	at, err = d.Find("devices/*/boot")
	require.NoError(t, err)
	require.Empty(t, at)
	_, err = d.Get("os/bootmenu/@enable")
	require.NoError(t, err)
}

func TestSetMetadata(t *testing.T) {
	for file, text := range changeable(t) {
		d := mustParse(t, text)
		for _, v := range []string{"one", hostile, "", "two"} {
			require.NoError(t, d.SetMetadata(record(v)), file)
			inv, err := d.Inventory()
			require.NoError(t, err)
			require.Equal(t, v, inv.Metadata[ours])
			once := d.String()
			require.NoError(t, d.SetMetadata(record(v)))
			require.Equal(t, once, d.String())
		}
		require.NoError(t, d.RemoveMetadata(ours))
		require.NotContains(t, d.String(), ours)
		require.ErrorIs(t, d.RemoveMetadata(ours), domainxml.ErrNotFound)
	}
}

// A change that is not possible leaves the text as it is.
func TestChangeRefuses(t *testing.T) {
	const numa = "<domain><memory>1048576</memory><vcpu>2</vcpu><cpu><numa><cell id='0' cpus='0-1' memory='1048576'/></numa></cpu></domain>"
	const doc = "<domain><memory>1048576</memory><maxMemory>2097152</maxMemory><vcpu>6</vcpu><cpu><topology sockets='2' cores='3' threads='1'/></cpu>" +
		"<devices><disk><target dev='vda'/></disk><disk><target dev='vdx'/></disk><disk><target dev='vdx'/></disk>" +
		"<interface><mac address='" + mac + "'/></interface></devices></domain>"
	for name, tt := range map[string]struct {
		doc    string
		change func(*domainxml.Document) error
		says   string
	}{
		"no vCPU":             {doc, func(d *domainxml.Document) error { return d.SetCPUs(0, 1) }, "one or more"},
		"fewer than now":      {doc, func(d *domainxml.Document) error { return d.SetCPUs(2, 1) }, "no more than the maximum"},
		"65,536 vCPUs":        {doc, func(d *domainxml.Document) error { return d.SetCPUs(1, math.MaxUint16+1) }, "vCPUs"},
		"negative vCPUs":      {doc, func(d *domainxml.Document) error { return d.SetCPUs(math.MinInt, -1) }, "vCPUs"},
		"part of a socket":    {doc, func(d *domainxml.Document) error { return d.SetCPUs(1, 4) }, "topology"},
		"vCPUs of cells":      {numa, func(d *domainxml.Document) error { return d.SetCPUs(4, 4) }, "cells"},
		"scheduled vCPUs":     {"<domain><vcpu>8</vcpu><cputune><vcpusched vcpus='0-2,^1,7' scheduler='rr'/></cputune></domain>", func(d *domainxml.Document) error { return d.SetCPUs(4, 4) }, `cputune/vcpusched: vcpus="0-2,^1,7" has more than 4`},
		"vCPUs are no number": {"<domain><vcpu>two</vcpu></domain>", func(d *domainxml.Document) error { return d.SetCPUs(1, 1) }, "not a number"},
		"two vcpu":            {"<domain><vcpu>1</vcpu><vcpu>2</vcpu></domain>", func(d *domainxml.Document) error { return d.SetCPUs(3, 3) }, "names 2"},
		"no memory":           {doc, func(d *domainxml.Document) error { return d.SetMemory(0, gib) }, "more than none"},
		"less than now":       {doc, func(d *domainxml.Document) error { return d.SetMemory(2*gib, gib) }, "no more than the maximum"},
		"8 EiB":               {doc, func(d *domainxml.Document) error { return d.SetMemory(1, math.MaxInt64+1) }, "memory"},
		"over maxMemory":      {doc, func(d *domainxml.Document) error { return d.SetMemory(gib, 3*gib) }, "maxMemory"},
		"memory of cells":     {numa, func(d *domainxml.Document) error { return d.SetMemory(gib, 2*gib) }, "cells"},
		"unit is none":        {"<domain><memory unit='x'>1</memory></domain>", func(d *domainxml.Document) error { return d.SetMemory(1, 1) }, "unit"},
		"boot from none":      {doc, func(d *domainxml.Document) error { return d.SetBoot("vda", "vdb") }, `"vdb"`},
		"boot from no name":   {doc, func(d *domainxml.Document) error { return d.SetBoot("") }, "not found"},
		"boot from it twice":  {doc, func(d *domainxml.Document) error { return d.SetBoot("vda", "vda") }, "twice"},
		"boot from two":       {doc, func(d *domainxml.Document) error { return d.SetBoot("vdx") }, "2 disks"},
		"one MAC, two cases":  {strings.ReplaceAll(doc, mac, "52:54:00:aa:00:00"), func(d *domainxml.Document) error { return d.SetBoot("52:54:00:aa:00:00", "52:54:00:AA:00:00") }, "contradict"},
		"disk without path":   {doc, addDisk(domainxml.Disk{Format: "raw"}), "required"},
		"disk with NUL":       {doc, addDisk(domainxml.Disk{Path: "/\x00", Format: "raw"}), "cannot carry"},
		"no such disk":        {doc, func(d *domainxml.Document) error { return d.RemoveDisk("vdb") }, "not found"},
		"disk with no name":   {doc, func(d *domainxml.Document) error { return d.RemoveDisk("") }, "not found"},
		"disk that is a NIC":  {doc, func(d *domainxml.Document) error { return d.RemoveDisk(mac) }, "not found"},
		"one of two disks":    {doc, func(d *domainxml.Document) error { return d.RemoveDisk("vdx") }, "2 disks"},
		"NIC without bridge":  {doc, addNIC(domainxml.NIC{MAC: mac}), "required"},
		"NIC that is there":   {doc, addNIC(domainxml.NIC{Bridge: "br0", MAC: strings.ToUpper(mac)}), "there already"},
		"a format":            {doc, addDisk(domainxml.Disk{Path: "/a", Format: "vmdk"}), "neither qcow2 nor raw"},
		"no MAC at all":       {doc, addNIC(domainxml.NIC{Bridge: "br0", MAC: "zz"}), "not the MAC of one card"},
		"MAC of many":         {doc, addNIC(domainxml.NIC{Bridge: "br0", MAC: "01:00:5e:00:00:01"}), "not the MAC of one card"},
		"NIC not UTF-8":       {doc, addNIC(domainxml.NIC{Bridge: "\xff", MAC: mac}), "not UTF-8"},
		"no such NIC":         {doc, func(d *domainxml.Document) error { return d.RemoveNIC("52:54:00:00:00:00") }, "not found"},
		"NIC that is a disk":  {doc, func(d *domainxml.Document) error { return d.RemoveNIC("vda") }, "not found"},
		"no namespace":        {doc, func(d *domainxml.Document) error { return d.SetMetadata(domainxml.Metadata{Prefix: "a", Element: "b"}) }, "namespace"},
		"metadata with NUL":   {doc, func(d *domainxml.Document) error { return d.SetMetadata(record("\x00")) }, "cannot carry"},
		"no such metadata":    {doc, func(d *domainxml.Document) error { return d.RemoveMetadata(ours) }, "not found"},
		"two devices":         {"<domain><devices/><devices/></domain>", addDisk(data), "names 2"},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustParse(t, tt.doc)
			err := tt.change(d)
			require.ErrorContains(t, err, "domainxml: ")
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, tt.doc, d.String())
		})
	}
}

// unnumbered are the facts of a document whatever the order of its elements.
func unnumbered(tb testing.TB, doc string) []string {
	tb.Helper()
	var list []string
	for _, f := range said(mustFlatten(tb, doc)) {
		if !f.blank() {
			f.Path = f.plain
			list = append(list, f.String())
		}
	}
	slices.Sort(list)
	return list
}
