package lxc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// localProber tries things on this machine.
type localProber struct{}

// failed keeps apart what the caller may not do, or there is nothing to do it on, from
// what the kernel cannot.
func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s: %w", errUntried, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// reflink: both files have no names, and are gone when they are closed.
func (localProber) reflink(dir string) error {
	var files [2]*os.File
	for i := range files {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return fmt.Errorf("%w: a file without a name: %w", errUntried, err)
		}
		files[i] = os.NewFile(uintptr(fd), dir)
		defer files[i].Close()
	}
	if _, err := files[0].Write(make([]byte, 4096)); err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	return failed("FICLONE", unix.IoctlFileClone(int(files[1].Fd()), int(files[0].Fd())))
}

// Of linux/dqblk_xfs.h and linux/quota.h.
const (
	qXGetQStatV = 'X'<<8 + 8
	prjQuota    = 2
	prjEnforced = 1 << 5 // FS_QUOTA_PDQ_ENFD
)

// projectQuota reads struct fs_quota_statv: its version, and then, after a byte, flags.
func (localProber) projectQuota(dir string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errUntried, err)
	}
	defer d.Close()
	state := [256]byte{1} // FS_QSTATV_VERSION1
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, d.Fd(), qXGetQStatV<<8|prjQuota, 0, uintptr(unsafe.Pointer(&state)), 0, 0)
	switch errno {
	case 0:
		return binary.NativeEndian.Uint16(state[2:])&prjEnforced != 0, nil
	case unix.ESRCH: // quotas are off
		return false, nil
	case unix.ENOSYS:
		// Of the file system, or of the kernel, before 5.14: then it does not look at the
		// descriptor.
		if _, _, none := unix.Syscall6(unix.SYS_QUOTACTL_FD, ^uintptr(0), 0, 0, 0, 0, 0); none == unix.ENOSYS {
			return false, fmt.Errorf("%w: quotactl_fd: %w", errUntried, errno)
		}
	}
	return false, failed("quotactl_fd", errno)
}

func (localProber) space(dir string) (space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return space{}, failed("statfs "+dir, err)
	}
	unit := uint64(s.Bsize)
	return space{bytes: s.Blocks * unit, freeBytes: s.Bavail * unit, inodes: s.Files, freeInodes: s.Ffree}, nil
}

// links are what ip(8) is told, by kind: the last line is the trial.
var links = map[string]string{
	"veth":    "link add p0 type veth peer name p1",
	"bridge":  "link add b0 type bridge",
	"ifb":     "link add i0 type ifb",
	"macvlan": "link add p0 type veth peer name p1\nlink add link p0 name m0 type macvlan",
	"vlan":    "link add p0 type veth peer name p1\nlink add link p0 name v0 type vlan id 5",
}

// link makes a network device in a namespace that ends with the child, and the device
// with it.
func (localProber) link(ctx context.Context, ip, kind string) error {
	if ip == "" {
		return fmt.Errorf("%w: there is no ip(8)", errUntried)
	}
	cmd := exec.CommandContext(ctx, ip, "-batch", "-")
	cmd.Stdin = strings.NewReader(links[kind] + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	_, err := run(ctx, cmd)
	if err != nil && strings.Contains(err.Error(), "-:1") && strings.Contains(links[kind], "\n") {
		return fmt.Errorf("%w: %w", errUntried, err) // the first line is not the trial
	}
	return err
}

func (localProber) output(ctx context.Context, path string, args ...string) (string, error) {
	return run(ctx, exec.CommandContext(ctx, path, args...))
}

// run returns what a command prints. Only if it ran and failed, that says something.
func run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exited *exec.ExitError
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%w: %s: %w", errUntried, cmd.Path, ctxerr.Of(ctx))
	case !errors.As(err, &exited):
		return "", fmt.Errorf("%w: %w", errUntried, err)
	}
	return "", fmt.Errorf("%s: %w: %s", cmd.Path, err, oneLine(stderr.String()))
}

func (localProber) synced() (bool, error) {
	var t unix.Timex // no modes: it only reads
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, err
	}
	return t.Status&unix.STA_UNSYNC == 0, nil
}

func (localProber) owner(info fs.FileInfo) (uint32, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%w: the owner of %s is not told", errUntried, info.Name())
	}
	return st.Uid, nil
}
