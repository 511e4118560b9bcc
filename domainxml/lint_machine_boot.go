package domainxml

var bootRules = []Rule{bootMixed, bootOrderDuplicate, onCrash, seclabelNone}

// bootMixed finds what libvirt refuses with "per-device boot elements cannot be
// used together with os/boot elements".
//
// Source: https://libvirt.org/formatdomain.html#bios-bootloader (boot)
var bootMixed = Rule{
	ID: "boot-mixed", Severity: SeverityError,
	Title:  "an order of boot by kind and by device",
	Why:    "libvirt refuses to define the domain.",
	Source: "https://libvirt.org/formatdomain.html#bios-bootloader",
	Fails:  `<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os><devices><disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/><boot order='1'/></disk></devices>`,
	Passes: `<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices><disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/><boot order='1'/></disk></devices>`,
	check: func(l *linter) {
		os := l.child(l.root, "os")
		if os == 0 || l.child(os, "boot") == 0 || len(l.bootOrders()) == 0 {
			return
		}
		f := l.report(os, "there are boot elements here, and in devices")
		for _, n := range l.children(os, "boot") {
			f.Fix = append(f.Fix, Remove(l.path(n, "")))
		}
	},
}

// bootOrders returns the boot elements of devices.
func (l *linter) bootOrders() []id {
	if l.devices == 0 {
		return nil
	}
	var list []id
	for n := l.nodes[l.devices].first; n != 0; n = l.nodes[n].next {
		if boot := l.child(n, "boot"); boot != 0 && l.get(boot, "order") != "" {
			list = append(list, boot)
		}
	}
	return list
}

// bootOrderDuplicate finds what libvirt refuses with "boot order '1' used for more
// than one device".
//
// Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
// (boot)
var bootOrderDuplicate = Rule{
	ID: "boot-order-duplicate", Severity: SeverityError,
	Title:  "two devices with one place in the order of boot",
	Why:    "libvirt refuses to define the domain.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file'><target dev='vda' bus='virtio'/><boot order='1'/></disk><disk type='file'><target dev='vdb' bus='virtio'/><boot order='1'/></disk></devices>`,
	Passes: `<devices><disk type='file'><target dev='vda' bus='virtio'/><boot order='1'/></disk><disk type='file'><target dev='vdb' bus='virtio'/><boot order='2'/></disk></devices>`,
	check: func(l *linter) {
		seen := map[uint64]bool{}
		for _, n := range l.bootOrders() {
			order, ok := count(l.get(n, "order"))
			if ok && seen[order] {
				l.report(n, "the order %d is that of a device before", order)
			}
			seen[order] = seen[order] || ok
		}
	},
}

// onCrash finds guests that are to come back from a panic by themselves.
// rename-restart is not for QEMU, which refuses it.
//
// Source: https://libvirt.org/formatdomain.html#events-configuration
var onCrash = Rule{
	ID: "on-crash", Severity: SeverityInfo,
	Title:  "a restart after each crash",
	Why:    "A guest that panics as it starts does so again and again, at the cost of its neighbours, and what could be seen of the crash is gone.",
	Source: "https://libvirt.org/formatdomain.html#events-configuration",
	Fails:  `<on_crash>restart</on_crash>`,
	Passes: `<on_crash>destroy</on_crash>`,
	check: func(l *linter) {
		after := map[string]string{
			"restart": "destroy", "rename-restart": "destroy", "coredump-restart": "coredump-destroy",
		}
		n := l.child(l.root, "on_crash")
		if n == 0 || !l.qemu() {
			return
		}
		action := l.own(n)
		if to := after[action]; to != "" {
			f := l.report(n, "on_crash is %s", action)
			f.Fix = []Edit{Set(l.path(n, ""), to)}
			f.Caution = "Whoever relies on the restart must start a crashed guest."
		}
	},
}

// seclabelNone finds QEMU processes that no security driver holds. With the model
// none it is not the domain's choice: the host has no driver, and virt-install
// writes that down.
//
// Source: https://libvirt.org/formatdomain.html#security-label and
// https://libvirt.org/drvqemu.html#selinux-svirt-confinement
var seclabelNone = Rule{
	ID: "seclabel-none", Severity: SeverityWarning,
	Title:  "a domain that is not confined",
	Why:    "SELinux or AppArmor do not hold its QEMU: a guest that breaks out of it reaches the disks of all others.",
	Source: "https://libvirt.org/formatdomain.html#security-label",
	Fails:  `<seclabel type='none'/>`,
	Passes: `<seclabel type='dynamic' model='selinux' relabel='yes'/>`,
	check: func(l *linter) {
		for _, n := range l.children(l.root, "seclabel") {
			if l.get(n, "type") == "none" && l.get(n, "model") != "none" && l.qemu() {
				f := l.report(n, "the security label is none")
				f.Fix = []Edit{Remove(l.path(n, ""))}
				f.Caution = "At its next start, the guest may be refused files that its confinement does not know of."
			}
		}
	},
}
