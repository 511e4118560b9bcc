//go:build linux

package lxc

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
)

// newPTY makes a terminal of the host: see pts(4).
func newPTY() (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // nothing was written
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, os.NewSyscallError("TIOCSPTLCK", err)
	}
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, nil, os.NewSyscallError("TIOCGPTPEER", errno)
	}
	return os.NewFile(uintptr(fd), "/dev/ptmx"), os.NewFile(peer, "terminal"), nil
}

// isPtmx recognises the device of the master of every terminal: see devices.txt of the
// kernel.
func isPtmx(dev uint64) bool { return dev == unix.Mkdev(5, 2) }

// errNoTerminal is about an lxc-attach that is not as it was.
var errNoTerminal = errors.New("lxc-attach has made no terminal in the guest")

// takeTerminal takes the master of the terminal over that lxc-attach, which is
// stopped, has made in the guest: so there is one between us and the program, and
// not two, and its size and end are the real ones. liblxc makes it by a descriptor
// of its own, whatever the guest has put at /dev/ptmx.
func takeTerminal(attach int) (*os.File, error) {
	n, err := findTerminal(attach)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, errNoTerminal
	}
	process, err := unix.PidfdOpen(attach, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(process)
	fd, err := unix.PidfdGetfd(process, n, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_getfd", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "terminal"), nil
}

// findTerminal returns the descriptor that a program of LXC has of the master of a
// terminal, or -1.
func findTerminal(pid int) (int, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return -1, err
	}
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, e.Name()), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && isPtmx(st.Rdev) {
			return strconv.Atoi(e.Name())
		}
	}
	return -1, nil
}

// setSize sets the size of a terminal, which tells the program by SIGWINCH.
func setSize(master *os.File, size provision.TerminalSize) error {
	conn, err := master.SyscallConn()
	if err != nil {
		return err
	}
	ws := unix.Winsize{Row: cmp.Or(size.Rows, 24), Col: cmp.Or(size.Cols, 80)}
	var serr error
	err = conn.Control(func(fd uintptr) { serr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &ws) })
	if err := errors.Join(err, serr); err != nil {
		return fmt.Errorf("TIOCSWINSZ: %w", err)
	}
	return nil
}
