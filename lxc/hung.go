//go:build linux

package lxc

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How long, and how often, a call that hangs is broken off: each exchange of a call
// has a connection of its own.
const (
	breakFor   = 2 * time.Second
	breakEvery = 20 * time.Millisecond
)

var errStillHangs = errors.New("it still hangs")

// breakOff ends the connections to the monitor of a guest until the call that uses
// them has returned.
func (b *Backend) breakOff(name string, done <-chan error) error {
	peer := "@" + filepath.Join(b.opts.LXCPath, name, "command")
	for range int(breakFor / breakEvery) {
		if err := shutDown(peer); err != nil {
			return err
		}
		select {
		case <-done:
			return nil
		case <-time.After(breakEvery):
		}
	}
	return errStillHangs
}

// shutDown ends all connections of this process to a unix socket of that name. The
// duplicate makes sure that what is shut down is what was looked at, whatever its
// number is used for meanwhile.
func shutDown(peer string) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			continue // closed meanwhile
		}
		if a, err := unix.Getpeername(dup); err == nil {
			if u, ok := a.(*unix.SockaddrUnix); ok && u.Name == peer {
				_ = unix.Shutdown(dup, unix.SHUT_RDWR) // it may have ended by itself
			}
		}
		_ = unix.Close(dup)
	}
	return nil
}
