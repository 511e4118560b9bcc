package domainxml

import "libvirt.org/go/libvirtxml"

func system(g *Guest) *libvirtxml.DomainOS {
	machine := g.Machine
	if machine == "" {
		machine = "q35"
	}
	os := &libvirtxml.DomainOS{Type: &libvirtxml.DomainOSType{Arch: "x86_64", Machine: machine, Type: "hvm"}}
	if f := g.Firmware; f != nil {
		firmware(os, f)
	}
	if k := g.Kernel; k != nil {
		os.Kernel, os.Initrd, os.Cmdline = k.Image, k.Initrd, k.Cmdline
	} else {
		os.BootDevices = []libvirtxml.DomainBootDevice{{Dev: "hd"}}
	}
	return os
}

// firmware is chosen by its features, so that it does not depend on where a
// distribution keeps the files.
func firmware(os *libvirtxml.DomainOS, f *Firmware) {
	os.Firmware = "efi"
	on := "no"
	if f.SecureBoot {
		on = "yes"
		os.Loader = &libvirtxml.DomainLoader{Secure: "yes"}
	}
	os.FirmwareInfo = &libvirtxml.DomainOSFirmwareInfo{Features: []libvirtxml.DomainOSFirmwareFeature{
		{Enabled: on, Name: "enrolled-keys"}, {Enabled: on, Name: "secure-boot"},
	}}
	if f.NVRAM != "" {
		os.NVRam = &libvirtxml.DomainNVRam{NVRam: f.NVRAM}
	}
}

func cpu(g *Guest) *libvirtxml.DomainCPU {
	switch model := g.CPU.Model; model {
	case "":
		if g.Emulated {
			return nil // QEMU's own default: the host's model means nothing to it
		}
		return &libvirtxml.DomainCPU{Mode: "host-model"}
	case "host-model", "maximum":
		return &libvirtxml.DomainCPU{Mode: model}
	case "host-passthrough":
		return &libvirtxml.DomainCPU{Mode: model, Migratable: "on"}
	default:
		// A check in full refuses to start what QEMU adds by itself ("hypervisor").
		return &libvirtxml.DomainCPU{Mode: "custom", Match: "exact", Check: "partial",
			Model: &libvirtxml.DomainCPUModel{Value: model, Fallback: "forbid"}}
	}
}

// period of the scheduler's accounts in microseconds, the kernel's own default.
const period = 100_000

// cpuTune: the quota is one for the whole guest, because a guest with two
// processors may use 1.5 of them in any split.
func cpuTune(g *Guest) *libvirtxml.DomainCPUTune {
	c := g.CPU
	if c.Limit == 0 && c.Shares == 0 && c.Pin == "" {
		return nil
	}
	t := &libvirtxml.DomainCPUTune{}
	if c.Shares != 0 {
		t.Shares = &libvirtxml.DomainCPUTuneShares{Value: uint(c.Shares)}
	}
	if c.Limit != 0 {
		t.GlobalPeriod = &libvirtxml.DomainCPUTunePeriod{Value: period}
		t.GlobalQuota = &libvirtxml.DomainCPUTuneQuota{Value: int64(c.Limit * period / 1000)}
	}
	if c.Pin != "" {
		for i := range g.CPUs {
			t.VCPUPin = append(t.VCPUPin, libvirtxml.DomainCPUTuneVCPUPin{VCPU: uint(i), CPUSet: c.Pin})
		}
		t.EmulatorPin = &libvirtxml.DomainCPUTuneEmulatorPin{CPUSet: c.Pin}
	}
	return t
}

func memTune(g *Guest) *libvirtxml.DomainMemoryTune {
	if g.Backing.HardLimit == 0 {
		return nil
	}
	return &libvirtxml.DomainMemoryTune{HardLimit: &libvirtxml.DomainMemoryTuneLimit{Value: uint64(kib(g.Backing.HardLimit)), Unit: "KiB"}}
}

func memoryBacking(g *Guest) *libvirtxml.DomainMemoryBacking {
	b := g.Backing
	if !b.Locked && b.HugePages == 0 && !b.Allocated && !b.NoMerge {
		return nil
	}
	m := &libvirtxml.DomainMemoryBacking{}
	if b.HugePages != 0 {
		m.MemoryHugePages = &libvirtxml.DomainMemoryHugepages{Hugepages: []libvirtxml.DomainMemoryHugepage{{Size: uint(b.HugePages), Unit: "KiB"}}}
	}
	if b.NoMerge {
		m.MemoryNosharepages = &libvirtxml.DomainMemoryNosharepages{}
	}
	if b.Locked {
		m.MemoryLocked = &libvirtxml.DomainMemoryLocked{}
	}
	if b.Allocated {
		m.MemoryAllocation = &libvirtxml.DomainMemoryAllocation{Mode: "immediate"}
	}
	return m
}
