//go:build linux

package roots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/mountinfo"
)

// Store is what the file system at a directory can do for roots.
type Store struct {
	FileSystem string // its type, as mount(8) calls it
	Reflink    bool   // a copy shares its blocks
	Subvolumes bool   // roots of kind Subvolume can be made
	// ProjectQuota is nil when limits of size and inodes could be set for single
	// directories, and else says why not and what to do. Nothing in this package
	// sets them.
	ProjectQuota error
}

// Probe looks at the file system of a directory, which must exist. It makes and
// removes two unnamed files there.
func Probe(dir string) (Store, error) {
	m, err := mountOf(dir)
	if err != nil {
		return Store{}, fmt.Errorf("probe %s: %w", dir, err)
	}
	s := Store{FileSystem: m.Type, Subvolumes: m.Type == "btrfs", ProjectQuota: projectQuota(m)}
	if s.Reflink, err = reflink(dir); err != nil {
		return Store{}, fmt.Errorf("probe %s: %w", dir, err)
	}
	return s, nil
}

// mountOf finds the mount in which a path is.
func mountOf(path string) (*mountinfo.Mount, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	list, err := mounts()
	if err != nil {
		return nil, err
	}
	best := mountinfo.Of(list, path)
	if best == nil {
		return nil, fmt.Errorf("%s is in no mount: %w", path, os.ErrNotExist)
	}
	return best, nil
}

func projectQuota(m *mountinfo.Mount) error {
	on := slices.ContainsFunc(m.Super, func(o string) bool { return o == "prjquota" || o == "pquota" })
	switch {
	case m.Type != "ext4" && m.Type != "xfs":
		return fmt.Errorf("%s at %s has no project quotas; use ext4 or xfs: %w", m.Type, m.Point, errors.ErrUnsupported)
	case on:
		return nil
	case m.Type == "ext4":
		return fmt.Errorf("%s: ext4 without project quotas; a kernel with QFMT_V2, tune2fs -O project,quota and the mount option prjquota turn them on: %w", m.Point, errors.ErrUnsupported)
	}
	return fmt.Errorf("%s: xfs without project quotas; a kernel with XFS_QUOTA and the mount option prjquota turn them on: %w", m.Point, errors.ErrUnsupported)
}

// reflink tries it: xfs has it or not by the way it was made.
func reflink(dir string) (bool, error) {
	var fds [2]int
	for i := range fds {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if errors.Is(err, unix.EOPNOTSUPP) {
			return false, nil
		}
		if err != nil {
			return false, &os.PathError{Op: "temporary file", Path: dir, Err: err}
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	if _, err := unix.Write(fds[0], make([]byte, blockSize)); err != nil {
		return false, err
	}
	return unix.IoctlFileClone(fds[1], fds[0]) == nil, nil
}
