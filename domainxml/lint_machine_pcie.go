package domainxml

import (
	"slices"
	"strconv"
	"strings"
)

// pciePorts finds machines of PCI Express that take no second device while they
// run. Each hot-plugged device needs a port of its own, and ports come only with a
// start. libvirt adds those that the domain's own devices lack, and one to spare if
// the document has none.
//
// Source: https://libvirt.org/pci-hotplug.html (q35 and mach-virt)
var pciePorts = Rule{
	ID: "pcie-ports", Severity: SeverityWarning,
	Title:  "no PCIe ports to add disks and network cards",
	Why:    "The next device, or the one after it, cannot be added while the guest runs: No more available PCI slots.",
	Source: "https://libvirt.org/pci-hotplug.html",
	Fails:  `<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface></devices>`,
	Passes: `<os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os><devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface></devices>`,
	check: func(l *linter) {
		if !l.qemu() || !l.pcie() || l.devices == 0 {
			return
		}
		free, lacking := l.freePorts()
		if free >= 2 {
			return
		}
		f := l.report(l.devices, "PCIe ports left for devices to come: %d", free)
		if !l.hasController("pci", "pcie-root") {
			// Else libvirt takes the first port for number 0, and refuses it.
			f.Fix = []Edit{Add(l.device(""), "<controller type='pci' index='0' model='pcie-root'/>")}
		}
		for range min(lacking, maxPorts) + SparePorts { // the domain's own devices take those first
			f.Fix = append(f.Fix, Add(l.device(""), "<controller type='pci' model='pcie-root-port'/>"))
		}
	},
}

// maxPorts is how many PCIe buses there can be.
const maxPorts = 256

// pcie says whether devices sit on PCIe ports, one on each.
func (l *linter) pcie() bool {
	virt := l.machine == "virt" || strings.HasPrefix(l.machine, "virt-")
	if l.machine == "" {
		virt = l.arch == "aarch64" || l.arch == "riscv64"
	}
	return virt || strings.Contains(l.machine, "q35")
}

// ports counts them: those there, the numbers of those there (libvirt gives a port
// the number of the bus behind it), and how many the devices without an address
// will take.
type ports struct {
	all    int
	number map[uint64]bool
	taken  map[uint64]bool // buses with a device, ports or others
	wanted int
	// old: a device of conventional PCI has no address. libvirt adds a bridge for all
	// of those, and with it the port that it takes.
	old bool
}

// freePorts says how many ports will be free, and how many the domain's own devices
// lack. It is exact for documents that come from libvirt, where all devices have
// addresses, and close for those that go to it.
func (l *linter) freePorts() (free, lacking int) {
	p := ports{number: map[uint64]bool{}, taken: map[uint64]bool{}}
	video := 0
	for n := l.nodes[l.devices].first; n != 0; n = l.nodes[n].next {
		if l.name(n) == "video" {
			video++
		}
		l.port(&p, n)
		l.place(&p, n, l.slot(n, video == 1))
	}
	l.imply(&p)
	if p.all == 0 && (p.wanted > 0 || p.old) {
		return 1, p.wanted // what libvirt adds, it adds with one to spare
	}
	free = p.all - p.wanted
	for bus := range p.taken {
		if p.number[bus] {
			free--
		}
	}
	return max(free, 0), max(-free, 0)
}

// port counts a controller that is a port for others.
func (l *linter) port(p *ports, n id) {
	model := l.get(n, "model")
	if l.name(n) != "controller" || model != "pcie-root-port" && model != "pcie-switch-downstream-port" ||
		l.deep(n, "hotplug", "target") == "off" {
		return
	}
	p.all++
	if number, ok := count(l.get(n, "index")); ok {
		p.number[number] = true
	}
}

// place counts where a device is, or where it will be.
func (l *linter) place(p *ports, n id, s slot) {
	if a := l.child(n, "address"); a != 0 {
		if l.get(a, "type") != "pci" {
			return
		}
		if bus, err := strconv.ParseUint(l.get(a, "bus"), 0, 16); err == nil {
			p.taken[bus] = true
			return
		}
	}
	switch s {
	case onPort:
		p.wanted++
	case onBridge:
		p.old = true
	}
}

// imply counts what libvirt adds to a document that does not say otherwise.
func (l *linter) imply(p *ports) {
	if len(l.all("memballoon")) == 0 {
		p.wanted++
	}
	if l.x86() && !l.hasController("usb", "") {
		p.wanted++
	}
	serial := slices.ContainsFunc(slices.Concat(l.all("channel"), l.all("console")), func(n id) bool {
		return l.deep(n, "type", "target") == "virtio"
	})
	if serial && !l.hasController("virtio-serial", "") {
		p.wanted++
	}
	scsi := slices.ContainsFunc(l.all("disk"), func(n id) bool { return l.deep(n, "bus", "target") == "scsi" })
	switch {
	case !scsi || l.hasController("scsi", ""):
	case l.x86():
		p.old = true // lsilogic
	default:
		p.wanted++
	}
}

// hasController: "" is any model.
func (l *linter) hasController(kind, model string) bool {
	return slices.ContainsFunc(l.all("controller"), func(n id) bool {
		return l.get(n, "type") == kind && (model == "" || l.get(n, "model") == model)
	})
}
