//go:build linux

package lxc

import "github.com/guestforge/provision/internal/cgroup"

// ordinaryDevices are those that every guest has: null, zero, full, random, urandom,
// tty, ptmx and the pseudo terminals; see devices.txt of the kernel. A guest's console is
// one of these, and 5:1 would be that of the host.
var ordinaryDevices = []cgroup.Node{
	character(1, 3), character(1, 5), character(1, 7), character(1, 8), character(1, 9),
	character(5, 0), character(5, 2), character(136, cgroup.AnyNumber),
}

func character(major, minor int) cgroup.Node {
	return cgroup.Node{Major: major, Minor: minor, Access: "rwm"}
}

// devicesOf are what a privileged guest may make and use. Others can make none.
func devicesOf(d *definition) []cgroup.Node {
	list := append([]cgroup.Node(nil), ordinaryDevices...)
	for _, name := range d.Native.Devices {
		n := deviceNodes[name]
		list = append(list, character(int(n.major), int(n.minor)))
	}
	return list
}
