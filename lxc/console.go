//go:build linux

package lxc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// consolePart is how much of a log one call returns at the most.
const consolePart = 256 << 10

// ConsoleLog implements [provision.ConsoleLogger]. The log is of this start of the
// guest; what was written before it rebooted itself is not in it any more. At 8 MiB liblxc begins
// it anew, at offset 0.
func (b *Backend) ConsoleLog(ctx context.Context, id provision.ID, offset int64) ([]byte, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(b.at.file(d.Spec.Name, fileConsole), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if missing(err) {
		return nil, nil // it was never started
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, offset, consolePart))
}

// Bounds of the opening of a console.
const (
	// busyFor is how long a console that was just left may look taken: its monitor has
	// yet to notice.
	busyFor   = time.Second
	busyEvery = 10 * time.Millisecond
)

// maxUnread is how much of a console waits for a slow reader.
const maxUnread = 1 << 20

// Errors that consoles end with.
var (
	errTaken    = fmt.Errorf("%w: somebody else has taken the console over", provision.ErrBusy)
	errLeftOpen = fmt.Errorf("the console: %w", fs.ErrClosed)
	errOccupied = fmt.Errorf("%w: somebody else is connected to the console", provision.ErrBusy)
)

// OpenConsole implements [provision.ConsoleOpener] by a child that runs lxc-console,
// on a terminal of its own. Force ends the console that this Backend has open on the
// guest; it leaves those of other programs alone, with ErrBusy.
func (b *Backend) OpenConsole(ctx context.Context, id provision.ID, opts provision.ConsoleOptions) (io.ReadWriteCloser, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return nil, err
	}
	switch l, err := b.lifeOf(d); {
	case err != nil:
		return nil, err
	case l.init == 0:
		return nil, fmt.Errorf("%w: it is %s", provision.ErrState, l.state)
	}
	c := &console{}
	c.more.L = &c.mu
	if err := b.consoles.take(id, c, opts.Force); err != nil {
		return nil, err
	}
	for begin := time.Now(); ; {
		err := c.open(ctx, b, d.Spec.Name)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, provision.ErrBusy) || errors.Is(err, errTaken) || time.Since(begin) > busyFor {
			b.consoles.leave(id, c)
			return nil, err
		}
		if serr := ctxerr.Sleep(ctx, busyEvery); serr != nil {
			b.consoles.leave(id, c)
			return nil, fmt.Errorf("%w: %w", serr, err)
		}
	}
}

// consoles are those that are open, by guest.
type consoles struct {
	mu     sync.Mutex
	open   map[provision.ID]*console
	closed bool
}

// take makes a console that of a guest.
func (s *consoles) take(id provision.ID, c *console, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errLeftOpen
	}
	if other := s.open[id]; other != nil {
		if !force {
			return errOccupied
		}
		other.end(errTaken)
	}
	if s.open == nil {
		s.open = map[provision.ID]*console{}
	}
	s.open[id] = c
	c.forget = func() { s.leave(id, c) }
	return nil
}

func (s *consoles) leave(id provision.ID, c *console) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] == c {
		delete(s.open, id)
	}
}

// close ends all consoles.
func (s *consoles) close() {
	s.mu.Lock()
	s.closed = true
	var all []*console
	for _, c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // it cannot fail
	}
}

// console is one open console.
type console struct {
	master *os.File
	forget func()
	over   sync.WaitGroup // of what goes on in the background
	kill   func()

	mu     sync.Mutex
	more   sync.Cond
	unread []byte
	lost   int   // bytes dropped in front of unread
	reason error // why there is no more; nil while it goes on
}

// open runs lxc-console and returns when it is connected.
func (c *console) open(ctx context.Context, b *Backend, name string) error {
	master, slave, err := newPTY()
	if err != nil {
		return err
	}
	defer closeFiles(slave)
	if err := makeRaw(slave); err != nil {
		closeFiles(master)
		return err
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(b.opts.Attach), "lxc-console"), "-P", b.opts.LXCPath, "-n", name, "-t", "0", "-e", "-1", "-q")
	cmd.Env, cmd.Dir, cmd.ExtraFiles = childEnv, "/", make([]*os.File, inherited())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said := &head{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		closeFiles(master)
		return &Error{Op: "connect to the console", Cause: cmd.Path + " cannot be run; install the package lxc", Err: err}
	}
	ended := make(chan error, 1)
	c.over.Go(func() { ended <- cmd.Wait() })
	for pause := traceFirst; ; pause = min(pause*2, traceLast) {
		select {
		case err := <-ended:
			closeFiles(master)
			cause := printable(string(bytes.TrimSpace(said.buf)))
			return fmt.Errorf("%w: %w", errOccupied, &Error{Op: "connect to the console", Cause: cause, Err: err})
		case <-ctx.Done():
			_ = cmd.Process.Kill() // it is waited for
			<-ended
			closeFiles(master)
			return ctxerr.Of(ctx)
		case <-time.After(pause):
		}
		if fd, err := findTerminal(cmd.Process.Pid); err == nil && fd >= 0 {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master, c.kill = master, func() { _ = cmd.Process.Kill() } // it may have ended
	if c.reason != nil {                                         // taken over meanwhile
		c.kill()
		closeFiles(master)
		return c.reason
	}
	c.over.Go(c.copy)
	return nil
}

// copy takes what the guest writes, also where nobody reads it: the guest must not
// wait for that.
func (c *console) copy() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.master.Read(buf)
		c.mu.Lock()
		c.unread = append(c.unread, buf[:n]...)
		if over := len(c.unread) - maxUnread; over > 0 {
			over = max(over, maxUnread/2) // so that a flood does not move the rest each time
			c.lost += over
			c.unread = append(c.unread[:0:0], c.unread[over:]...)
		}
		c.more.Signal()
		c.mu.Unlock()
		if err != nil { // EIO: lxc-console has ended, because the guest has
			c.end(io.EOF)
			return
		}
	}
}

// end makes Read and Write return, and ends lxc-console.
func (c *console) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == nil {
		c.reason = reason
	}
	c.more.Broadcast()
	if c.master != nil {
		c.kill()
		closeFiles(c.master)
	}
}

// Close ends the console. It never fails.
func (c *console) Close() error {
	c.end(errLeftOpen)
	c.forget()
	c.over.Wait()
	return nil
}

// Read returns what the guest wrote, waiting for it.
func (c *console) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unread) == 0 {
		if c.reason != nil {
			return 0, c.reason
		}
		c.more.Wait()
	}
	if c.lost > 0 {
		c.unread = append(fmt.Appendf(nil, "\r\n[%d bytes lost]\r\n", c.lost), c.unread...)
		c.lost = 0
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// Write passes on what is typed.
func (c *console) Write(p []byte) (int, error) {
	n, err := c.master.Write(p)
	if err == nil {
		return n, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.reason == nil:
	case errors.Is(c.reason, io.EOF):
		err = io.ErrClosedPipe
	default:
		err = c.reason
	}
	return n, err
}

// makeRaw keeps a terminal from changing what goes through it: termios(3).
func makeRaw(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("TCGETS", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return os.NewSyscallError("TCSETS", unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t))
}

var (
	_ provision.ConsoleOpener = (*Backend)(nil)
	_ provision.ConsoleLogger = (*Backend)(nil)
)
