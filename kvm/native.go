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
	// Machine is QEMU's machine type. Only q35 and its versions, such as
	// pc-q35-7.2, are accepted. Default: the newest q35 of the host.
	Machine string `json:"machine,omitempty"`
	// Kernel boots the guest directly from files of the host, instead of the
	// boot loader on its disk. The guest may then have no image.
	Kernel *Kernel `json:"kernel,omitempty"`
}

// Kernel of a direct boot. The files belong to the host's owner: a tenant must
// not be able to change them.
type Kernel struct {
	Image   string `json:"image"`             // absolute path
	Initrd  string `json:"initrd,omitempty"`  // absolute path
	Cmdline string `json:"cmdline,omitempty"` // printable ASCII
}

var (
	machineRE = regexp.MustCompile(`^(q35|pc-q35-[a-z0-9.-]{1,40})$`)
	cmdlineRE = regexp.MustCompile(`^[ -~]*$`)
	pathRE    = regexp.MustCompile(`^/[A-Za-z0-9._/+@-]+$`)
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

func (n *Native) apply(d *domainxml.Guest) {
	if n == nil {
		return
	}
	d.Machine = n.Machine
	if k := n.Kernel; k != nil {
		d.Kernel = &domainxml.Kernel{Image: k.Image, Initrd: k.Initrd, Cmdline: k.Cmdline}
	}
}
