package domainxml

import "libvirt.org/go/libvirtxml"

func devices(g *Guest) *libvirtxml.DomainDeviceList {
	port := uint(0)
	d := &libvirtxml.DomainDeviceList{
		Controllers: controllers(len(g.Disks) + len(g.NICs)),
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
		MemBalloon: &libvirtxml.DomainMemBalloon{Model: "virtio", Stats: &libvirtxml.DomainMemBalloonStats{Period: 10}},
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

// controllers: no USB, and a PCIe port for each disk, NIC, the random number
// device and the balloon, and the spare ones.
func controllers(devices int) []libvirtxml.DomainController {
	list := []libvirtxml.DomainController{
		{Type: "usb", Model: "none"},
		{Type: "pci", Model: "pcie-root"},
	}
	for range devices + 2 + SparePorts {
		list = append(list, libvirtxml.DomainController{Type: "pci", Model: "pcie-root-port"})
	}
	return list
}

func diskDevice(i int, disk Disk) libvirtxml.DomainDisk {
	d := libvirtxml.DomainDisk{
		Device: "disk",
		Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: disk.Format, Cache: "none", Discard: "unmap"},
		Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: disk.Path}},
		Target: &libvirtxml.DomainDiskTarget{Dev: target(i), Bus: "virtio"},
		Serial: disk.Serial,
	}
	if disk.ReadOnly {
		d.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
		d.Driver.Discard = ""
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

func nicDevice(nic NIC) libvirtxml.DomainInterface {
	d := libvirtxml.DomainInterface{
		MAC:    &libvirtxml.DomainInterfaceMAC{Address: nic.MAC},
		Source: &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: nic.Bridge}},
		Model:  &libvirtxml.DomainInterfaceModel{Type: "virtio"},
	}
	if nic.Device != "" {
		d.Target = &libvirtxml.DomainInterfaceTarget{Dev: nic.Device}
	}
	return d
}
