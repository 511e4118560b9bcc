package kvm

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Native holds what only KVM guests have. The zero value changes nothing.
type Native struct {
	// Machine is QEMU's machine type. Only q35 and its versions that the host
	// has, such as pc-q35-7.2, are accepted. Default: the newest q35 of the
	// host. The version is kept with the guest, whatever is newest later.
	Machine string `json:"machine,omitempty"`
	// CPUModel is what the guest sees as its processor: "host-passthrough",
	// "host-model", "maximum", or a model that "virsh domcapabilities" lists as
	// usable. Only guests of a named model, or of host-model where the hosts are
	// alike, can migrate while they run. Default: host-model, and for an
	// emulated guest QEMU's own.
	CPUModel string `json:"cpuModel,omitempty"`
	// Firmware that boots the guest. Default: FirmwareBIOS.
	Firmware Firmware `json:"firmware,omitempty"`
	// Kernel boots the guest directly from files of the host, instead of the
	// boot loader on its disk. The guest may then have no image.
	Kernel *Kernel `json:"kernel,omitempty"`
	// RootDisk says how the root disk comes from the image: as an overlay that
	// stands on it and holds what differs ([RootOverlay]), or as a full copy
	// ([RootCopy]), which takes longer to make and then does not need the image.
	// Default: an overlay, and a copy in pools of block devices.
	RootDisk string `json:"rootDisk,omitempty"`
	// DiskCache is QEMU's cache mode for all disks that can be written: none,
	// writeback, writethrough or directsync. The mode unsafe is refused: it loses
	// data that a guest has flushed. Default: none, and writeback on file systems
	// that are known to have trouble with O_DIRECT: Btrfs, ZFS, bcachefs, FUSE and
	// tmpfs. They are seen only where libvirtd's view of the pool is this process's.
	DiskCache string `json:"diskCache,omitempty"`
	// DiskIO is QEMU's way to asynchronous I/O on these disks: native, which
	// needs a cache of none or directsync, threads or io_uring. Default: native on
	// block devices, threads on files.
	DiskIO string `json:"diskIO,omitempty"`
	// Edits are made in the domain document before libvirt gets it, in this
	// order; each sees what those before it made. They are for what has no
	// field: what a Spec has one for, and what this package depends on (name,
	// UUID, record, the sources of disks, the connection and filter of NICs, the
	// console's log), cannot be edited, and passwords are refused. They can do
	// all that libvirt can, as to open any file of the host: never take them
	// from a tenant. At most 64. Default: none.
	Edits []domainxml.Edit `json:"edits,omitempty"`
}

// Values of [Native.RootDisk].
const (
	RootOverlay = "overlay"
	RootCopy    = "copy"
)

// Firmware is what a guest boots with.
type Firmware string

// Values of [Firmware]. Both kinds of UEFI need the host's package ovmf or
// edk2-ovmf; the guest's variables are a file beside its disks, which libvirt
// makes at the first start and Delete removes.
const (
	FirmwareBIOS       Firmware = "bios"
	FirmwareUEFI       Firmware = "uefi"
	FirmwareUEFISecure Firmware = "uefi-secure" // boots only what is signed with Microsoft's keys
)

// isUEFI says whether the guest has variables.
func (f Firmware) isUEFI() bool { return f == FirmwareUEFI || f == FirmwareUEFISecure }

// Kernel of a direct boot. The files belong to the host's owner: a tenant must
// not be able to change them.
type Kernel struct {
	Image   string `json:"image"`             // absolute path
	Initrd  string `json:"initrd,omitempty"`  // absolute path
	Cmdline string `json:"cmdline,omitempty"` // printable ASCII
}

var (
	machineRE  = regexp.MustCompile(`^(q35|pc-q35-[a-z0-9.-]{1,40})$`)
	cpuModelRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	cmdlineRE  = regexp.MustCompile(`^[ -~]*$`)
	pathRE     = regexp.MustCompile(`^/[A-Za-z0-9._/+@-]+$`)
)

// NativeKind implements [provision.Native].
func (n *Native) NativeKind() string { return "kvm" }

// Validate implements [provision.Native].
func (n *Native) Validate() []*provision.FieldError {
	var list []*provision.FieldError
	if n == nil {
		return nil
	}
	add := func(path, value, problem string) {
		list = append(list, &provision.FieldError{Path: path, Value: value, Problem: problem})
	}
	if n.Machine != "" && !machineRE.MatchString(n.Machine) {
		add("machine", n.Machine, "is not q35 or one of its versions, as pc-q35-7.2")
	}
	n.validDisks(add)
	if n.CPUModel != "" && !cpuModelRE.MatchString(n.CPUModel) {
		add("cpuModel", n.CPUModel, "is not the name of a CPU model")
	}
	if f := n.Firmware; f != "" && f != FirmwareBIOS && !f.isUEFI() {
		add("firmware", string(f), "is none of bios, uefi and uefi-secure")
	}
	list = append(list, validEdits(n.Edits)...)
	k := n.Kernel
	if k == nil {
		return list
	}
	if !plainPath(k.Image) {
		add("kernel.image", k.Image, "is not a clean absolute path of a file")
	}
	if k.Initrd != "" && !plainPath(k.Initrd) {
		add("kernel.initrd", k.Initrd, "is not a clean absolute path of a file")
	}
	if len(k.Cmdline) > 2000 || !cmdlineRE.MatchString(k.Cmdline) {
		add("kernel.cmdline", "", "is not printable ASCII of at most 2000 characters")
	}
	return list
}

func plainPath(p string) bool {
	return len(p) < 1000 && pathRE.MatchString(p) && filepath.Clean(p) == p && !strings.HasSuffix(p, "/")
}

// apply puts the settings into the domain. The guest's ID names the file of its
// variables: names of guests are used again.
func (n *Native) apply(d *domainxml.Guest, nvram string) {
	if n == nil {
		return
	}
	d.Machine, d.CPU.Model = n.Machine, n.CPUModel
	if n.Firmware.isUEFI() {
		d.Firmware = &domainxml.Firmware{NVRAM: nvram, SecureBoot: n.Firmware == FirmwareUEFISecure}
	}
	if k := n.Kernel; k != nil {
		d.Kernel = &domainxml.Kernel{Image: k.Image, Initrd: k.Initrd, Cmdline: k.Cmdline}
	}
}

// nativeOf returns the settings of a Spec, the zero value where it has none.
func nativeOf(s *provision.Spec) Native {
	if n, ok := s.Native.(*Native); ok && n != nil {
		return *n
	}
	return Native{}
}
