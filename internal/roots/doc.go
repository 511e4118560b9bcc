// Package roots makes, mounts, measures, snapshots and removes the root file
// systems of containers. It is for Linux and for root; elsewhere it is empty.
//
// Everything of a root lies in the directory of its guest, which the caller makes
// and keeps out of reach of everybody else:
//
//	rootfs/      where it is mounted; nothing else is ever in there
//	upper/ work/ what an overlay wrote (Overlay)
//	lower/       where the image's tree hangs for the moment of mounting (Overlay)
//	root.img     a file system of its own (ImageFile)
//	tree/        a copy or a snapshot of the image's tree (Copy, Subvolume)
//	snapshots/   one directory for each snapshot
//
// What is being made has ".new" after its name until it is complete, so that what
// a killed process leaves is never mounted, and Remove knows it.
//
// # What the mounts allow
//
// Every kind is mounted with nodev: a device node that came with an image, or
// that a privileged guest made, opens nothing. None is mounted with nosuid,
// because the guest inherits the flags of the mount and its sudo would not work.
// There, a set-id file of an unprivileged guest belongs to an id of the guest's own
// block, as all kinds but Overlay are mounted with shifted ids. In their stores it
// belongs to the real root: the directory of the guest must keep users of the host out.
//
// # What a tenant can do
//
// The tenant owns what is below the root of its file system, and nothing above:
// the names listed here are not in its reach. What it made below is never
// followed: each name is opened alone, without following links and without
// leaving the mount (openat2(2)), and only regular files and directories are
// opened at all.
//
// # Not done
//
// Limits by project quota (ext4, xfs): Probe tells whether a file system has
// them, and nothing here sets one. A limit of size or inodes needs ImageFile.
//
// Nothing here locks: calls for one guest must not overlap. Calls for different
// guests may.
package roots
