package domainxml_test

import (
	"fmt"

	"github.com/guestforge/provision/domainxml"
)

const (
	uuid = "5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11"
	pool = "/var/lib/libvirt/images/"
	ours = "https://example.net/record/1"
)

// hostile is text that breaks what writes XML by hand.
const hostile = "]]> <a href=\"x\" b='y'>&amp; &#0; <!-- --> <?pi?>\n second\r\n line\ttab \u00e9 \U0001f40d \u2028 \ufffd end"

// minimal is the smallest Guest that Build takes.
func minimal() domainxml.Guest {
	return domainxml.Guest{Name: "web1", UUID: uuid, CPUs: 1, Memory: 512 << 20}
}

func ordinary() domainxml.Guest {
	g := minimal()
	g.CPUs, g.Memory, g.ConsoleLog = 2, 2<<30, pool+uuid+".console.log"
	g.Disks = []domainxml.Disk{
		{Path: pool + uuid + ".root.qcow2", Format: "qcow2", Serial: "root"},
		{Path: pool + uuid + ".seed.img", Format: "raw", Serial: "seed", ReadOnly: true},
	}
	g.NICs = []domainxml.NIC{{Bridge: "br0", MAC: "52:54:00:a1:b2:c3", Device: "gf5b1f0c1e6f00"}}
	g.Metadata = []domainxml.Metadata{record(`{"v":1}`)}
	return g
}

func record(text string) domainxml.Metadata {
	return domainxml.Metadata{Namespace: ours, Prefix: "provision", Element: "record", Text: text}
}

// guests are the Guests that have a golden file each.
func guests() map[string]domainxml.Guest {
	list := map[string]domainxml.Guest{"minimal": minimal(), "ordinary": ordinary()}
	add := func(name string, change func(*domainxml.Guest)) {
		g := ordinary()
		change(&g)
		list[name] = g
	}
	add("emulated", func(g *domainxml.Guest) { g.Emulated = true })
	add("emulated-small", func(g *domainxml.Guest) { g.Emulated, g.Memory = true, 1<<30-1024 })
	add("agent", func(g *domainxml.Guest) { g.Agent = true })
	add("cpu-shared", func(g *domainxml.Guest) {
		g.CPUs, g.CPU = 2, domainxml.CPU{Limit: 1500, Shares: 2048, Pin: "0-1"}
	})
	add("cpu-passthrough", func(g *domainxml.Guest) { g.CPU.Model = "host-passthrough" })
	add("cpu-named", func(g *domainxml.Guest) { g.CPU.Model = "EPYC" })
	add("memory-guaranteed", func(g *domainxml.Guest) {
		g.Backing = domainxml.Backing{Locked: true, Allocated: true, NoMerge: true, NoBalloon: true, HardLimit: 2<<30 + 1}
	})
	add("memory-huge", func(g *domainxml.Guest) { g.Backing = domainxml.Backing{HugePages: 2048, NoBalloon: true} })
	add("uefi", func(g *domainxml.Guest) { g.Firmware = &domainxml.Firmware{NVRAM: pool + "nvram.fd"} })
	add("uefi-secure", func(g *domainxml.Guest) { g.Firmware = &domainxml.Firmware{SecureBoot: true} })
	add("disk-block", func(g *domainxml.Guest) {
		g.Disks[0] = domainxml.Disk{Path: "/dev/vg0/guest", Block: true, Format: "raw", Serial: "root", IO: "native", DetectZeroes: true}
	})
	add("disk-tuned", func(g *domainxml.Guest) {
		g.Disks[0].Cache, g.Disks[0].IO, g.Disks[0].NoDiscard, g.Disks[0].IOPS, g.Disks[0].BPS = "writeback", "threads", true, 500, 10<<20
	})
	add("nic-filtered", func(g *domainxml.Guest) {
		g.NICs[0].Filter, g.NICs[0].MTU, g.NICs[0].Isolated, g.NICs[0].Queues = "clean-traffic", 1400, true, 2
		g.NICs[0].Parameters = []domainxml.FilterParameter{{Name: "IP", Value: "192.0.2.10"}, {Name: "IP", Value: "192.0.2.11"}}
	})
	add("nic-openvswitch", func(g *domainxml.Guest) {
		g.NICs[0].OpenVSwitch, g.NICs[0].VLAN, g.NICs[0].In, g.NICs[0].Out = true, 42, 12207, 6103
	})
	add("machine", func(g *domainxml.Guest) { g.Machine = "pc-q35-7.2" })
	add("no-console-log", func(g *domainxml.Guest) { g.ConsoleLog = "" })
	add("no-nics", func(g *domainxml.Guest) { g.NICs = nil })
	add("several-nics", func(g *domainxml.Guest) {
		g.NICs = append(g.NICs, domainxml.NIC{Bridge: "br1", MAC: "52:54:00:a1:b2:c4"},
			domainxml.NIC{Bridge: "br0.42", MAC: "52:54:00:a1:b2:c5", Device: "gf5b1f0c1e6f02"})
	})
	add("several-disks", func(g *domainxml.Guest) {
		for i := range 26 {
			g.Disks = append(g.Disks, domainxml.Disk{Path: fmt.Sprintf("%sdata%d.qcow2", pool, i), Format: "qcow2"})
		}
	})
	add("read-only-root", func(g *domainxml.Guest) { g.Disks[0].ReadOnly, g.Disks[1].ReadOnly = true, false })
	add("kernel", func(g *domainxml.Guest) {
		g.Kernel = &domainxml.Kernel{Image: "/boot/vmlinuz", Initrd: "/boot/initrd.img", Cmdline: `console=ttyS0 root=/dev/vda "a b" <&>'`}
	})
	add("kernel-alone", func(g *domainxml.Guest) { g.Disks, g.Kernel = nil, &domainxml.Kernel{Image: "/boot/vmlinuz"} })
	add("odd-memory", func(g *domainxml.Guest) { g.Memory = 100<<20 + 1 })
	add("hostile-metadata", func(g *domainxml.Guest) { g.Metadata = []domainxml.Metadata{record(hostile)} })
	add("hostile-names", func(g *domainxml.Guest) {
		g.Name, g.ConsoleLog, g.Disks[0].Path = hostile, "/a\"'><b/"+hostile, "/c&d\t\n"
		g.NICs[0].Bridge, g.NICs[0].Device = "\"/><x/>", "'"
	})
	add("two-metadata", func(g *domainxml.Guest) {
		g.Metadata = append(g.Metadata, domainxml.Metadata{Namespace: `urn:b?c=(d)`, Prefix: "_p.1-x", Element: "E.1", Text: ""})
	})
	return list
}
