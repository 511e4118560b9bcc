// Package kvm is the provision backend for KVM guests, over the RPC socket of
// libvirtd. It needs no cgo and no libvirt library.
//
//	host, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: "qemu:///system", Pool: "default"}), nil)
//
// # What it needs
//
// A libvirtd of version 9.0 or later with its QEMU driver, on a socket of this
// machine that the process may open (root, or the group libvirt); a storage
// pool of type dir; a bridge for each NIC. From Debian: libvirt-daemon-system,
// qemu-system-x86, qemu-utils. Bridges and pools are never made or changed.
//
// # What a guest is
//
// A q35 machine with VirtIO disks, NICs, random numbers and balloon, a serial
// console with a log, and spare PCIe ports. Its root disk is a qcow2 overlay on
// the image; a read-only second disk is the NoCloud seed for cloud-init. Names
// of volumes begin with the guest's ID: ID.root.qcow2, ID.seed.img and
// ID.console.log. The record of the guest is in the metadata of its domain.
//
// # How fields of Spec are put into effect
//
// CPU.Count is the number of vCPUs, Memory.Size the memory, Disks[0].Size the
// size of the overlay, which is thin. NICs are plugged into their bridges;
// Addresses, Gateways, DNS, Hostname, Access and UserData reach the guest by its
// seed, at its first boot: network-config matches NICs by MAC. Access is vendor
// data, so that the caller's user data has precedence. Fields that are not in
// Info.Honours are refused.
//
// # Emulation
//
// Whether KVM works is found out by running a guest, until that succeeds once: a
// /dev/kvm that opens proves nothing. See [Options.Emulation].
//
// # Connections
//
// Each exchange with libvirtd has a connection to itself, from a small pool, and
// a deadline. A daemon that hangs or goes away is
// [provision.ErrUnavailable]; the next call connects anew. The native error of
// libvirt, libvirt.Error of github.com/digitalocean/go-libvirt, is reachable by
// errors.As.
//
// # Lists
//
// libvirt has a bulk call for states and none for configurations. A List reads
// the configurations that it does not know yet, over four connections, and keeps
// them until libvirtd reports a change, for 30 seconds at the most; then it
// takes two calls, however many guests there are. For that one connection with a
// subscription and its goroutine stay open from the second List until Close.
// What decides on a guest reads it anew. [Backend.Definitions] reads the whole of
// each configuration, secrets included, and keeps nothing.
//
// # Native settings
//
// [Native] sets the machine type and a direct kernel boot.
//
// # Not yet
//
// Remote connections, pools of other types than dir, data disks, limits of
// processor, disk and network, VLANs, filters against spoofing, the guest agent,
// snapshots and an interactive console. Nothing checks that a bridge exists
// before the guest is started, because libvirtd may see others than this process
// does.
package kvm
