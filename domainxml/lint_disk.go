package domainxml

import (
	"slices"
	"strconv"
	"strings"
)

var diskRules = []Rule{
	diskBus, seedBus, diskTargetDuplicate, diskSourceDuplicate,
	diskCacheUnsafe, diskIONative, diskSharedCache, diskCache,
	diskFormat, diskSharedFormat, diskDiscard,
	diskIOThread, iotuneTotal,
}

// drives returns all disks of a domain that QEMU runs, CD-ROMs and floppies too.
func (l *linter) drives() []id {
	if !l.qemu() {
		return nil
	}
	return l.all("disk")
}

// written returns those of them that the guest writes to through QEMU's block
// layer: no LUNs, whose commands are handed through, and no vhost-user ones.
func (l *linter) written() []id {
	if !l.qemu() {
		return nil
	}
	return slices.DeleteFunc(l.disks(), func(n id) bool {
		return l.get(n, "device") == "lun" || l.kindOf(n, "file") == "vhostuser"
	})
}

// diskTargetDuplicate finds disks of one name. Drivers of other hypervisors have
// them: ESX's, for one.
//
// Source: libvirt 9.0, domain_conf.c, virDomainDiskDefCheckDuplicateInfo: "target
// 'vda' duplicated for disk sources". Tested with libvirt 9.0.
var diskTargetDuplicate = Rule{
	ID: "disk-target-duplicate", Severity: SeverityError,
	Title:  "two disks with one target",
	Why:    "libvirt refuses the domain.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/b'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/b'/><target dev='vdb' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		seen := map[string]bool{"": true} // not the one that is none
		for _, n := range l.drives() {
			dev := l.deep(n, "dev", "target")
			if seen[dev] && dev != "" {
				l.report(n, "another disk has the target %s too", dev)
			}
			seen[dev] = true
		}
	},
}

// diskSourceDuplicate finds images that a guest has twice. libvirt does not mind;
// QEMU's lock refuses it, but not for what is shared on purpose.
//
// Source: https://www.qemu.org/docs/master/system/images.html#disk-image-file-locking
var diskSourceDuplicate = Rule{
	ID: "disk-source-duplicate", Severity: SeverityError,
	Title:  "two disks with one image",
	Why:    "QEMU refuses to start for its lock on the image, or, where it cannot lock, both disks write over each other.",
	Source: "https://www.qemu.org/docs/master/system/images.html#disk-image-file-locking",
	Fails:  `<devices><disk type='file'><source file='/a'/><target dev='vda'/></disk><disk type='file'><source file='/a'/><target dev='vdb'/></disk></devices>`,
	Passes: `<devices><disk type='file'><source file='/a'/><target dev='vda'/></disk><disk type='file'><source file='/b'/><target dev='vdb'/></disk></devices>`,
	check: func(l *linter) {
		seen := map[string]bool{}
		for _, n := range l.written() {
			source := l.source(n)
			kind := l.kindOf(n, "file")
			if source == "" || kind != "file" && kind != "block" || l.child(n, "shareable") != 0 || l.child(n, "transient") != 0 {
				continue
			}
			if seen[source] {
				l.report(n, "another disk has the same source")
			}
			seen[source] = true
		}
	},
}

// iotuneTotal finds limits that exclude each other.
//
// Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
// (iotune), and libvirt 9.0, domain_validate.c, virDomainDiskDefValidate: "total
// and read/write bytes_sec cannot be set at the same time". 0 is no limit.
var iotuneTotal = Rule{
	ID: "iotune-total", Severity: SeverityError,
	Title:  "a limit for all I/O beside one for reads or writes",
	Why:    "libvirt refuses the domain: it takes the total, or reads and writes.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/><iotune><total_bytes_sec>9</total_bytes_sec><read_bytes_sec>9</read_bytes_sec></iotune></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/><iotune><write_bytes_sec>9</write_bytes_sec><read_bytes_sec>9</read_bytes_sec></iotune></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.drives() {
			tune := l.child(n, "iotune")
			if tune == 0 {
				continue
			}
			limited := func(name string) bool { return strings.Trim(l.text(tune, name), " \t\r\n0") != "" }
			for _, what := range []string{"bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max"} {
				if limited("total_"+what) && (limited("read_"+what) || limited("write_"+what)) {
					l.report(tune, "total_%s stands beside read_%s or write_%s", what, what, what)
				}
			}
		}
	},
}

// diskIOThread finds guests whose disks are all served by QEMU's main thread.
//
// Source: https://libvirt.org/formatdomain.html#iothreads-allocation, and libvirt
// 9.0, qemu_validate.c: IOThreads are for virtio disks on PCI and CCW.
var diskIOThread = Rule{
	ID: "disk-iothread", Severity: SeverityInfo,
	Title:  "no I/O thread for the disks",
	Why:    "QEMU's main thread serves the disks beside all else, one request at a time under one lock: fast storage waits for it.",
	Source: "https://libvirt.org/formatdomain.html#iothreads-allocation",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<iothreads>1</iothreads><devices><disk type='file' device='disk'><driver name='qemu' type='raw' iothread='1'/><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		disks := slices.DeleteFunc(l.written(), func(n id) bool {
			at := l.deep(n, "type", "address")
			return l.bus(n) != "virtio" || at != "" && at != "pci" && at != "ccw"
		})
		threaded := func(n id) bool {
			return l.deep(n, "iothread", "driver") != "" || l.down(n, "driver", "iothreads") != 0
		}
		// One that has a thread shows that somebody thought about all of them.
		if l.kind != "kvm" || len(disks) == 0 || slices.ContainsFunc(disks, threaded) {
			return
		}
		f := l.report(l.root, "no disk has an I/O thread")
		thread, fix := l.ioThread()
		for _, n := range disks {
			fix = append(fix, Set(l.path(n, "driver/@iothread"), thread))
		}
		f.Fix = fix
	},
}

// ioThread is the number of an I/O thread, and what makes it if there is none.
func (l *linter) ioThread() (string, []Edit) {
	if first := l.down(l.root, "iothreadids", "iothread"); first != 0 {
		return l.get(first, "id"), nil
	}
	if n, err := strconv.Atoi(strings.TrimSpace(l.text(l.root, "iothreads"))); err == nil && n > 0 {
		return "1", nil
	}
	return "1", []Edit{Set(l.path(l.root, "iothreads"), "1")}
}
