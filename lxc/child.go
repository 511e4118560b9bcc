//go:build linux

package lxc

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// maxSaid bounds what is kept of what a program says.
const maxSaid = 64 << 10

// childEnv is the environment of lxc-start and of what it runs on the host: closed,
// because liblxc hands it on. The PATH lacks /usr/bin: where liblxc finds
// newuidmap(1) it uses that also as root, and then needs lines in /etc/subuid.
var childEnv = []string{"PATH=/usr/sbin:/sbin", "LC_ALL=C"}

// runTool runs a program of LXC to its end. Starting and attaching are done by such
// children only: liblxc moves its caller into another control group, forks a copy of
// its memory for as long as the guest runs, and gives the guest what descriptors it
// finds.
func runTool(ctx context.Context, op, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = childEnv
	cmd.WaitDelay = time.Second
	said := &head{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.ExtraFiles = make([]*os.File, inherited()) // none of them: each is closed
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctxerr.Of(ctx)
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return &Error{Op: op, Cause: path + " is not there; install the package lxc, or say where it is in Options", Err: err}
	}
	return &Error{Op: op, Cause: printable(string(bytes.TrimSpace(said.buf))), Err: err}
}

// inherited is how many descriptors behind the standard ones a child would get if
// they were not closed: the Go runtime opens all of its own in the way that keeps them
// from children, and a program may have others from its parent or from a library.
func inherited() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // there is no /proc, and so no container
	}
	last := 2
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = fd
		}
	}
	return last - 2
}

// head keeps the beginning of what is written to it.
type head struct{ buf []byte }

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	h.buf = append(h.buf, p[:min(len(p), maxSaid-len(h.buf))]...)
	return len(p), nil
}
