//go:build linux

package roots

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Script returns lines of POSIX sh that mount the root as Mount does, for a hook
// of the runtime that has only a shell: after a reboot of the host, or when
// somebody starts the guest by hand. When something is mounted at Path already
// they do nothing, and start no process unless the guest has neither of etc, usr,
// bin and dev. When they cannot mount they print why on
// the standard error and exit with 1. They set PATH, and define functions whose
// names begin with "root_".
//
// Needs mount(8), umount(8), mountpoint(1), losetup(8) and, for an unprivileged guest,
// perl (any version 5; x86-64 and arm64).
func (r Root) Script() (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, scriptHead, toolPath, r.Path(), r.Path(), r.Path(), r.Path())
	switch {
	case r.Kind == ImageFile && r.Base == 0:
		fmt.Fprintf(&b, scriptImage, imageOptions, r.Store(), r.Path(), r.Store())
		b.WriteString("root_mount() { root_image; }\n")
	case r.Kind == ImageFile:
		fmt.Fprintf(&b, scriptImage, imageOptions, r.Store(), r.at("lower"), r.Store())
		fmt.Fprintf(&b, scriptShift, r.at("lower"), r.Path(), r.Base, shifting, shiftPerl)
		fmt.Fprintf(&b, scriptShifted, r.at("lower"), r.at("lower"))
	case r.Kind != Overlay && r.Base == 0:
		fmt.Fprintf(&b, "root_mount() { mount -o bind,nodev %s %s; }\n", r.Store(), r.Path())
	case r.Kind != Overlay:
		fmt.Fprintf(&b, scriptShift, r.Store(), r.Path(), r.Base, shifting, shiftPerl)
		b.WriteString("root_mount() { root_shift; }\n")
	case r.Base == 0:
		fmt.Fprintf(&b, "root_mount() { mount -t overlay -o nodev,%s overlay %s; }\n", r.overlayOptions(), r.Path())
	default:
		fmt.Fprintf(&b, scriptShift, r.Image, r.at("lower"), r.Base, shifting|unix.MOUNT_ATTR_RDONLY, shiftPerl)
		fmt.Fprintf(&b, scriptOverlay, r.overlayOptions(), r.Path(), r.at("lower"))
	}
	fmt.Fprintf(&b, scriptTail, r.Store(), r.Store(), r.Path())
	return b.String(), nil
}

// All that is filled in is of a shape that needs no quotes (see check).
const (
	scriptHead = `PATH=%s
# The mount point itself is always empty. To read mountinfo by the shell, byte for
# byte, takes longer than a process.
root_mounted() {
	for root_name in etc usr bin dev; do
		if [ -h %s/$root_name ] || [ -e %s/$root_name ]; then return 0; fi
	done
	mountpoint -q %s
}
root_fail() {
	echo "cannot mount %s: $1" >&2
	exit 1
}
`
	scriptImage = `root_image() {
	mount -t ext4 -o loop,nodev,%s %s %s || return 1
	# Where the file system cannot, the loop device works without.
	losetup --noheadings --output NAME --associated %s | while read -r root_dev; do
		losetup --direct-io=on "$root_dev" 2>/dev/null || :
	done
}
`
	scriptShift = `root_shift() {
	perl - %s %s %d %d <<'END_OF_PERL'
%sEND_OF_PERL
}
`
	scriptShifted = `root_mount() {
	mkdir -p %s || return 1
	root_image || return 1
	root_shift
	root_status=$?
	umount -l %s || return 1
	return $root_status
}
`
	scriptOverlay = `root_mount() {
	root_shift || return 1
	mount -t overlay -o nodev,%s overlay %s
	root_status=$?
	umount -l %s || return 1
	return $root_status
}
`
	scriptTail = `if ! root_mounted; then
	[ -e %s ] || root_fail "%s is missing"
	root_mount || root_fail "see above"
	root_mounted || root_fail "mount made nothing at %s"
fi
`
)
