//go:build linux

package roots

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openAt opens one name in a directory: no link is followed, no mount crossed, no
// device or FIFO waited for. The kernel asks for a retry when something on the
// host is renamed meanwhile (openat2(2)).
func openAt(dir *os.File, name string, flags uint64, mode uint64) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY,
		Mode:    mode,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	path := filepath.Join(dir.Name(), name)
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EXDEV):
			return nil, fmt.Errorf("%s: something is mounted there: %w", path, ErrBusy)
		case err != nil:
			return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

func openDirAt(dir *os.File, name string) (*os.File, error) {
	return openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openRegularAt opens a regular file, and nothing else.
func openRegularAt(dir *os.File, name string) (*os.File, error) {
	f, err := openAt(dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file: %w", f.Name(), ErrInvalid))
	}
	return f, nil
}

func statAt(dir *os.File, name string) (st unix.Stat_t, err error) {
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, &os.PathError{Op: "stat", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return st, nil
}

func kindOf(st *unix.Stat_t) uint32 { return st.Mode & unix.S_IFMT }

// eachName calls f with the names in a directory, which may be too many to hold.
func eachName(dir *os.File, f func(name string) error) error {
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if err := f(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
