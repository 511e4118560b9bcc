package domainxml

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"libvirt.org/go/libvirtxml"
)

// SparePorts is how many PCIe ports a new domain has free for hot-plug. A q35
// machine cannot gain ports while it runs.
const SparePorts = 8

// Guest describes a new domain. Strings are escaped, but otherwise taken as they
// are: the caller has checked them. Build refuses those that XML cannot carry.
type Guest struct {
	Name string
	UUID string
	// Emulated asks for software emulation (TCG) instead of KVM.
	Emulated bool
	// Machine type. Default: q35, which libvirt expands to a version when the
	// domain is defined.
	Machine string
	CPUs    int
	// Memory in bytes, rounded up to KiB.
	Memory uint64
	Disks  []Disk
	NICs   []NIC
	// CPU is how the guest's processors are chosen and shared.
	CPU CPU
	// Backing is what holds the guest's memory.
	Backing Backing
	// Firmware boots the guest with UEFI. Default: BIOS.
	Firmware *Firmware
	// Agent adds the channel of the QEMU guest agent. libvirt chooses its socket.
	Agent bool
	// ConsoleLog is the host's file that gets what the guest writes to its
	// serial console; it begins anew at each start. Default: no log.
	ConsoleLog string
	// Kernel boots the guest directly, without a boot loader on its disk.
	Kernel *Kernel
	// Metadata elements, one for each namespace.
	Metadata []Metadata
}

// Metadata is an element of our own with text in it.
type Metadata struct {
	Namespace string // URI
	Prefix    string
	Element   string
	Text      string
}

// render writes the element, with its own namespace or for libvirt to add it.
func (m Metadata) render(inherit bool) (string, error) {
	var text bytes.Buffer
	if err := xml.EscapeText(&text, []byte(m.Text)); err != nil {
		return "", fmt.Errorf("metadata: %w", err)
	}
	name, ns := m.Element, ""
	if inherit {
		var uri bytes.Buffer
		if err := xml.EscapeText(&uri, []byte(m.Namespace)); err != nil {
			return "", fmt.Errorf("metadata: %w", err)
		}
		name, ns = m.Prefix+":"+m.Element, fmt.Sprintf(` xmlns:%s="%s"`, m.Prefix, uri.Bytes())
	}
	return fmt.Sprintf("<%s%s>%s</%s>", name, ns, text.Bytes(), name), nil
}

// XML returns the element without a prefix, as virDomainSetMetadata takes it:
// libvirt adds prefix and namespace from its own arguments.
func (m Metadata) XML() (string, error) {
	if err := m.valid(); err != nil {
		return "", fmt.Errorf("domainxml: %w", err)
	}
	return m.render(false)
}

// Build renders a domain document. The same Guest gives the same text.
func Build(g Guest) ([]byte, error) {
	if err := g.valid(); err != nil {
		return nil, err
	}
	d := &libvirtxml.Domain{
		Type:       domainType(g.Emulated),
		Name:       g.Name,
		UUID:       g.UUID,
		Memory:     &libvirtxml.DomainMemory{Value: kib(g.Memory), Unit: "KiB"},
		VCPU:       &libvirtxml.DomainVCPU{Value: uint(g.CPUs)},
		CPUTune:    cpuTune(&g),
		MemoryTune: memTune(&g),
		OS:         system(&g),
		Features:   features(&g),
		CPU:        cpu(&g),
		Clock:      clock(g.Emulated),
		OnPoweroff: "destroy",
		OnReboot:   "restart",
		OnCrash:    "destroy",
		Devices:    devices(&g),
	}
	d.MemoryBacking = memoryBacking(&g)
	if len(g.Metadata) > 0 {
		d.Metadata = &libvirtxml.DomainMetadata{}
		for _, m := range g.Metadata {
			text, err := m.render(true)
			if err != nil {
				return nil, err
			}
			d.Metadata.XML += text
		}
	}
	text, err := d.Marshal()
	if err != nil {
		return nil, fmt.Errorf("domainxml: %w", err)
	}
	return append([]byte(text), '\n'), nil
}

func kib(n uint64) uint { return uint((n + 1023) / 1024) } // valid has bounded it

func domainType(emulated bool) string {
	if emulated {
		return "qemu"
	}
	return "kvm"
}

// features: without a bound on the cache of translated code, an emulated guest
// of 512 MiB takes 1.3 GB of its host.
func features(g *Guest) *libvirtxml.DomainFeatureList {
	f := &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}}
	if g.Emulated {
		cache := uint(32)
		if g.Memory >= 1<<30 {
			cache = 128
		}
		f.TCG = &libvirtxml.DomainFeatureTCG{TBCache: &libvirtxml.DomainFeatureTCGTBCache{Unit: "MiB", Size: cache}}
	}
	return f
}

func clock(emulated bool) *libvirtxml.DomainClock {
	c := &libvirtxml.DomainClock{Offset: "utc"}
	if !emulated {
		c.Timer = []libvirtxml.DomainTimer{
			{Name: "rtc", TickPolicy: "catchup"}, {Name: "pit", TickPolicy: "delay"}, {Name: "hpet", Present: "no"},
		}
	}
	return c
}
