package kvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// maxUnread is how much of a console waits for a slow reader.
const maxUnread = 1 << 20

// releaseTime is how long libvirtd has to notice that a console was left.
const releaseTime = 5 * time.Second

// errTaken is what a console ends with that another one has taken over.
var errTaken = fmt.Errorf("%w: somebody else has taken the console over", provision.ErrBusy)

// OpenConsole implements [provision.ConsoleOpener]. Each console has a connection to
// libvirtd of its own. Force ends the console that this Backend has open on the guest.
// It leaves those of other programs alone, with ErrBusy: libvirt's own flag for it
// (VIR_DOMAIN_CONSOLE_FORCE) now and then makes libvirtd 9.0 crash.
func (b *Backend) OpenConsole(ctx context.Context, id provision.ID, opts provision.ConsoleOptions) (io.ReadWriteCloser, error) {
	if opts.Force {
		b.consoles.takeOver(id)
	}
	for begin, pause := time.Now(), 20*time.Millisecond; ; pause *= 2 {
		t, err := b.openConsole(ctx, id)
		if err == nil {
			b.consoles.add(id, t)
			return t, nil
		}
		if !opts.Force || !errors.Is(err, provision.ErrBusy) || time.Since(begin) > releaseTime {
			return nil, err
		}
		if serr := ctxerr.Sleep(ctx, pause); serr != nil {
			return nil, fmt.Errorf("%w: %w", serr, err)
		}
	}
}

// consoles are those that are open, by guest.
type consoles struct {
	mu   sync.Mutex
	open map[provision.ID]*terminal
}

func (c *consoles) add(id provision.ID, t *terminal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[provision.ID]*terminal{}
	}
	c.open[id] = t
	t.forget = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open[id] == t {
			delete(c.open, id)
		}
	}
}

// takeOver ends the console of a guest, if there is one.
func (c *consoles) takeOver(id provision.ID) {
	c.mu.Lock()
	t := c.open[id]
	c.mu.Unlock()
	if t != nil {
		t.end(errTaken)
		_ = t.Close() // it cannot fail
	}
}

func (b *Backend) openConsole(ctx context.Context, id provision.ID) (*terminal, error) {
	d, err := domainOf(id)
	if err != nil {
		return nil, err
	}
	late := fmt.Errorf("%w: libvirtd did not open the console within %s", provision.ErrUnavailable, b.opts.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, b.opts.Timeout, late)
	defer cancel()
	ctx, stop := b.conns.untilClosed(ctx)
	defer stop()
	c, err := b.conns.dial(ctx)
	if err != nil {
		return nil, err
	}
	t := newTerminal(c.raw)
	if !b.goOn(func() { t.run(c.l, d, uint32(libvirt.DomainConsoleSafe)) }) {
		_ = c.raw.Close() // nothing is lost with it
		return nil, errClosed
	}
	select {
	case <-t.opened:
	case <-t.over:
	case <-ctx.Done():
		_ = t.Close() // it cannot fail
		return nil, ended(ctx)
	}
	select {
	case <-t.opened:
	default:
		_ = t.Close() // it cannot fail
		return nil, openError(t.err)
	}
	t.unlink = context.AfterFunc(b.conns.ended, func() { t.end(errClosed) })
	return t, nil
}

// openError: libvirt has no code of its own for a console in use, and uses this one
// for nothing else here.
func openError(err error) error {
	if hasCode(err, libvirt.ErrOperationFailed) {
		return fmt.Errorf("%w: another program or Host is connected to it: %w", provision.ErrBusy, err)
	}
	return classify(err)
}

// goOn runs f in the background until the Backend is closed, unless it is.
func (b *Backend) goOn(f func()) bool {
	b.conns.mu.Lock()
	defer b.conns.mu.Unlock()
	if !b.conns.closed {
		b.following.Go(f)
	}
	return !b.conns.closed
}

// terminal is one open console. The RPC library's end of a stream must take what
// comes at once and never fail; so what the guest writes goes to a buffer.
type terminal struct {
	raw    io.Closer
	input  *io.PipeReader // what is typed, for the library
	typed  *io.PipeWriter
	opened chan struct{} // closed when libvirtd has answered
	over   chan struct{} // closed when the library has returned
	once   sync.Once
	err    error // of the library; valid when over is closed
	unlink func() bool
	forget func()

	mu     sync.Mutex
	more   sync.Cond
	unread []byte
	lost   int   // bytes dropped in front of unread
	reason error // why there is no more; nil while it goes on
}

func newTerminal(raw io.Closer) *terminal {
	t := &terminal{raw: raw, opened: make(chan struct{}), over: make(chan struct{})}
	t.input, t.typed = io.Pipe()
	t.more.L = &t.mu
	return t
}

// run lasts as long as the console.
func (t *terminal) run(l *libvirt.Libvirt, d libvirt.Domain, flags uint32) {
	t.err = l.DomainOpenConsoleBidirectional(d, nil, opening{t}, incoming{t}, flags)
	reason := io.EOF // libvirtd ends the stream when the guest goes off
	if t.err != nil {
		reason = classify(t.err)
	}
	t.end(reason)
	close(t.over)
}

// end makes Read and Write return, and the library by closing the socket.
func (t *terminal) end(reason error) {
	t.mu.Lock()
	if t.reason == nil {
		t.reason = reason
	}
	t.more.Broadcast()
	t.mu.Unlock()
	if errors.Is(reason, io.EOF) {
		reason = io.ErrClosedPipe
	}
	_ = t.input.CloseWithError(reason) // it ends both ends of the pipe and cannot fail
	_ = t.raw.Close()                  // whatever it says, the socket is of no use now
}

// Close ends the console. It never fails.
func (t *terminal) Close() error {
	t.end(fmt.Errorf("the console: %w", fs.ErrClosed))
	if t.unlink != nil {
		t.unlink()
	}
	if t.forget != nil {
		t.forget()
	}
	select {
	case <-t.over:
	case <-time.After(giveUp):
	}
	return nil
}

// Write passes on what is typed. It returns when the library has taken it.
func (t *terminal) Write(p []byte) (int, error) { return t.typed.Write(p) }

// Read returns what the guest wrote, waiting for it.
func (t *terminal) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.unread) == 0 {
		if t.reason != nil {
			return 0, t.reason
		}
		t.more.Wait()
	}
	if t.lost > 0 {
		t.unread = append(fmt.Appendf(nil, "\r\n[%d bytes lost]\r\n", t.lost), t.unread...)
		t.lost = 0
	}
	n := copy(p, t.unread)
	t.unread = t.unread[n:]
	return n, nil
}

// opening is the library's source of what is typed. The first Read tells that libvirtd
// has accepted the call.
type opening struct{ t *terminal }

func (o opening) Read(p []byte) (int, error) {
	o.t.once.Do(func() { close(o.t.opened) })
	return o.t.input.Read(p)
}

// incoming is the library's sink for what the guest writes.
type incoming struct{ t *terminal }

func (i incoming) Write(p []byte) (int, error) {
	t := i.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reason != nil {
		return len(p), nil
	}
	t.unread = append(t.unread, p...)
	if over := len(t.unread) - maxUnread; over > 0 {
		// Half of it at once, so that a flood does not move the rest for each packet.
		over = max(over, maxUnread/2)
		t.lost += over
		t.unread = append(t.unread[:0:0], t.unread[over:]...)
	}
	t.more.Signal()
	return len(p), nil
}

var _ io.ReadWriteCloser = (*terminal)(nil)
