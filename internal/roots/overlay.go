//go:build linux

package roots

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// overlayOptions are said whole, because each kernel is built with other
// defaults: index, metacopy and nfs_export tie what is in upper to one place on
// one disk, and a snapshot copies it. With redirect_dir a guest can rename a
// directory of the image; without, it gets EXDEV, which few programs expect. Only
// the kernel writes the attribute that this needs (trusted.overlay.redirect), as
// an overlay hides those names from who is in it.
func (r Root) overlayOptions() string {
	lower := r.at("lower")
	if r.Base == 0 {
		lower = r.Image
	}
	return strings.Join([]string{
		"lowerdir=" + lower, "upperdir=" + r.at("upper"), "workdir=" + r.at("work"),
		"index=off", "metacopy=off", "nfs_export=off", "redirect_dir=on",
	}, ",")
}

func (r Root) mountOverlay() error {
	if r.Base == 0 {
		return r.overlay()
	}
	if err := r.dropLower(); err != nil { // of a process that was killed
		return err
	}
	// Kernels before 6.15 take layers only from mounts of our namespace, so the
	// shifted tree hangs at lower until the overlay has it: that keeps a clone.
	if err := r.hangLower(); err != nil {
		return fmt.Errorf("lower: %w", err)
	}
	return errors.Join(r.overlay(), r.dropLower())
}

// dropLower unmounts all that hangs at lower.
func (r Root) dropLower() error {
	for {
		err := unix.Unmount(r.at("lower"), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) {
			return nil // not mounted
		}
		if err != nil {
			return &os.PathError{Op: "umount", Path: r.at("lower"), Err: err}
		}
	}
}

func (r Root) overlay() error {
	// mount(2) takes a page of options, fsconfig(2) 255 bytes of each.
	err := unix.Mount("overlay", r.Path(), "overlay", unix.MS_NODEV, r.overlayOptions())
	if err != nil {
		return fmt.Errorf("overlay at %s (the kernel log says more): %w", r.Path(), err)
	}
	return nil
}

func (r Root) hangLower() error { return r.shift(r.Image, r.at("lower"), unix.MOUNT_ATTR_RDONLY) }

// bind mounts a directory at another with attributes that it has from the start
// on (mount_setattr(2)).
func bind(from, to string, attr *unix.MountAttr) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: from, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return &os.PathError{Op: "mount_setattr (a file system without idmapped mounts?)", Path: from, Err: err}
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "move_mount", Path: to, Err: err}
	}
	return nil
}

// ignore drops an error that means there was nothing to do.
func ignore(err error, not ...error) error {
	for _, n := range not {
		if errors.Is(err, n) {
			return nil
		}
	}
	return err
}
