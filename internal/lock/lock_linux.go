package lock

import (
	"errors"
	"io"
	"os"
	"syscall"
)

const (
	noFollow = syscall.O_NOFOLLOW
	// ofdSetLock is F_OFD_SETLK of fcntl(2), which package syscall lacks.
	ofdSetLock = 37
)

// tryLock locks one byte for the open file description, without waiting.
func tryLock(f *os.File, at int64, mode Mode) (bool, error) {
	lk := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: at, Len: 1}
	if mode == Shared {
		lk.Type = syscall.F_RDLCK
	}
	err := syscall.FcntlFlock(f.Fd(), ofdSetLock, &lk)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}
