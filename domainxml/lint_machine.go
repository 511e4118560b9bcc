package domainxml

import (
	"strings"
)

var machineRules = []Rule{machineVersion, machineOld, emulation, tcgCache, acpi, qemuCommandline, namespaceUndeclared, uuidMissing, pciePorts}

// machineVersion finds machines that are whatever the host's QEMU takes them for.
// Machines of other names have no versions.
//
// Source: https://libvirt.org/formatdomain.html#operating-system-booting (machine)
// and https://www.qemu.org/docs/master/system/i386/pc.html
var machineVersion = Rule{
	ID: "machine-version", Severity: SeverityInfo,
	Title:  "a machine without a version",
	Why:    "libvirt takes the host's newest when the domain is defined: defined again from this document on a newer host, the guest has other hardware.",
	Source: "https://libvirt.org/formatdomain.html#operating-system-booting",
	Fails:  `<os><type arch='x86_64' machine='q35'>hvm</type></os>`,
	Passes: `<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>`,
	check: func(l *linter) {
		versioned := false
		switch l.machine {
		case "":
			versioned = l.x86() || l.arch == "aarch64" || l.arch == "ppc64" || l.arch == "ppc64le" || l.arch == "s390x"
		case "q35", "pc", "pseries", "s390-ccw-virtio":
			versioned = true
		case "virt":
			versioned = l.arch == "aarch64" || l.arch == "armv7l"
		}
		if !l.qemu() || !versioned {
			return
		}
		at := l.root
		if t := l.down(l.root, "os", "type"); t != 0 {
			at = t
		}
		if l.machine == "" {
			l.report(at, "the machine is not said")
		} else {
			l.report(at, "the machine is %s, without a version", l.machine)
		}
	},
}

// machineOld finds machines that QEMU has thrown out: those of versions that are
// six years old, and so at version 10.2 all up to 4.2. Machines of distributions
// have names of their own, and are theirs to keep.
//
// Source: https://www.qemu.org/docs/master/about/deprecated.html
var machineOld = Rule{
	ID: "machine-old", Severity: SeverityWarning,
	Title:  "a machine that newer QEMU does not have",
	Why:    "The guest no longer starts once its host has QEMU 10.2 or later, and cannot be migrated to one that has.",
	Source: "https://www.qemu.org/docs/master/about/deprecated.html",
	Fails:  `<os><type arch='x86_64' machine='pc-i440fx-2.11'>hvm</type></os>`,
	Passes: `<os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>`,
	check: func(l *linter) {
		i := strings.LastIndexByte(l.machine, '-') + 1
		switch l.machine[:i] {
		case "pc-", "pc-i440fx-", "pc-q35-", "virt-", "pseries-", "s390-ccw-virtio-":
		default:
			return
		}
		major, minor, ok := strings.Cut(l.machine[i:], ".")
		v, number := count(major)
		if _, plain := count(minor); !l.qemu() || !ok || !number || !plain || v > 4 {
			return
		}
		l.report(l.down(l.root, "os", "type"), "the machine is %s", l.machine)
	},
}

// emulation finds guests without KVM. There is no fix: whether the host has KVM is
// not in the document, and the guest gets another CPU with it.
//
// Source: https://www.qemu.org/docs/master/system/introduction.html
// (virtualisation accelerators)
var emulation = Rule{
	ID: "emulation", Severity: SeverityWarning,
	Title:  "a guest whose CPU is emulated in software",
	Why:    "It is several times, and often tens of times, slower than with KVM, takes more of the host's memory, and is no boundary that QEMU vouches for.",
	Source: "https://www.qemu.org/docs/master/system/introduction.html",
	Fails:  `<domain type='qemu'><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>`,
	Passes: `<domain type='kvm'><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>`,
	check: func(l *linter) {
		if l.kind == "qemu" && (l.arch == "" || l.arch == "x86_64" || l.arch == "aarch64") {
			l.report(l.root, "the domain is of type qemu")
		}
	},
}

// tcgCache finds emulated guests whose translated code may take as much memory as
// QEMU likes: up to 1 GiB for each guest, in the capacity of no plan.
//
// Source: https://libvirt.org/formatdomain.html#hypervisor-features (tcg), since
// libvirt 8.0.0; tcg_init in QEMU's tcg/region.c has the default.
var tcgCache = Rule{
	ID: "tcg-cache", Severity: SeverityInfo,
	Title:  "an emulated guest without a bound on translated code",
	Why:    "QEMU keeps up to 1 GiB of translated code for it: a guest of 512 MiB was seen to take 1.3 GB of its host.",
	Source: "https://libvirt.org/formatdomain.html#hypervisor-features",
	Fails:  `<domain type='qemu'><memory unit='MiB'>512</memory></domain>`,
	Passes: `<domain type='qemu'><memory unit='MiB'>512</memory><features><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features></domain>`,
	check: func(l *linter) {
		old := l.opts.Libvirt != 0 && l.opts.Libvirt < 8_000_000
		if l.kind != "qemu" || old || l.down(l.root, "features", "tcg", "tb-cache") != 0 {
			return
		}
		size := "128" // as Build has it
		if memory := l.amount("memory"); memory > 0 && memory < 1<<30 {
			size = "32"
		}
		f := l.report(l.root, "there is no tb-cache")
		f.Fix = []Edit{
			Set(l.path(l.root, "features/tcg/tb-cache"), size),
			Set(l.path(l.root, "features/tcg/tb-cache/@unit"), "MiB"),
		}
	},
}

// acpi finds PCs without a power button.
//
// Source: https://libvirt.org/formatdomain.html#hypervisor-features (acpi)
var acpi = Rule{
	ID: "acpi", Severity: SeverityWarning,
	Title:  "a PC without ACPI",
	Why:    "The guest cannot be asked to shut down: each stop pulls the plug, unless there is a guest agent. PCI devices cannot be added to it while it runs.",
	Source: "https://libvirt.org/formatdomain.html#hypervisor-features",
	Fails:  `<features><apic/></features>`,
	Passes: `<features><acpi/><apic/></features>`,
	check: func(l *linter) {
		if !l.qemu() || !l.x86() || l.machine == "microvm" || l.machine == "isapc" || l.down(l.root, "features", "acpi") != 0 {
			return
		}
		f := l.report(l.root, "features has no acpi")
		f.Fix = []Edit{Set(l.path(l.root, "features/acpi"), "")}
		f.Caution = "The guest finds other hardware at its next start; Windows that was installed without ACPI may not start with it."
	},
}

// qemuCommandline finds what goes to QEMU past libvirt. What it is stays unsaid:
// there may be secrets in it.
//
// Source: https://libvirt.org/drvqemu.html#pass-through-of-arbitrary-qemu-commands
// and the sections behind it.
var qemuCommandline = Rule{
	ID: "qemu-commandline", Severity: SeverityWarning,
	Title:  "settings that go to QEMU past libvirt",
	Why:    "libvirt neither checks them nor vouches for them: the domain counts as tainted, and an upgrade of QEMU or libvirt may break it.",
	Source: "https://libvirt.org/drvqemu.html#pass-through-of-arbitrary-qemu-commands",
	Fails:  `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:commandline><qemu:arg value='-snapshot'/></qemu:commandline></domain>`,
	Passes: `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:commandline/></domain>`,
	check: func(l *linter) {
		for n := l.nodes[l.root].first; n != 0; n = l.nodes[n].next {
			name := l.local(n)
			if name != "commandline" && name != "override" && name != "capabilities" || l.nodes[n].first == 0 ||
				l.namespace(n) != "http://libvirt.org/schemas/domain/qemu/1.0" || !l.qemu() {
				continue
			}
			l.report(n, "the domain has %s", l.name(n))
		}
	},
}

// uuidMissing finds documents that make another domain each time. There is no fix:
// the right one is that of the domain which is there, if there is one.
//
// Source: https://libvirt.org/formatdomain.html#general-metadata (uuid)
var uuidMissing = Rule{
	ID: "uuid-missing", Severity: SeverityInfo,
	Title:  "a domain without a UUID",
	Why:    "libvirt makes a new one each time: defining the document again, to change something, fails as the name is taken (error 9).",
	Source: "https://libvirt.org/formatdomain.html#general-metadata",
	Fails:  `<name>a</name>`,
	Passes: `<name>a</name><uuid>5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11</uuid>`,
	check: func(l *linter) {
		if strings.TrimSpace(l.text(l.root, "uuid")) == "" {
			l.report(l.root, "there is no uuid")
		}
	},
}
