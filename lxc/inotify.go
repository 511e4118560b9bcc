//go:build linux

package lxc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
)

// inotify tells of changes in directories: see inotify(7).
type inotify struct {
	fd  int
	buf [64 << 10]byte
}

// note is one change.
type note struct {
	dir  int // watch descriptor
	mask uint32
	name string // in the directory
}

func newInotify() (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if errors.Is(err, unix.EMFILE) {
		return nil, fmt.Errorf("%w: no inotify instance is left; raise fs.inotify.max_user_instances or the limit of open files", provision.ErrUnavailable)
	}
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	return &inotify{fd: fd}, nil
}

// add watches a directory, which is not to be a link.
func (n *inotify) add(dir string, mask uint32) (int, error) {
	wd, err := unix.InotifyAddWatch(n.fd, dir, mask|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW)
	if err != nil {
		return 0, &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
	}
	return wd, nil
}

// remove ends a watch; one that has ended with its directory is no error.
func (n *inotify) remove(wd int) { _, _ = unix.InotifyRmWatch(n.fd, uint32(wd)) }

// read returns what has happened since the last call; it does not wait.
func (n *inotify) read() ([]note, error) {
	size, err := unix.Read(n.fd, n.buf[:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, os.NewSyscallError("read of inotify", err)
	}
	return parseNotes(n.buf[:size]), nil
}

// parseNotes reads a sequence of struct inotify_event.
func parseNotes(data []byte) []note {
	var list []note
	for len(data) >= unix.SizeofInotifyEvent {
		size := binary.NativeEndian.Uint32(data[12:])
		n := note{dir: int(int32(binary.NativeEndian.Uint32(data))), mask: binary.NativeEndian.Uint32(data[4:])}
		data = data[unix.SizeofInotifyEvent:]
		if uint64(size) > uint64(len(data)) {
			return list
		}
		name, _, _ := bytes.Cut(data[:size], []byte{0})
		n.name, data = string(name), data[size:]
		list = append(list, n)
	}
	return list
}
