//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// whileFrozen does something while a guest that is on is frozen, and lets it go on,
// whatever becomes of that and of the context. A guest that was paused stays so. For
// the case that this process is killed meanwhile there is a second one, which then
// thaws the guest; where both are killed, the guest is shown as paused, and Resume
// thaws it.
func (b *Backend) whileFrozen(ctx context.Context, d *definition, l life, do func() error) (err error) {
	if l.init == 0 || l.state == provision.StatePaused {
		return do()
	}
	g, err := b.group(d, groupGuest)
	if err != nil {
		return err
	}
	free, err := b.guard(d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	if err := g.Freeze(ctx); err != nil {
		return err
	}
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
		defer cancel()
		err = errors.Join(err, g.Thaw(after))
	}()
	return do()
}

// guardScript waits for the end of its input, which comes with the end of the process
// that has the other end, and thaws: the file system, which may not be frozen, and the
// group.
const guardScript = `PATH=/usr/sbin:/usr/bin:/sbin:/bin
read -r _
fsfreeze -u "$1" 2>/dev/null
echo "$3" >"$2"
`

// guard starts a process that thaws the guest when this one ends, and returns what
// ends it.
func (b *Backend) guard(d *definition) (free func() error, err error) {
	file, value, err := b.thawFile(d)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(shell, "-c", guardScript, "guard", b.rootOf(d).Path(), file, value)
	cmd.Env = childEnv
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of the terminal's signals
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("process that thaws the guest: %w", errors.Join(err, end.Close()))
	}
	return func() error { return endGuard(cmd, end) }, nil
}

// endGuard ends it by a kill: the guest was thawed, and somebody may pause it now.
func endGuard(cmd *exec.Cmd, end io.Closer) error {
	err := cmd.Process.Kill()
	var exit *exec.ExitError
	if werr := cmd.Wait(); !errors.As(werr, &exit) {
		err = errors.Join(err, werr)
	}
	if cerr := end.Close(); cerr != nil && !errors.Is(cerr, os.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return err
}

// thawFile is where the kernel takes the thawing of a group, and what.
func (b *Backend) thawFile(d *definition) (file, value string, err error) {
	guest := b.groupPath(d, groupGuest)
	if h, ok := b.groups.Find(cgroup.Freezer); ok && h.Version == 1 {
		return filepath.Join(h.Dir, guest, "freezer.state"), "THAWED", nil
	}
	for _, h := range b.groups.Hierarchies {
		if h.Version == 2 {
			return filepath.Join(h.Dir, guest, "cgroup.freeze"), "0", nil
		}
	}
	return "", "", fmt.Errorf("%w: the host has no control groups that freeze", provision.ErrUnavailable)
}
