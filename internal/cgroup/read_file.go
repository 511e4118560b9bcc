package cgroup

import (
	"errors"
	"os"
	"slices"
	"syscall"
)

// read reads a file of the kernel's by bare calls: those of package os would also
// ask for the size, which is 0, and for events, of which there are none. With the
// counters of hundreds of groups to read that was a third of the time.
func read(path string) (string, error) {
	fd, err := again(func() (int, error) { return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var first [4096]byte
	buf, n := first[:], 0
	for {
		k, err := again(func() (int, error) { return syscall.Read(fd, buf[n:]) })
		if err != nil {
			return "", &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n += k; n < len(buf) { // the kernel gives all that there is room for
			return string(buf[:n]), nil
		}
		buf = slices.Grow(buf, len(buf))[:2*len(buf)]
	}
}

// again repeats a call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
