//go:build linux

package roots

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Of the mounts that shift ids, and those of the script.
const shifting = unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NODEV

// shift mounts a directory at another with the ids of the guest, whose root is Base.
// We do so ourselves for all kinds, and leave it to no runtime: that of liblxc 5.0 is
// lost when a guest reboots itself, which then does not start.
func (r Root) shift(from, to string, attr uint64) error {
	ns, err := userNamespace(r.Base)
	if err != nil {
		return err
	}
	defer ns.Close()
	return bind(from, to, &unix.MountAttr{Attr_set: shifting | attr, Userns_fd: uint64(ns.Fd())})
}

// Edit calls f with a directory where the host's root can change the files of the
// guest, which must be off, and with the id that the guest's root has there. Where
// ids are shifted it could not make any: its own are not among those.
func (r Root) Edit(f func(dir string, id uint32) error) (err error) {
	if mounted, err := r.Mounted(); err != nil || !mounted {
		return errors.Join(err, fmt.Errorf("edit %s: %w", r.Path(), os.ErrNotExist))
	}
	switch {
	case r.Kind == Overlay || r.Base == 0:
		return f(r.Path(), r.Base)
	case r.Kind != ImageFile:
		return f(r.Store(), 0)
	}
	if err := r.dropLower(); err != nil {
		return err
	}
	if err := mountImage(r.Store(), r.at("lower")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.dropLower()) }()
	return f(r.at("lower"), 0)
}

// mountShifted mounts an image file at lower, and what a shift of it is at Path: a
// mount can be shifted only before it is anywhere.
func (r Root) mountShifted() error {
	if err := os.Mkdir(r.at("lower"), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := r.dropLower(); err != nil { // of a process that was killed
		return err
	}
	if err := mountImage(r.Store(), r.at("lower")); err != nil {
		return err
	}
	return errors.Join(r.shift(r.at("lower"), r.Path(), 0), r.dropLower())
}
