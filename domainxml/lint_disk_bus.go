package domainxml

import (
	"slices"
	"strconv"
	"strings"
)

// bus is the disk's bus; where it is not said, libvirt takes it from the name.
func (l *linter) bus(n id) string {
	if bus := l.deep(n, "bus", "target"); bus != "" {
		return bus
	}
	if l.get(n, "device") == "floppy" {
		return "fdc"
	}
	dev := l.deep(n, "dev", "target")
	for prefix, bus := range map[string]string{"hd": "ide", "sd": "scsi", "vd": "virtio", "fd": "fdc", "xvd": "xen"} {
		if strings.HasPrefix(dev, prefix) {
			return bus
		}
	}
	return ""
}

// slowBuses are those that QEMU emulates for disks. Those on sd belong to boards
// that may have no other.
var slowBuses = []string{"ide", "sata", "usb", "fdc", "sd"}

// slow says that a disk that the guest writes to is on one of them. A USB stick
// that says it is one was meant to be.
func (l *linter) slow(n id) bool {
	return slices.Contains(slowBuses, l.bus(n)) && l.deep(n, "removable", "target") != "on"
}

// slowSCSI are the models of controllers that QEMU emulates.
var slowSCSI = []string{"lsilogic", "lsisas1068", "lsisas1078", "buslogic", "vmpvscsi", "am53c974", "dc390", "ncr53c90"}

// scsi returns the model of a SCSI disk's controller, "" for virtio's and others
// made for guests, and the path of that model.
func (l *linter) scsi(n id) (model, at string) {
	index := "0"
	if i, err := strconv.Atoi(l.deep(n, "controller", "address")); err == nil {
		index = strconv.Itoa(i)
	}
	at = l.path(l.devices, "controller[@type='scsi'][@index='"+index+"']/@model")
	if c, ok := l.scsiControllers[index]; ok {
		model, at = l.get(c, "model"), l.path(c, "@model")
	}
	switch {
	case slices.Contains(slowSCSI, model):
		return model, at
	case (model == "" || model == "auto") && !l.paraSCSI():
		return "of no model, which means lsilogic", at
	}
	return "", at
}

// paraSCSI says that libvirt takes a model made for guests where none is said. On
// others it takes lsilogic, if QEMU has it.
func (l *linter) paraSCSI() bool {
	for _, arch := range []string{"ppc64", "s390", "loongarch"} {
		if strings.HasPrefix(l.arch, arch) {
			return true
		}
	}
	return false
}

// diskBus finds disks on controllers that QEMU emulates register by register.
//
// Source: https://wiki.libvirt.org/Virtio.html,
// https://libvirt.org/formatdomain.html#controllers, and libvirt 11.3,
// qemu_domain.c, qemuDomainGetSCSIControllerModel.
var diskBus = Rule{
	ID: "disk-bus", Severity: SeverityWarning,
	Title:  "a disk on an emulated controller",
	Why:    "Each request costs several exits to the host, few are under way at once, and a kernel made for clouds may have no driver.",
	Source: "https://wiki.libvirt.org/Virtio.html",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='sda' bus='sata'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		if !l.qemu() {
			return
		}
		names := l.virtioNames()
		for _, n := range l.disks() {
			var f *Finding
			switch bus := l.bus(n); {
			case l.slow(n):
				f = l.report(n, "the bus is %s", bus)
				if bus != "sd" {
					f.Fix = l.toVirtio(n, names[n])
				}
			case bus == "scsi":
				model, at := l.scsi(n)
				if model == "" {
					continue
				}
				f = l.report(n, "the SCSI controller is %s", model)
				f.Fix = []Edit{Set(at, "virtio-scsi")}
			default:
				continue
			}
			f.Caution = "The guest needs the VirtIO driver, in its initial RAM disk too, and may have the disk's name in fstab or its boot loader. Stop it first."
		}
	},
}

// virtioNames gives each disk that a fix moves to virtio a target that is free:
// fixes of different rules agree on them, and none takes another's.
func (l *linter) virtioNames() map[id]string {
	taken := map[string]bool{}
	for _, n := range l.all("disk") {
		taken[l.deep(n, "dev", "target")] = true
	}
	names, next, writable := map[id]string{}, 0, l.disks()
	for _, n := range l.all("disk") {
		if !l.hiddenSeed(n) && !(slices.Contains(writable, n) && l.slow(n)) {
			continue
		}
		for names[n] == "" || taken[names[n]] {
			names[n] = "vd" + letters(next)
			next++
		}
		taken[names[n]] = true
	}
	return names
}

// letters counts a, b, ... z, aa, ab, ...
func letters(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return letters(i/26-1) + letters(i%26)
}

// toVirtio moves a disk to virtio-blk, without what libvirt refuses there: the
// address of a drive, and what is for SCSI, USB, or CD-ROMs only.
func (l *linter) toVirtio(n id, name string) []Edit {
	fix := []Edit{Set(l.path(n, "target/@bus"), "virtio"), Set(l.path(n, "target/@dev"), name)}
	for _, child := range []string{"address", "vendor", "product", "wwn"} {
		if c := l.child(n, child); c != 0 {
			fix = append(fix, Remove(l.path(c, "")))
		}
	}
	for _, a := range []struct{ element, attr string }{
		{"target", "tray"}, {"target", "removable"}, {"target", "rotation_rate"}, {"geometry", "trans"},
	} {
		if c := l.child(n, a.element); c != 0 && l.findAttr(c, a.attr) >= 0 {
			fix = append(fix, Remove(l.path(c, "@"+a.attr)))
		}
	}
	return fix
}
