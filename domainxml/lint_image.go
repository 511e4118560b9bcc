package domainxml

import (
	slash "path" // path is taken here
	"slices"
	"strings"
)

// imageFormat is the format that an image's name tells, and raw for one that
// tells nothing, as libvirt has it; "" where only a look into the image helps.
func imageFormat(name string) string {
	switch strings.ToLower(slash.Ext(name)) {
	case ".qcow2":
		return "qcow2"
	case ".vmdk", ".vdi", ".vhd", ".vhdx", ".vpc", ".qed", ".qcow", ".cow", ".parallels":
		return ""
	}
	return "raw"
}

// diskFormat finds images whose format is left to be guessed. Volumes have it
// from their pool.
//
// Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
// (driver, type), CVE-2010-2237, -2238, and -2239, and libvirt 9.0,
// domain_conf.c: "missing disk backing store format". Tested with libvirt 9.0.
var diskFormat = Rule{
	ID: "disk-format", Severity: SeverityError,
	Title:  "an image whose format is not said",
	Why:    "libvirt takes raw, or where it was let probe, whatever the guest wrote into the image: with a header of qcow2 in it, the guest reads any file of the host.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.drives() {
			l.formatOfBacking(n)
			known := []string{"file", "block", "network", "nvme"}
			empty := l.source(n) == "" && l.kindOf(n, "file") != "nvme"
			if l.deep(n, "type", "driver") != "" || empty || !slices.Contains(known, l.kindOf(n, "file")) {
				continue
			}
			f := l.report(n, "the format of the image is not said")
			if device := l.get(n, "device"); device == "cdrom" || device == "floppy" {
				f.Severity = SeverityWarning
			}
			if format := imageFormat(l.source(n)); format != "" {
				f.Fix = []Edit{Set(l.path(n, "driver/@type"), format)}
			}
			f.Caution = "Look with qemu-img info whether it is that format, and whether a backing file in it is one of yours."
		}
	},
}

// formatOfBacking looks at the images below an image. An empty backingStore ends
// the chain.
func (l *linter) formatOfBacking(n id) {
	for b := l.child(n, "backingStore"); b != 0; b = l.child(b, "backingStore") {
		if l.child(b, "source") == 0 || l.deep(b, "type", "format") != "" {
			continue
		}
		f := l.report(b, "the format of the image below is not said")
		f.Why = "libvirt refuses the domain: missing disk backing store format."
	}
}

// diskSharedFormat finds images that two guests cannot write at once.
//
// Source: libvirt 9.0, qemu_validate.c: "shared access for disk requires use of
// supported storage format". Tested with libvirt 9.0.
var diskSharedFormat = Rule{
	ID: "disk-shared-format", Severity: SeverityError,
	Title:  "a shared disk that is not raw",
	Why:    "libvirt refuses the domain: two guests that write one image of such a format destroy it.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/><shareable/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='/a.img'/><target dev='vda' bus='virtio'/><shareable/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.written() {
			format := l.deep(n, "type", "driver")
			if l.child(n, "shareable") != 0 && format != "" && format != "raw" {
				l.report(n, "the disk is shareable, and its format %s", format)
			}
		}
	},
}

// diskDiscard finds images that only grow. Block devices are left alone: what
// becomes of a discard there, only the owner knows; and so are those where
// discard says something else, as for images that are allocated as a whole.
//
// Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
// (driver, discard).
var diskDiscard = Rule{
	ID: "disk-discard", Severity: SeverityInfo,
	Title:  "an image that only grows",
	Why:    "What the guest deletes is never given back: thin images grow to their full size, and so do their backups.",
	Source: "https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms",
	Fails:  `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	Passes: `<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>`,
	check: func(l *linter) {
		for _, n := range l.written() {
			image := l.kindOf(n, "file") == "file" || l.kindOf(n, "file") == "volume" || l.deep(n, "protocol", "source") == "rbd"
			thin := slices.Contains([]string{"", "raw", "qcow2"}, l.deep(n, "type", "driver"))
			able := slices.Contains([]string{"virtio", "scsi", "sata", "ide", "usb"}, l.bus(n))
			if !image || !thin || !able || l.deep(n, "discard", "driver") != "" || l.child(n, "transient") != 0 {
				continue
			}
			f := l.report(n, "the guest's discards are ignored")
			f.Fix = []Edit{Set(l.path(n, "driver/@discard"), "unmap")}
			f.Caution = "An image that was allocated as a whole becomes thin."
		}
	},
}
