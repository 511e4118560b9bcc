//go:build linux

package roots

import (
	"os"

	"golang.org/x/sys/unix"
)

// Of <linux/fs.h>.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// Thaw undoes what a process that was killed in Snapshot left: a frozen file
// system lets its guest hang, and cannot be unmounted. One that is not frozen is left
// alone.
func (r Root) Thaw() error {
	if r.Kind != ImageFile {
		return nil
	}
	m, err := mountAt(r.Path())
	if err != nil || m == nil {
		return err
	}
	// Nobody else's: the host's file system may be frozen on purpose.
	if ours, err := r.isOurs(m); err != nil || !ours {
		return err
	}
	f, err := os.Open(r.Path())
	if err != nil {
		return err
	}
	defer f.Close()
	return ignore(unix.IoctlSetInt(int(f.Fd()), fiThaw, 0), unix.EINVAL) // EINVAL: not frozen
}

// freeze freezes the file system of an ImageFile if it is mounted, and returns
// what thaws it.
func (r Root) freeze() (func() error, error) {
	mounted, err := r.Mounted()
	if err != nil || !mounted {
		return func() error { return nil }, err
	}
	f, err := os.Open(r.Path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), fiFreeze, 0); err != nil {
		return nil, &os.PathError{Op: "freeze", Path: r.Path(), Err: err}
	}
	return r.Thaw, nil
}
