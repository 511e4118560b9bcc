package domainxml

import (
	slash "path" // path is taken here
	"regexp"
	"slices"
	"strings"
)

// seedNames are what images are called that cloud-init reads at the first boot:
// of NoCloud and of the config drive, OpenStack's too.
var seedNames = regexp.MustCompile(`(^|[^a-z])seed([^a-z]|$)|cidata|cloud-?init|nocloud|user-?data|config-?2|config[-_]?drive|(^|[-_.])disk\.config$`)

// seed says that a disk looks like such an image: a medium, or a disk that is
// read-only, or an ISO. Base images are called nocloud as well, and are none.
func (l *linter) seed(n id) bool {
	name := strings.ToLower(slash.Base(l.source(n)))
	switch device := l.get(n, "device"); {
	case !seedNames.MatchString(name), l.child(n, "boot") != 0:
		return false
	case device == "cdrom", device == "floppy":
		return true
	default:
		return device != "lun" && (l.child(n, "readonly") != 0 || strings.HasSuffix(name, ".iso"))
	}
}

// hiddenSeed says that it is one where guests may not see it.
func (l *linter) hiddenSeed(n id) bool {
	return slices.Contains([]string{"ide", "sata", "usb", "fdc"}, l.bus(n)) && l.seed(n)
}

// seedBus finds seeds of cloud-init that the guest does not see.
//
// Source: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
// (a file system called cidata, on any disk). Measured with Debian 12's cloud
// kernel, which has CONFIG_SATA_AHCI not set: no sr0 on q35, and no word of it.
var seedBus = Rule{
	ID: "seed-bus", Severity: SeverityWarning,
	Title:  "a seed of cloud-init that the guest may not see",
	Why:    "Kernels made for clouds, like Debian's, have no driver for AHCI: cloud-init does nothing, and the guest has no address, user, or key.",
	Source: "https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html",
	Fails:  `<devices><disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/web1-seed.iso'/><target dev='sda' bus='sata'/><readonly/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/web1-seed.iso'/><target dev='vdb' bus='virtio'/><readonly/></disk></devices>`,
	check: func(l *linter) {
		names := l.virtioNames()
		for _, n := range l.drives() {
			if !l.hiddenSeed(n) {
				continue
			}
			f := l.report(n, "the seed is on the bus %s", l.bus(n))
			f.Fix = slices.Concat(l.toVirtio(n, names[n]), l.toDisk(n))
			f.Caution = "Guests other than Linux need the VirtIO driver to see it. A CD-ROM can be changed while the guest runs, a disk not."
		}
	},
}

// toDisk makes a disk of a CD-ROM: one that the guest only reads.
func (l *linter) toDisk(n id) []Edit {
	fix := []Edit{
		Set(l.path(n, "@device"), "disk"),
		Set(l.path(n, "driver/@name"), "qemu"),
	}
	if format := imageFormat(l.source(n)); format != "" && l.deep(n, "type", "driver") == "" {
		fix = append(fix, Set(l.path(n, "driver/@type"), format))
	}
	if l.child(n, "readonly") == 0 {
		fix = append(fix, Add(l.path(n, ""), "<readonly/>"))
	}
	if l.deep(n, "startupPolicy", "source") == "requisite" { // for media only
		fix = append(fix, Remove(l.path(n, "source/@startupPolicy")))
	}
	return fix
}
