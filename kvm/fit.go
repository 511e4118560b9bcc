package kvm

import (
	"slices"

	"github.com/guestforge/provision/domainxml"
)

// fit is how QEMU reads and writes the disks of a pool.
type fit struct{ cache, io string }

// Numbers of file systems, from linux/magic.h and their own sources, on which
// O_DIRECT, which cache none is, is refused or goes wrong: tmpfs has it from Linux
// 6.5 on; ramfs and some of FUSE have it not; on Btrfs a guest that changes a
// buffer under write breaks checksums; ZFS has it from 2.3 on, with the same
// trouble; bcachefs is like them.
var indirect = map[int64]bool{
	0x01021994: true, // tmpfs
	0x858458f6: true, // ramfs
	0x65735546: true, // FUSE
	0x9123683e: true, // Btrfs
	0x2fc12fc1: true, // ZFS
	0xca451a4e: true, // bcachefs
}

// fitFor chooses by the type of the pool and the file system below it, which is 0
// where that is not known. A disk goes around the host's page cache where it can:
// one cache, the guest's, is enough. Block devices have native asynchronous I/O,
// which blocks on files when they grow, as all do here; they get threads.
func fitFor(kind string, fs int64) fit {
	switch {
	case kind == "logical":
		return fit{cache: "none", io: "native"}
	case indirect[fs]:
		return fit{cache: "writeback", io: "threads"}
	}
	return fit{cache: "none"}
}

// Values of Native.DiskCache and Native.DiskIO.
var (
	diskCaches = []string{"none", "writeback", "writethrough", "directsync"}
	diskIOs    = []string{"native", "threads", "io_uring"}
)

// refit puts what was asked for over a fit.
func (n Native) refit(f fit) fit {
	if n.DiskIO != "" {
		f.io = n.DiskIO
	}
	if n.DiskCache != "" {
		f.cache = n.DiskCache
	}
	direct := f.cache == "none" || f.cache == "directsync"
	switch {
	case f.io != "native" || direct:
	case n.DiskIO == "": // our own choice gives way
		f.io = "threads"
	default: // DiskCache is open, or Validate has refused it
		f.cache = "none"
	}
	return f
}

// validDisks reports what is wrong with the settings of disks.
func (n *Native) validDisks(add func(path, value, problem string)) {
	if n.RootDisk != "" && n.RootDisk != RootOverlay && n.RootDisk != RootCopy {
		add("rootDisk", n.RootDisk, "is neither overlay nor copy")
	}
	if n.DiskCache != "" && !slices.Contains(diskCaches, n.DiskCache) {
		add("diskCache", n.DiskCache, "is none of none, writeback, writethrough and directsync")
	}
	if n.DiskIO != "" && !slices.Contains(diskIOs, n.DiskIO) {
		add("diskIO", n.DiskIO, "is none of native, threads and io_uring")
	}
	if n.DiskIO == "native" && (n.DiskCache == "writeback" || n.DiskCache == "writethrough") {
		add("diskIO", n.DiskIO, "needs a diskCache of none or directsync: QEMU refuses it with the host's page cache")
	}
}

// fitted sets how a disk that is written is read and written.
func fitted(d domainxml.Disk, f fit) domainxml.Disk {
	if f.cache != "none" { // which is the default
		d.Cache = f.cache
	}
	d.IO, d.DetectZeroes = f.io, true
	return d
}
