//go:build linux

package roots

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of <linux/btrfs.h>: requests, the inode of each subvolume's root, and a flag.
const (
	btrfsSubvolumeCreate  = 0x5000940e
	btrfsSnapshotDestroy  = 0x5000940f
	btrfsSnapshotCreateV2 = 0x50009417
	btrfsGetFlags         = 0x80089419
	btrfsSetFlags         = 0x4008941a

	btrfsRootInode = 256
	btrfsReadOnly  = 1 << 1
)

// MakeTree makes an empty directory for an image's tree, mode 0755: where the
// file system can, a subvolume, from which a root of kind Subvolume is made in
// no time. RemoveTree removes it.
func MakeTree(path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	if !onBtrfs(parent) {
		err = os.Mkdir(path, 0o755)
	} else {
		err = createSubvolume(parent, filepath.Base(path))
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o755) // whatever the umask
}

func onBtrfs(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) == nil && uint32(st.Type) == unix.BTRFS_SUPER_MAGIC
}

func isSubvolume(f *os.File) bool {
	var st unix.Stat_t
	return onBtrfs(f) && unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == btrfsRootInode
}

// createSubvolume passes struct btrfs_ioctl_vol_args: a descriptor and a name.
func createSubvolume(parent *os.File, name string) error {
	var arg [4096]byte
	copy(arg[8:len(arg)-1], name)
	return ioctl(parent, btrfsSubvolumeCreate, unsafe.Pointer(&arg), "create subvolume", name)
}

// snapshotSubvolume passes struct btrfs_ioctl_vol_args_v2: the subvolume, flags,
// and the name at offset 56.
func snapshotSubvolume(from, parent *os.File, name string, flags uint64) error {
	var arg [4096]byte
	binary.NativeEndian.PutUint64(arg[0:], uint64(from.Fd()))
	binary.NativeEndian.PutUint64(arg[16:], flags)
	copy(arg[56:len(arg)-1], name)
	return ioctl(parent, btrfsSnapshotCreateV2, unsafe.Pointer(&arg), "snapshot "+from.Name()+" as", name)
}

// destroySubvolume tells whether name was a subvolume that could go at once: not
// when others are in it.
func destroySubvolume(parent *os.File, name string, f *os.File) bool {
	if !isSubvolume(f) {
		return false
	}
	writeSubvolume(f)
	var arg [4096]byte
	copy(arg[8:len(arg)-1], name)
	return ioctl(parent, btrfsSnapshotDestroy, unsafe.Pointer(&arg), "destroy subvolume", name) == nil
}

// writeSubvolume makes the subvolume at a directory writable, if it is one.
func writeSubvolume(f *os.File) {
	if !isSubvolume(f) {
		return
	}
	var flags uint64
	if ioctl(f, btrfsGetFlags, unsafe.Pointer(&flags), "flags", "") == nil && flags&btrfsReadOnly != 0 {
		flags &^= btrfsReadOnly
		_ = ioctl(f, btrfsSetFlags, unsafe.Pointer(&flags), "flags", "")
	}
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer, op, name string) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	if errno != 0 {
		return &os.PathError{Op: op, Path: filepath.Join(f.Name(), name), Err: errno}
	}
	return nil
}

// cloneSubvolume makes a subvolume at to with what is in from: at once when that
// is a subvolume, else by copying. Subvolumes in from, which a tenant can make,
// are empty directories in a snapshot.
func cloneSubvolume(ctx context.Context, from, to string, progress Progress) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	parent, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer parent.Close()
	if !onBtrfs(parent) {
		return fmt.Errorf("%s is not on btrfs: %w", to, errors.ErrUnsupported)
	}
	if isSubvolume(src) {
		return snapshotSubvolume(src, parent, filepath.Base(to), 0)
	}
	if err := createSubvolume(parent, filepath.Base(to)); err != nil {
		return err
	}
	return CopyTree(ctx, from, to, progress)
}
