//go:build !linux

package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

type mount struct{}

// mountOf fails: guests whose tree can be written have Linux hosts.
func mountOf(*os.Root) (mount, error) {
	return mount{}, fmt.Errorf("a guest's root file system can be written on Linux only: %w", errors.ErrUnsupported)
}

func mountOfFile(*os.File, fs.FileInfo) (mount, error) { return mount{}, errors.ErrUnsupported }

func (mount) covers(mount) bool { return false }

type owner struct {
	uid, gid int
	links    uint64
}

func ownerOf(fs.FileInfo) owner { return owner{uid: -1, gid: -1} }
