package domainxml

import "slices"

// All fixes here set the same mode, none: they may be applied together.

// cache is the disk's cache mode, "" for the default of QEMU, which is writeback.
func (l *linter) cache(n id) string {
	if mode := l.deep(n, "cache", "driver"); mode != "default" {
		return mode
	}
	return ""
}

// direct says that a cache mode passes by the host's page cache (O_DIRECT).
func direct(mode string) bool { return mode == "none" || mode == "directsync" }

func (l *linter) cacheNone(f *Finding, n id) {
	f.Fix = []Edit{Set(l.path(n, "driver/@cache"), "none")}
	f.Caution = "The file system has to know O_DIRECT: tmpfs and ZFS learned it late."
}

// diskCacheUnsafe finds disks whose flushes are thrown away.
//
// Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
// (driver, cache) and qemu(1), -drive cache=.
var diskCacheUnsafe = Rule{
	ID: "disk-cache-unsafe", Severity: SeverityError,
	Title:  "a disk whose flushes are ignored",
	Why:    "What the guest was told is on the disk is lost when the host loses power: databases are damaged, not only late.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.written() {
			// What a transient disk holds is thrown away when the guest stops.
			if l.cache(n) == "unsafe" && l.child(n, "transient") == 0 {
				l.cacheNone(l.report(n, "the cache mode is unsafe"), n)
			}
		}
	},
}

// diskIONative finds a way of I/O that Linux has for O_DIRECT only, on any drive,
// empty ones too. Where the image is in the network, QEMU has no use for it.
//
// Source: libvirt 9.0, qemu_validate.c, qemuValidateDomainDeviceDefDiskFrontend:
// "io='native' needs either no disk cache or directsync cache mode". Tested with
// libvirt 9.0.
var diskIONative = Rule{
	ID: "disk-io-native", Severity: SeverityError,
	Title:  "native I/O through a cache",
	Why:    "libvirt refuses the domain: native I/O needs the cache mode none or directsync.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='raw' io='native'/><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='native'/><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.drives() {
			mode := l.cache(n)
			if l.deep(n, "io", "driver") != "native" || direct(mode) {
				continue
			}
			if mode == "" {
				mode = "not said"
			}
			f := l.report(n, "the I/O is native, and the cache mode %s", mode)
			switch {
			case l.get(n, "device") == "floppy": // another rule takes it away
			case l.kindOf(n, "file") == "network":
				f.Fix = []Edit{Remove(l.path(n, "driver/@io"))}
			default:
				l.cacheNone(f, n)
			}
		}
	},
}

// diskSharedCache finds disks of several guests behind caches of their own.
// Where no mode is said, libvirt takes none for those that are shareable.
//
// Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
// (shareable: "caching should be deactivated for that device"), and libvirt 9.0,
// qemu_domain.c, qemuDomainPrepareDiskCachemode.
var diskSharedCache = Rule{
	ID: "disk-shared-cache", Severity: SeverityError,
	Title:  "a shared disk behind a cache",
	Why:    "Each host reads from its own cache what others have long overwritten: the file system is destroyed, cluster or not.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='block' device='disk'><driver name='qemu' type='raw' cache='writeback'/><source dev='/dev/a'/><target dev='vda' bus='virtio'/><shareable/></disk></devices>`,
	Passes: `<devices><disk type='block' device='disk'><driver name='qemu' type='raw' cache='none'/><source dev='/dev/a'/><target dev='vda' bus='virtio'/><shareable/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.written() {
			if mode := l.cache(n); mode != "" && !direct(mode) && l.child(n, "shareable") != 0 {
				l.cacheNone(l.report(n, "the disk is shareable, and its cache mode %s", mode), n)
			}
		}
	},
}

// cacheCosts says what a cache mode costs.
var cacheCosts = map[string]string{
	"writeback":    "what the guest has cached, the host caches once more",
	"writethrough": "each write waits for the disk, and is cached by the host as well",
	"directsync":   "each write waits for the disk, also those that the guest would flush later",
}

// diskCache finds local disks in a cache mode that costs more than none does.
// Those in the network have caches of their own kind.
//
// Source: qemu(1), -drive cache=, and libvirt 9.0, qemu_migration.c,
// qemuMigrationSrcIsSafe: a disk behind a cache is safe to migrate where QEMU can
// drop caches (QEMU_CAPS_MIGRATION_FILE_DROP_CACHE).
var diskCache = Rule{
	ID: "disk-cache", Severity: SeverityInfo,
	Title:  "a cache mode that costs memory or time",
	Why:    "With the cache mode none the guest's memory is the only cache, flushes count, and hosts before QEMU 4.0 migrate the guest live too.",
	Source: "https://www.qemu.org/docs/master/system/qemu-manpage.html",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.written() {
			mode := l.cache(n)
			local := slices.Contains([]string{"file", "block"}, l.kindOf(n, "file"))
			// Others speak of these.
			other := l.child(n, "shareable") != 0 || l.deep(n, "io", "driver") == "native" && !direct(mode)
			if !local || other {
				continue
			}
			said := mode
			if mode == "" {
				mode, said = "writeback", "not said, which means writeback"
			}
			if cost := cacheCosts[mode]; cost != "" {
				l.cacheNone(l.report(n, "the cache mode is %s: %s", said, cost), n)
			}
		}
	},
}
