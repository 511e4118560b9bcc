package domainxml

import "libvirt.org/go/libvirtxml"

func devices(g *Guest) *libvirtxml.DomainDeviceList {
	port := uint(0)
	d := &libvirtxml.DomainDeviceList{
		Controllers: controllers(g),
		Serials: []libvirtxml.DomainSerial{{
			Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
			Target: &libvirtxml.DomainSerialTarget{Port: &port},
		}},
		Consoles: []libvirtxml.DomainConsole{{
			Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
			Target: &libvirtxml.DomainConsoleTarget{Type: "serial", Port: &port},
		}},
		Videos: []libvirtxml.DomainVideo{{Model: libvirtxml.DomainVideoModel{Type: "none"}}},
		RNGs: []libvirtxml.DomainRNG{{
			Model:   "virtio",
			Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}},
		}},
		MemBalloon: balloon(g),
	}
	if g.Agent {
		d.Channels = append(d.Channels, libvirtxml.DomainChannel{
			Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{}},
			Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: "org.qemu.guest_agent.0"}},
		})
	}
	if g.ConsoleLog != "" {
		d.Serials[0].Log = &libvirtxml.DomainChardevLog{File: g.ConsoleLog, Append: "off"}
	}
	for i, disk := range g.Disks {
		d.Disks = append(d.Disks, diskDevice(i, disk))
	}
	for _, nic := range g.NICs {
		d.Interfaces = append(d.Interfaces, nicDevice(nic))
	}
	return d
}

func balloon(g *Guest) *libvirtxml.DomainMemBalloon {
	if g.Backing.NoBalloon {
		return &libvirtxml.DomainMemBalloon{Model: "none"}
	}
	return &libvirtxml.DomainMemBalloon{Model: "virtio", Stats: &libvirtxml.DomainMemBalloonStats{Period: 10}}
}

// controllers: no USB, and a PCIe port for each disk, NIC, the random number
// device, the balloon and the agent's channel, and the spare ones.
func controllers(g *Guest) []libvirtxml.DomainController {
	list := []libvirtxml.DomainController{
		{Type: "usb", Model: "none"},
		{Type: "pci", Model: "pcie-root"},
	}
	devices := len(g.Disks) + len(g.NICs) + 1
	if !g.Backing.NoBalloon {
		devices++
	}
	if g.Agent {
		devices++
	}
	for range devices + SparePorts {
		list = append(list, libvirtxml.DomainController{Type: "pci", Model: "pcie-root-port"})
	}
	return list
}

func diskDevice(i int, disk Disk) libvirtxml.DomainDisk {
	d := libvirtxml.DomainDisk{
		Device: "disk",
		Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: disk.Format, Cache: "none", IO: disk.IO, Discard: "unmap"},
		Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: disk.Path}},
		Target: &libvirtxml.DomainDiskTarget{Dev: target(i), Bus: "virtio"},
		Serial: disk.Serial,
	}
	if disk.Target != "" {
		d.Target.Dev = disk.Target
	}
	if disk.Block {
		d.Source = &libvirtxml.DomainDiskSource{Block: &libvirtxml.DomainDiskSourceBlock{Dev: disk.Path}}
	}
	if disk.Cache != "" {
		d.Driver.Cache = disk.Cache
	}
	if disk.DetectZeroes {
		d.Driver.DetectZeros = "unmap"
	}
	if disk.ReadOnly {
		d.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
	}
	if disk.ReadOnly || disk.NoDiscard {
		d.Driver.Discard, d.Driver.DetectZeros = "", ""
	}
	if disk.IOPS != 0 || disk.BPS != 0 {
		d.IOTune = &libvirtxml.DomainDiskIOTune{TotalIopsSec: disk.IOPS, TotalBytesSec: disk.BPS}
	}
	return d
}

// target names the disk i: vda to vdz, then vdaa, as Linux does.
func target(i int) string {
	name := ""
	for ; i >= 0; i = i/26 - 1 {
		name = string(rune('a'+i%26)) + name
	}
	return "vd" + name
}
