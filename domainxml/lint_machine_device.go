package domainxml

var deviceRules = []Rule{rng, serialConsole, agentChannel, migrationHostdev, floppy, sound, usbTablet}

// rng finds guests that have nowhere to get entropy from.
//
// Source: https://libvirt.org/formatdomain.html#random-number-generator-device
var rng = Rule{
	ID: "rng", Severity: SeverityWarning,
	Title:  "no source of random numbers",
	Why:    "Older kernels wait for minutes at boot until they have gathered some, and keys made before are weak.",
	Source: "https://libvirt.org/formatdomain.html#random-number-generator-device",
	Fails:  `<devices><memballoon model='none'/></devices>`,
	Passes: `<devices><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices>`,
	check: func(l *linter) {
		if l.qemu() && l.hasPCI() && len(l.all("rng")) == 0 {
			f := l.report(l.at(), "there is no rng")
			f.Fix = []Edit{
				Set(l.device("rng/@model"), "virtio"),
				Set(l.device("rng/backend/@model"), "random"),
				Set(l.device("rng/backend"), "/dev/urandom"),
			}
		}
	},
}

// at is where a device is missing.
func (l *linter) at() id {
	if l.devices == 0 {
		return l.root
	}
	return l.devices
}

// serialConsole finds guests that cannot be looked into without a network.
//
// Source: https://libvirt.org/formatdomain.html#console
var serialConsole = Rule{
	ID: "serial-console", Severity: SeverityWarning,
	Title:  "no serial console",
	Why:    "A guest that does not come up, or has lost its network, says nothing, and nobody can log in to mend it.",
	Source: "https://libvirt.org/formatdomain.html#console",
	Fails:  `<devices><graphics type='vnc'/></devices>`,
	Passes: `<devices><serial type='pty'><target port='0'/></serial></devices>`,
	check: func(l *linter) {
		if !l.qemu() || len(l.all("serial")) > 0 || len(l.all("console")) > 0 {
			return
		}
		f := l.report(l.at(), "there is no serial, and no console")
		f.Fix = []Edit{Set(l.device("serial/@type"), "pty"), Set(l.device("serial/target/@port"), "0")}
		if l.arch == "s390x" {
			f.Fix = []Edit{Set(l.device("console/@type"), "pty"), Set(l.device("console/target/@type"), "sclp")}
		}
	},
}

// agentChannel finds guests in which the guest agent cannot be reached.
//
// Source: https://libvirt.org/formatdomain.html#channel and
// https://wiki.libvirt.org/Qemu_guest_agent.html
var agentChannel = Rule{
	ID: "agent-channel", Severity: SeverityInfo,
	Title:  "no channel to the guest agent",
	Why:    "Backups of the running guest find its file systems in the middle of something, and its addresses and disks cannot be asked of it.",
	Source: "https://libvirt.org/formatdomain.html#channel",
	Fails:  `<devices><channel type='unix'><target type='virtio' name='ovirt-guest-agent.0'/></channel></devices>`,
	Passes: `<devices><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>`,
	check: func(l *linter) {
		if !l.qemu() || !l.hasPCI() {
			return
		}
		for _, n := range l.all("channel") {
			if l.deep(n, "name", "target") == "org.qemu.guest_agent.0" {
				return
			}
		}
		f := l.report(l.at(), "there is no channel of the name org.qemu.guest_agent.0")
		f.Fix = []Edit{Add(l.device(""), "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")}
		if len(l.all("channel")) == 0 {
			f.Fix = []Edit{
				Set(l.device("channel/@type"), "unix"),
				Set(l.device("channel/target/@type"), "virtio"),
				Set(l.device("channel/target/@name"), "org.qemu.guest_agent.0"),
			}
		}
	},
}

// migrationHostdev finds devices of the host that are given to the guest. libvirt
// takes those of USB for movable, and pulls out a NIC that is teamed as transient.
//
// Source: libvirt 9.0, qemuMigrationSrcIsAllowedHostdev in
// src/qemu/qemu_migration.c, and
// https://libvirt.org/formatdomain.html#host-device-assignment
var migrationHostdev = Rule{
	ID: "migration-hostdev", Severity: SeverityInfo,
	Title:  "a device of the host, which stays behind",
	Why:    "Live migration of the guest is refused, unless the device's driver can move its state. With a PCI device, all of the guest's memory is locked as well.",
	Source: "https://libvirt.org/formatdomain.html#host-device-assignment",
	Fails:  `<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='3' slot='0' function='0'/></source></hostdev></devices>`,
	Passes: `<devices><hostdev mode='subsystem' type='usb' managed='yes'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev></devices>`,
	check: func(l *linter) {
		if !l.qemu() {
			return
		}
		for _, n := range l.all("hostdev") {
			if kind := l.get(n, "type"); kind != "usb" && l.deep(n, "type", "teaming") != "transient" {
				l.report(n, "a device of the host, of type %s", kind)
			}
		}
		for _, n := range l.all("interface") {
			if l.get(n, "type") == "hostdev" && l.deep(n, "type", "teaming") != "transient" {
				l.report(n, "a network card of the host")
			}
		}
	},
}

// floppy finds drives of a kind that hardly anyone needs. Without one, a q35
// machine has no controller for it either. Only an empty one can go unasked: others
// may hold drivers or the answers for an installation.
//
// Source: https://xenbits.xen.org/xsa/advisory-133.html (CVE-2015-3456, VENOM) and
// https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
var floppy = Rule{
	ID: "floppy", Severity: SeverityWarning,
	Title:  "a floppy drive",
	Why:    "Its controller is old code through which guests have broken out of QEMU.",
	Source: "https://xenbits.xen.org/xsa/advisory-133.html",
	Fails:  `<devices><disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.all("disk") {
			if l.get(n, "device") == "floppy" && l.qemu() {
				f := l.report(n, "a floppy drive")
				if l.child(n, "source") == 0 {
					f.Fix = []Edit{Remove(l.path(n, ""))}
					f.Caution = "See that nobody is about to put something in."
				}
			}
		}
	},
}

// sound finds sound cards.
//
// Source: https://libvirt.org/formatdomain.html#sound-devices
var sound = Rule{
	ID: "sound", Severity: SeverityInfo,
	Title:  "a sound card",
	Why:    "A server hears nothing: it is one more device through which a guest may break out, and that wakes the host.",
	Source: "https://libvirt.org/formatdomain.html#sound-devices",
	Fails:  `<devices><sound model='ich9'/><audio id='1' type='none'/></devices>`,
	Passes: `<devices><audio id='1' type='none'/></devices>`,
	check: func(l *linter) {
		for _, n := range l.all("sound") {
			if l.qemu() {
				f := l.report(n, "a sound card")
				f.Fix = []Edit{Remove(l.path(n, ""))}
				f.Caution = "Desktops need it."
			}
		}
	},
}

// usbTablet finds the pointer that virt-install gives to each guest.
//
// Source: https://libvirt.org/formatdomain.html#input-devices; Proxmox VE says
// the same in qm.conf(5), tablet.
var usbTablet = Rule{
	ID: "usb-tablet", Severity: SeverityInfo,
	Title:  "a USB tablet",
	Why:    "The guest polls it many times a second, which wakes the host's CPU, for a pointer that a server does not use.",
	Source: "https://libvirt.org/formatdomain.html#input-devices",
	Fails:  `<devices><input type='tablet' bus='usb'/></devices>`,
	Passes: `<devices><input type='tablet' bus='virtio'/></devices>`,
	check: func(l *linter) {
		for _, n := range l.all("input") {
			if bus := l.get(n, "bus"); l.get(n, "type") == "tablet" && (bus == "usb" || bus == "") && l.qemu() {
				f := l.report(n, "a USB tablet")
				f.Fix = []Edit{Remove(l.path(n, ""))}
				f.Caution = "With a graphical console, the pointer no longer follows the mouse exactly."
			}
		}
	},
}
