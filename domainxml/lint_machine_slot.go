package domainxml

import "strings"

// slot is where libvirt puts a device of a PCIe machine that has no address.
type slot int

const (
	elsewhere slot = iota // no PCI device, or part of the machine
	onPort                // on a PCIe port, alone
	onBridge              // on one bridge with all others of conventional PCI
)

// virtioSlot is that of VirtIO devices: those which old guests can drive too are
// for conventional PCI.
func virtioSlot(model string) slot {
	switch {
	case model == "virtio-transitional":
		return onBridge
	case strings.HasPrefix(model, "virtio"):
		return onPort
	}
	return elsewhere
}

// slot follows libvirt 9.0, qemuDomainDeviceCalculatePCIConnectFlags in
// src/qemu/qemu_domain_address.c. The first video card of a PC is part of it.
func (l *linter) slot(n id, firstVideo bool) slot {
	model := l.get(n, "model")
	switch name := l.name(n); name {
	case "disk":
		if bus := l.deep(n, "bus", "target"); bus == "virtio" || bus == "" && strings.HasPrefix(l.deep(n, "dev", "target"), "vd") {
			return virtioSlot("virtio" + strings.TrimPrefix(model, "virtio"))
		}
	case "rng", "memballoon", "memory":
		return virtioSlot(model)
	case "vsock", "filesystem":
		return virtioSlot("virtio" + strings.TrimPrefix(model, "virtio"))
	case "interface":
		return l.interfaceSlot(n)
	case "controller":
		return l.controllerSlot(n)
	case "video":
		if !firstVideo || !l.x86() {
			return l.videoSlot(n)
		}
	case "hostdev":
		if kind := l.get(n, "type"); kind == "pci" || kind == "mdev" || kind == "scsi_host" {
			return onPort
		}
	case "input":
		return virtioSlot(l.get(n, "bus"))
	case "watchdog", "sound":
		if model == "i6300esb" || model == "ac97" || model == "es1370" || model == "ich6" {
			return onBridge
		}
	case "shmem":
		return onBridge
	case "serial":
		if l.deep(n, "type", "target") == "pci-serial" {
			return onBridge
		}
	}
	return elsewhere
}

func (l *linter) interfaceSlot(n id) slot {
	model := l.deep(n, "type", "model")
	switch {
	case l.get(n, "type") == "hostdev", model == "e1000e", model == "igb", model == "" && !l.x86():
		return onPort
	case model == "usb-net":
		return elsewhere
	case strings.HasPrefix(model, "virtio"):
		return virtioSlot(model)
	}
	return onBridge // rtl8139, which is the default, e1000, and others
}

func (l *linter) videoSlot(n id) slot {
	switch model := l.deep(n, "type", "model"); {
	case model == "bochs", model == "" && !l.x86():
		return onPort
	case model == "none", model == "ramfb":
		return elsewhere
	case strings.HasPrefix(model, "virtio"):
		return virtioSlot(model)
	}
	return onBridge
}

func (l *linter) controllerSlot(n id) slot {
	model := l.get(n, "model")
	switch kind := l.get(n, "type"); {
	case model == "none":
		return elsewhere
	case model == "virtio-transitional":
		return onBridge
	case kind == "virtio-serial", kind == "nvme",
		kind == "pci" && (model == "pcie-to-pci-bridge" || model == "pcie-switch-upstream-port"),
		kind == "usb" && (model == "qemu-xhci" || model == "nec-xhci"),
		kind == "scsi" && strings.HasPrefix(model, "virtio"),
		(kind == "usb" || kind == "scsi") && model == "" && !l.x86():
		return onPort
	case kind == "usb", kind == "scsi", kind == "sata" && l.get(n, "index") != "" && l.get(n, "index") != "0":
		return onBridge
	}
	return elsewhere // the PC's own, and other parts of PCI
}
