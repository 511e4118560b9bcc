package lxc

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// Native holds what only LXC guests have. The zero value changes nothing.
type Native struct {
	// Privileged guests have the host's own user ids: root inside is root outside,
	// held by capabilities, cgroups and AppArmor alone. Where the host has no AppArmor,
	// it can become root of the host: it mounts proc again and writes
	// /proc/sys/kernel/core_pattern, or devtmpfs, which is the host's own /dev, and
	// reads the kernel's log. It is for what cannot be done otherwise. Default: an own
	// block of ids.
	Privileged bool `json:"privileged,omitempty"`
	// Root says what the root file system is. Default: RootOverlay, and RootImage
	// where the size or the inodes of the root disk are asked for.
	Root RootKind `json:"root,omitempty"`
	// DropCapabilities are taken from the guest, beside sys_module, sys_time,
	// sys_rawio, mac_admin and mac_override, which a guest never has: names as in
	// capabilities(7), in lower case, without "cap_". Default: no others.
	DropCapabilities []string `json:"dropCapabilities,omitempty"`
	// NoNewPrivs keeps programs in the guest from gaining rights by exec: no sudo, no
	// ping with file capabilities. See PR_SET_NO_NEW_PRIVS in prctl(2).
	NoNewPrivs bool `json:"noNewPrivs,omitempty"`
	// Devices of the host that the guest may use, beside those that every guest has:
	// DeviceFUSE, DeviceTUN. Default: none.
	Devices []Device `json:"devices,omitempty"`
	// Nesting lets the guest run containers of its own. It widens what a privileged
	// guest can do to its host.
	Nesting bool `json:"nesting,omitempty"`
	// Init is the first program of the guest, with its arguments, separated by
	// spaces. Default: /sbin/init.
	Init string `json:"init,omitempty"`
	// HaltSignal is what asks the first program to shut down, as "SIGUSR1" or
	// "SIGRTMIN+3". Default: that of the init system that the image has.
	HaltSignal string `json:"haltSignal,omitempty"`
}

// RootKind says what a root file system is.
type RootKind string

// Values of [RootKind].
const (
	// RootOverlay stands on the image and holds what differs (overlayfs).
	RootOverlay RootKind = "overlay"
	// RootCopy is a full copy of the image, made by reflink where the file system
	// can. It does without the image afterwards.
	RootCopy RootKind = "copy"
	// RootImage is an ext4 file system of its own, in a sparse file: what limits size
	// and inodes. It does without the image afterwards.
	RootImage RootKind = "image"
	// RootSubvolume is a snapshot of the image, where LXCPath is on Btrfs.
	RootSubvolume RootKind = "subvolume"
)

var rootKinds = []RootKind{"", RootOverlay, RootCopy, RootImage, RootSubvolume}

// Device is a device of the host that a guest may use.
type Device string

// Values of [Device].
const (
	DeviceFUSE Device = "fuse" // /dev/fuse
	DeviceTUN  Device = "tun"  // /dev/net/tun
)

// node is a character device.
type node struct {
	path         string
	major, minor uint32
}

var deviceNodes = map[Device]node{
	DeviceFUSE: {"/dev/fuse", 10, 229},
	DeviceTUN:  {"/dev/net/tun", 10, 200},
}

var (
	capabilityRE = regexp.MustCompile(`^[a-z][a-z_]{1,30}$`)
	initRE       = regexp.MustCompile(`^/[A-Za-z0-9._/+@=,: -]{0,999}$`)
	signalRE     = regexp.MustCompile(`^SIG(HUP|INT|QUIT|USR1|USR2|TERM|PWR|WINCH|RTMIN\+[0-9]{1,2})$`)
)

// NativeKind implements [provision.Native].
func (n *Native) NativeKind() string { return kind }

// Validate implements [provision.Native].
func (n *Native) Validate() []*provision.FieldError {
	if n == nil {
		return nil
	}
	var errs []*provision.FieldError
	bad := func(path, value, problem string) {
		errs = append(errs, &provision.FieldError{Path: path, Value: value, Problem: problem})
	}
	if !slices.Contains(rootKinds, n.Root) {
		bad("root", string(n.Root), "is none of overlay, copy, image and subvolume")
	}
	for i, c := range n.DropCapabilities {
		if !capabilityRE.MatchString(c) || strings.HasPrefix(c, "cap_") {
			bad(index("dropCapabilities", i), c, "is no capability; write it as in capabilities(7), in lower case, without cap_")
		}
	}
	for i, d := range n.Devices {
		if _, ok := deviceNodes[d]; !ok {
			bad(index("devices", i), string(d), "is none of fuse and tun")
		}
	}
	if n.Init != "" && !initRE.MatchString(n.Init) {
		bad("init", n.Init, "is no absolute path with arguments of [A-Za-z0-9._/+@=,:-]")
	}
	if n.HaltSignal != "" && !signalRE.MatchString(n.HaltSignal) {
		bad("haltSignal", n.HaltSignal, `is no signal that asks a program to end; write it as "SIGPWR" or "SIGRTMIN+3"`)
	}
	return errs
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// nativeOf returns the settings of a Spec, never nil.
func nativeOf(s *provision.Spec) *Native {
	if n, ok := s.Native.(*Native); ok && n != nil {
		return n
	}
	return &Native{}
}
