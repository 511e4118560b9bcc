//go:build linux

package roots

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyAttributes gives name in dst what name in src has. The order matters: a
// change of owner drops set-id bits and capabilities, of mode the mask of an ACL.
func copyAttributes(src, dst *os.File, name string, st *unix.Stat_t) error {
	to := int(dst.Fd())
	if err := unix.Fchownat(to, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return pathError("chown", dst, name, err)
	}
	if kindOf(st) != unix.S_IFLNK {
		// It follows links, but we have just made this one, and it is none.
		if err := unix.Fchmodat(to, name, st.Mode&0o7777, 0); err != nil {
			return pathError("chmod", dst, name, err)
		}
	}
	if err := copyXattrs(inProc(src, name), inProc(dst, name)); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dst.Name(), name), err)
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return pathError("utimes", dst, name, unix.UtimesNanoAt(to, name, times, unix.AT_SYMLINK_NOFOLLOW))
}

// inProc is a path of a name in an open directory, for system calls that take
// paths only. Those that begin with l do not follow the name itself.
func inProc(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

func copyXattrs(from, to string) error {
	list, err := growing(func(b []byte) (int, error) { return unix.Llistxattr(from, b) })
	if err != nil {
		return ignore(err, unix.ENOTSUP)
	}
	for name := range bytes.SplitSeq(list, []byte{0}) {
		if len(name) == 0 || string(name) == "security.selinux" {
			continue
		}
		value, err := growing(func(b []byte) (int, error) { return unix.Lgetxattr(from, string(name), b) })
		if err == nil {
			err = unix.Lsetxattr(to, string(name), value, 0)
		}
		if err != nil {
			return fmt.Errorf("extended attribute %q: %w", name, err)
		}
	}
	return nil
}

// growing calls a function that fills a buffer until the buffer is large enough.
// The kernel has no value and no list above 64 KiB (xattr(7)).
func growing(fill func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 16 {
		b := make([]byte, size)
		n, err := fill(b)
		if errors.Is(err, unix.ERANGE) && size < 1<<16 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return b[:n], nil
	}
}
