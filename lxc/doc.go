// Package lxc is the provision backend for Linux containers, over liblxc.
//
//	host, err := provision.Open(ctx, lxc.New(nil), nil)
//
// # What it needs
//
// Linux 5.19 or later, root, and liblxc 5.0 or later with the programs lxc-start(1),
// lxc-attach(1) and lxc-console(1) of the same version. Mounts with shifted ids
// (mount_setattr(2)) are there since Linux 5.12 on ext4 and XFS and since 5.15 on
// Btrfs, below overlays since 5.19: from 5.12 on a [RootCopy] or [RootImage] does.
// From Debian: lxc; to build also lxc-dev, pkg-config and gcc, because liblxc is
// called by cgo. What a start takes
// of the host is sh, nft(8), ip(8), tc(8), bridge(8) for VLANs, mount(8), losetup(8) and
// perl (iproute2, nftables, mount, perl-base); what a [RootImage] takes to be made and
// to grow is mkfs.ext4(8) and resize2fs(8) (e2fsprogs).
//
// Built with CGO_ENABLED=0, or for another system, the package compiles and
// [provision.Open] answers [provision.ErrUnavailable] with the reason, so that a
// program that has no containers needs no C compiler.
//
// LXCPath, and what is above it, must be searchable for everybody (0711): the first
// process of an unprivileged guest looks its root up as a stranger. Each NIC needs a
// bridge of Linux; none is made or changed. [provision.Host.Check] examines all of
// it: kernel, control groups, ids, liblxc, tools, storage, bridges, clocks and what is
// left over.
//
// # What it does to the machine
//
// Everything is below [Options.LXCPath], but for the links in [Options.IDDir], which
// tell who has which block of ids, and for a guest that is on:
//
//	NAME/                     of the guest, for root and the guest's own root (0710)
//	  config                  liblxc's, made from guest.json
//	  guest.json, record      what the guest is; the second is Host's
//	  hook, hook.log          the script that liblxc runs at each start and end, and
//	                          what it said when it failed
//	  rootfs/                 where the root file system is mounted
//	  upper/ work/            what an overlay holds; or root.img, or tree/
//	  lower/                  where what that stands on hangs for the moment of mounting
//	  snapshots/              a directory for each
//	  console.log, start.log  of the run that is, or was last; liblxc's log of its start
//	  suspended               while the guest is: its hook refuses to start it
//	.provision/images/NAME/   an image: tree/ and image.json
//	.provision/spare/         half a MiB, so that a guest that filled the file system can
//	                          be suspended and deleted
//	.provision/events/        what tells watchers of a change, a file for each guest
//	.provision/new, removed   what is being made or removed
//
// A root file system stays mounted from its making until the guest is deleted, and is
// mounted again at the first start after the host's. A guest that is on has control
// groups in provision.lxc/HASH/ID of each hierarchy, network devices pvHASH-N (and
// piHASH-N, ifb devices, for a rate of what it sends) and a table provision_HASH of
// nftables. They end with it, but for the empty group provision.lxc/HASH, which stays
// until the host's next start ([GroupsOf]), and come again when it reboots itself or is started by
// lxc-start(1) or lxc-autostart(1): the hook is a file, made from values that were
// checked, and needs none of our processes. Containers that others made in LXCPath are
// listed and never changed.
//
// liblxc starts and enters guests in children, lxc-start and lxc-attach, with an
// environment of their own and no descriptors but their streams: in a process it
// moves the caller to another control group, forks its memory for as long as the
// guest runs, and hands on every descriptor. What is called in this process asks or
// signals, each with a deadline ([Options.Timeout]); states and limits are read from
// the kernel.
//
// # Ids and privileged guests
//
// A guest has 65,536 user and group ids of its own from [Options.IDs], so that root
// inside is nobody outside, and nobody of another guest. Where liblxc finds
// newuidmap(1) it asks that, and that the file /etc/subuid: here it is kept from
// finding it, but not where lxc-autostart(1) or lxc-start(1) is run without this
// package. These take a line for root in /etc/subuid and /etc/subgid; see
// [provision.Host.Check].
//
// A guest that is [Native.Privileged] has the ids of the host. It is held by dropped
// capabilities, a seccomp filter and, where the kernel has it, AppArmor. Without
// AppArmor, assume that its root is root of the host: it can lift limits of control
// groups that it gets at, mount proc and devtmpfs anew, and write what the host runs as
// root (/proc/sys/kernel/core_pattern) and the names in the host's /dev. On hosts
// without AppArmor its limits are told as partial, and needs.strict refuses it. Give it
// to nobody whom you would not give a login.
//
// # Root file systems and images
//
// Images are tarballs (tar, tar.gz, tar.xz, tar.zst) or directories ([Directory]).
// They are unpacked once, with nothing trusted: no name leaves the tree, no device, no
// id above 65,535, bounds on entries and bytes. Guests share the tree as the lower
// layer of an overlay ([RootOverlay]), so that a guest of any image is made in
// milliseconds and starts at zero bytes; such an image cannot be removed while guests
// stand on it. Size and inodes of a root disk need [RootImage], an ext4 file system in
// a sparse file, which is also what keeps tenants out of each other's free space: an
// overlay is bounded by the disk below LXCPath alone. Quotas by project are not set.
//
// Hostname, Access, DNS, addresses and user data are written into the tree before the
// first start, in the way of what the image has: netplan, systemd-networkd,
// NetworkManager or ifupdown, with cloud-init where there is one. Where systemd runs none
// of the first three, liblxc gives the NICs their addresses before the init runs. Machine id and
// SSH host keys are the guest's own. Access.User may become root where the image has
// sudo, or else a group sudo or wheel that something in it heeds: not on BusyBox, nor on
// a Debian without the package sudo. The init is the guest's ([Native.Init]); that of
// BusyBox and of systemd are told from each other, so that a shutdown is asked for
// with the right signal.
//
// # Limits
//
// Limits are in a control group above the one that the guest sees as its root, and are
// read back from the kernel for [provision.Status]. What holds depends on the host:
//
//	                      version 1, hybrid           version 2
//	cpu.limit, weight     enforced                    enforced
//	cpu.pin, count        enforced (cpuset)           enforced
//	memory.size           enforced                    enforced
//	memory.swap           enforced, if swap is counted enforced
//	memory.guaranteed     refused                     enforced (memory.min)
//	limits.processes      enforced                    enforced
//	limits.openFiles      enforced, for each process (RLIMIT_NOFILE)
//	disks.iops, bps       partial: direct and synced  enforced, if the file system
//	                      writes and reads only       tells whose a write is
//	disks.size, inodes    enforced by RootImage       the same
//	nics.rate, antiSpoof  enforced by the kernel's traffic control and nftables
//
// A CPU count is a set of processors, chosen where the fewest guests are. A write to
// the wrong family of files would be ignored by liblxc with a warning; so the
// hierarchies are looked at, never guessed, and a guest whose limits are not in effect
// after its start is stopped and its start an error. Memory that is guaranteed is
// admitted at plan and create against the host's memory, less what other guests
// were promised and [Options.MemoryReserve]; otherwise the error is
// [provision.ErrCapacity].
//
// # What to know about security
//
// A container shares the kernel: a hole in the kernel is a hole in every guest.
// needs.ownKernel refuses this backend, as it should for tenants who run what they
// like and must not see each other at any price. What is done: own ids, control
// groups out of the guest's reach, no device nodes, seccomp and AppArmor where the
// host has them, rules on the host's end of each NIC that hold the guest to its own
// MAC and addresses, no file of the guest followed or trusted by the host, no secret
// in an argument. What to watch for: set-id files of a guest are the guest's, or,
// except in an overlay, lie on disk as the host's own behind a directory that only
// root may enter: do not open it. An overlay without a disk size lets a tenant fill
// the disk. lxcfs before 2026 takes nsdelegate off control groups, which Check tells.
//
// # Programs, consoles and events
//
// Programs are run by lxc-attach(1), in all namespaces, control groups and restrictions
// of the guest; consoles are opened by lxc-console(1). The log of a console is of this
// start alone. Events of this library's guests come at once, whoever changes them; of
// others' containers within seconds.
//
// # Resize and snapshots
//
// Limits of control groups and rates of cards take a new value while the guest is on, as
// does the size of a [RootImage], if this process has CAP_SYS_RESOURCE; open files and
// settings of [Native] wait for a restart. Inodes are fixed when a root is made.
//
// A snapshot is of a guest that is off, or is frozen while it is taken, so that its files
// are of one moment. It takes no time on Btrfs and copies elsewhere, sharing blocks where
// the file system can; it is kept on the host's disk, which no limit of the guest bounds.
//
// # Autostart and suspension
//
// Guests with autostart are started by lxc-autostart(1), which Debian's lxc.service
// runs for the default LXCPath only. A suspended guest does not start by whatever means:
// its hook refuses.
//
// # Concurrency, errors
//
// A Backend is for many goroutines, and for several processes with the same
// Options.LockDir of package provision. A List reads a few files for each guest and
// asks no monitor process: one that hangs delays nobody. Only containers of others are
// asked for, one by one, each for as long as [Options.Timeout]. Errors of liblxc and its programs are
// [*Error], with the first error in liblxc's log, which is the cause; later lines are
// its consequences.
//
// # Not done
//
// Data disks and directories of the host, huge pages, moving guests between hosts,
// checkpoints, nested limits, and Native settings for single keys of liblxc: each
// would be a way past what is checked here.
package lxc
