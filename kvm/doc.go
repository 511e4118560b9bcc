// Package kvm is the provision backend for KVM guests, over the RPC protocol of
// libvirtd. It needs no cgo and no libvirt library.
//
//	host, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: "qemu:///system", Pool: "default"}), nil)
//
// # What it needs
//
// A libvirtd of version 9.0 or later with its QEMU driver, on a socket that the
// process may open (root, or the group libvirt) or behind TLS or SSH; a storage pool;
// a bridge for each NIC. From Debian: libvirt-daemon-system, qemu-system-x86,
// qemu-utils, and ovmf for UEFI. Bridges and pools are never made or changed.
// [provision.Host.Check] examines all of it.
//
// # What a guest is
//
// A q35 machine with VirtIO disks, NICs, random numbers and balloon, a serial console
// with a log, the channel of the guest agent, and eight spare PCIe ports. A read-only
// last disk is the NoCloud seed for cloud-init. Names of volumes begin with the
// guest's ID: ID.root.qcow2, ID.disk1.qcow2, ID.seed.img, ID.console.log, and
// ID.nvram.fd for the variables of UEFI, which libvirt makes at the first start. The
// record of the guest is in the metadata of its domain. Hostname, Access, DNS,
// Addresses, Gateways, MTU and UserData reach the guest by its seed, at its first
// boot: network-config matches NICs by MAC, and Access is vendor data, so that the
// caller's user data has precedence.
//
// # Emulation
//
// Whether KVM works is found out by running a guest, until that succeeds once: a
// /dev/kvm that opens proves nothing. See [Options.Emulation].
//
// # Connections
//
// Each exchange with libvirtd has a connection to itself, and a deadline: up to 7 for
// queries, 6 for changes (two about one guest, three about none), 2 for reading
// volumes, 3 for transfers (uploads, full copies, wipes), one for events and one for
// each open console; without consoles fewer than the 20 calls that libvirtd works on.
// So a QEMU, a pool or a daemon that hangs holds up nobody else beyond their own
// deadline. A connection that was idle for five seconds is asked for the version
// first. A daemon that was there is waited for, for two seconds; later calls fail at
// once with [provision.ErrUnavailable], and it is tried again after 0.1 to 5 seconds.
// A change whose answer was lost is asked about; where that does not help the error is
// [provision.ErrOutcomeUnknown]. The native error of libvirt, libvirt.Error of
// github.com/digitalocean/go-libvirt, is reachable by errors.As. Read-only
// connections, file descriptors over the socket, sparse streams and SASL are not used.
// Each qemu+ssh connection is an SSH connection of its own. Locks of Host hold on the
// machine where the program runs, also for remote URIs (Options.LockDir).
//
// # Lists and usage
//
// libvirt has bulk calls for states and counters and none for configurations. A List
// reads the configurations that it does not know yet, over four connections, and keeps
// them until libvirtd reports a change, for 30 seconds at the most; then it takes the
// same few calls, however many guests there are. Limits in lists are those of the
// configuration; [provision.Guest.Status] reads them back from the running guest.
//
// Usage is one more call for all guests that are on. When a QEMU does not answer
// within five seconds (or Options.Timeout), the call is given up and guests are read in
// parts; what could not be read is said. Each call that got stuck keeps one of
// libvirtd's 20 threads until that QEMU goes on; at most four more get stuck in one
// call. Usage.Run is libvirt's ID of the domain. Addresses: leases are those of
// libvirt's own networks; the agent has three seconds, and is believed only about NICs
// that the domain has. libvirt 9.0 cannot read the ARP table of newer kernels (seen
// with 6.18).
//
// # Events
//
// One connection with a subscription, and its goroutine, stay open from the second
// List or the first Watch until Close. What libvirtd has no event for (autostart,
// changes of a definition that is off) and what it failed to send is found within 45
// seconds while somebody watches. A change may be told twice.
//
// # Storage
//
// Pools of type dir, fs, netfs and logical (LVM) can hold disks. Images, seeds and
// console logs are files, in [Options.FilePool] where disks are block devices. A root
// disk is an overlay on its image, or a full copy ([Native.RootDisk]; always in LVM). No
// operation refreshes a pool as routine; a delete does where a file is there that the
// pool does not know, and a first copy of an image that libvirt has not looked at. A
// full copy that is given up is finished by libvirtd and then deleted. Disks in LVM are
// thick, wiped before they are deleted, and cannot be resized through libvirt. A full
// pool is an error that matches syscall.ENOSPC.
//
// # Networks
//
// Filters against spoofing are nwfilters named provision-KIND-DIGEST, one set for all
// guests of a host, made when a guest is created or started and never changed: do not
// edit them. A start by other means, and the target of a migration, need them there.
// They pass ARP, IPv4 and IPv6 from the NIC's Addresses and nothing else; without
// Addresses the MAC alone is enforced. VLAN tags of the guest's own, router
// advertisements, redirects and answers of DHCP servers are dropped. Not seen: the
// target of neighbour advertisements, so that a NIC with IPv6 is "partial"; with no
// Addresses, router advertisements cut into fragments. Of link-local addresses the one
// derived from the MAC passes. Before libvirt 11.6 each start of any guest makes the
// base chains anew, which leaves a short moment without filters. Bridges of Open
// vSwitch must be named in [Options.OpenVSwitch]; filters and isolation have no effect
// there. VLANs on Linux bridges need libvirt 11 and vlan_filtering on the bridge.
//
// # Limits
//
// CPU.Limit is a quota for the whole of QEMU in periods of 100 ms; CPU.Weight is
// libvirt's "shares", 1024 for 100 with cgroup v1 and 100 with v2; CPU.Pin holds for
// vCPUs and emulator. Disks are throttled by QEMU (total_iops_sec, total_bytes_sec),
// NICs by the host's kernel in KiB a second, rounded down. Of a guest that runs, quota
// and weight are read from its control group and pinning from its threads; disks, NICs
// and memory are as libvirt keeps them for the running guest; of one that is off, from
// its definition. A QEMU that hangs may keep the former from being read, which is said.
// Whether the host can do it is found out by a guest that is started paused
// (provision-trial-ID, in no list and no event), half a second once for each Backend and
// only when a plan or create asks; a refusal is tried again after a minute.
//
// Guaranteed memory has no balloon, is not merged, is allocated at the start, and is
// locked where libvirtd may (CAP_SYS_RESOURCE, the memory controller); elsewhere the
// limit is partial, and needs.guaranteedMemory is refused. Such a guest is admitted at
// plan, create and start only if free memory and cache, less [Options.MemoryReserve],
// what running guests may still take and what guaranteed guests that are off will take,
// hold it and QEMU's own part: 192 MiB, 4 MiB a vCPU and 1/128 of the memory. Otherwise
// the error is [provision.ErrCapacity].
//
// # Stopping, suspending, deleting
//
// A guest is asked by its agent, for half of the grace; then by ACPI, every five
// seconds; then it is killed. libvirt has nothing that keeps virsh from starting a
// suspended domain; such a start is reported (Status, Events, Check), and the same
// Suspend stops the guest again. Delete takes what libvirt keeps of a domain with it:
// saved memory, NVRAM, the state of a TPM, snapshots and checkpoints. Orphans are
// volumes of Options.Pool and FilePool that the pools know and that bear an ID which no
// domain has, and domains of trials. Files that a pool does not know show after virsh
// pool-refresh. Do not sweep pools that several machines share: the volumes of the
// others' guests look like orphans.
//
// # Programs and consoles
//
// Exec needs qemu-guest-agent in the guest: input up to 64 KiB, the first 1 MiB of each
// output, when the program has ended. ConsoleOptions.Force takes a console over from
// this Host alone: to take it from other programs can make libvirtd 9.0 crash. A guest
// made by a version without the agent's
// channel shows that in its plan.
//
// # Native settings
//
// [Native] chooses machine, CPU model and firmware by what the host can do, how disks
// are made and cached, and makes edits in the document; what a Spec has a field for
// cannot be edited.
//
// # Not yet
//
// Resizing, snapshots, backups and migration.
package kvm
