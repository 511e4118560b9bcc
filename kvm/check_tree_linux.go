package kvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// daemonFiles returns the root directory of the machine as the process behind a
// socket sees it: libvirtd, or what listens for it. It may be in a container, with
// other network devices than ours in /sys.
func daemonFiles(ctx context.Context, socket string) (fs.FS, error) {
	if socket == "" {
		return nil, errors.New("libvirtd is on another machine")
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	defer c.Close() // nothing was written
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *syscall.Ucred
	var perr error
	if err := raw.Control(func(fd uintptr) {
		peer, perr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || perr != nil {
		return nil, errors.Join(err, perr)
	}
	if peer.Pid == 0 {
		return nil, errors.New("libvirtd is in a container that cannot be seen from here")
	}
	root := fmt.Sprintf("/proc/%d/root", peer.Pid)
	if _, err := os.Stat(root + "/proc"); err != nil {
		return nil, fmt.Errorf("the files that libvirtd sees are for root: %w", err)
	}
	return os.DirFS(root), nil
}

// Of adjtimex(2): the clock is not synchronised.
const staUnsync = 0x40

// clockSynced says whether the kernel's clock follows a server.
func clockSynced() (bool, error) {
	var t syscall.Timex // no modes: it only reads
	if _, err := syscall.Adjtimex(&t); err != nil {
		return false, err
	}
	return t.Status&staUnsync == 0, nil
}

// owner says whose a file is, where that is known.
func owner(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" uid %d gid %d", st.Uid, st.Gid)
}
