package kvm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// conn is one connection to libvirtd. The RPC library has no contexts and
// blocks for ever on a daemon that does not answer; the only way out is to
// close the socket under it. So each exchange has a connection to itself: to
// give up one harms no other.
type conn struct {
	raw *wire
	l   *libvirt.Libvirt
}

// Dial implements the dialer interface of go-libvirt.
func (c *conn) Dial() (net.Conn, error) { return c.raw, nil }

// giveUp is how long run waits for the RPC library to notice that its socket is
// closed. It does so at once, unless it has locked itself up.
const giveUp = 2 * time.Second

// run calls f and, when the context ends first, closes the connection, which
// makes f return, so that no goroutine is left.
func (c *conn) run(ctx context.Context, f func(*libvirt.Libvirt) error) error {
	done := make(chan error, 1)
	go func() { done <- f(c.l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		c.raw.Close()
		select {
		case <-done:
		case <-time.After(giveUp):
		}
		return ended(ctx)
	}
}

// Bounds on connections: libvirtd works on 20 calls at a time by default.
const (
	maxConns     = 16
	maxTransfers = 4
	maxIdle      = 4
)

// conns is the set of connections of a Backend.
type conns struct {
	socket, uri, path string
	timeout           time.Duration
	slots             chan struct{} // one for each connection in use
	transfers         chan struct{} // one for each upload of an image

	mu     sync.Mutex
	idle   []*conn
	closed bool
	ending context.CancelCauseFunc // ends what is under way
	ended  context.Context
}

// drivers of libvirtd that this backend talks to; that of its tests is the second.
var drivers = map[string]bool{"qemu": true, "test": true}

// setTarget reads the URI: https://libvirt.org/uri.html.
func (cs *conns) setTarget(o Options) error {
	bad := func(problem string) error {
		return &provision.FieldError{Path: "Options.URI", Value: o.URI, Problem: problem}
	}
	if o.Emulation < EmulateNever || o.Emulation > EmulateAlways {
		return &provision.FieldError{Path: "Options.Emulation", Value: o.Emulation.String(), Problem: "is not known"}
	}
	if o.Timeout < 0 {
		return &provision.FieldError{Path: "Options.Timeout", Value: o.Timeout.String(), Problem: "is negative"}
	}
	u, err := url.Parse(o.URI)
	if err != nil {
		return bad("is not a URI")
	}
	driver, transport, _ := strings.Cut(u.Scheme, "+")
	switch {
	case !drivers[driver]:
		return bad("is not a URI of the qemu driver; use qemu:///system or qemu+unix:///system?socket=PATH")
	case u.Opaque != "":
		return bad("has no path; use qemu:///system")
	case u.Host != "" || transport != "" && transport != "unix":
		return &provision.UnsupportedError{Feature: "a remote URI", Kind: "kvm", Reason: "connections to other machines are not supported yet; use a local socket"}
	}
	if u.Path == "" || u.Path == "/" {
		return bad("has no path; use qemu:///system")
	}
	for name := range u.Query() {
		if name != "socket" {
			return bad("has a parameter that is not known; socket is")
		}
	}
	cs.socket = u.Query().Get("socket")
	if cs.socket == "" {
		if driver == "qemu" && u.Path == "/session" {
			return bad("needs a socket: qemu+unix:///session?socket=/run/user/UID/libvirt/libvirt-sock")
		}
		cs.socket = "/run/libvirt/libvirt-sock"
	}
	if !filepath.IsAbs(cs.socket) {
		return bad("names a socket by a relative path")
	}
	cs.uri, cs.path, cs.timeout = driver+"://"+u.Path, u.Path, o.Timeout
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.slots == nil {
		cs.slots, cs.transfers = make(chan struct{}, maxConns), make(chan struct{}, maxTransfers)
		cs.ended, cs.ending = context.WithCancelCause(context.Background())
	}
	return nil
}

// do runs one exchange on a connection of its own, within the timeout.
func (cs *conns) do(ctx context.Context, timeout time.Duration, f func(*libvirt.Libvirt) error) error {
	late := fmt.Errorf("%w: libvirtd did not answer within %s; what it was asked to do may still happen", provision.ErrUnavailable, timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	select {
	case cs.slots <- struct{}{}:
		defer func() { <-cs.slots }()
	case <-ctx.Done():
		return ended(ctx)
	}
	return cs.exchange(ctx, f)
}

// exchange runs f on a connection, until the context or the Backend ends.
func (cs *conns) exchange(ctx context.Context, f func(*libvirt.Libvirt) error) error {
	ctx, stop := cs.untilClosed(ctx)
	defer stop()
	c, err := cs.take(ctx)
	if err != nil {
		return err
	}
	err = c.run(ctx, f)
	cs.put(c, err)
	return classify(err)
}

// untilClosed ends the context when the Backend is closed.
func (cs *conns) untilClosed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(cs.ended, func() { cancel(context.Cause(cs.ended)) })
	return ctx, func() { stop(); cancel(nil) }
}

// take returns an idle connection that still stands, or a new one.
func (cs *conns) take(ctx context.Context) (*conn, error) {
	cs.mu.Lock()
	for len(cs.idle) > 0 {
		c := cs.idle[len(cs.idle)-1]
		cs.idle = cs.idle[:len(cs.idle)-1]
		if !c.raw.ended.Load() {
			cs.mu.Unlock()
			return c, nil
		}
		c.raw.Close()
	}
	cs.mu.Unlock()
	return cs.dial(ctx)
}

func (cs *conns) dial(ctx context.Context) (*conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "unix", cs.socket)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	c := &conn{raw: &wire{Conn: raw}}
	c.l = libvirt.NewWithDialer(c)
	err = c.run(ctx, func(l *libvirt.Libvirt) error { return l.ConnectToURI(libvirt.ConnectURI(cs.uri)) })
	if err != nil {
		raw.Close()
		return nil, classify(err)
	}
	return c, nil
}

// put keeps a connection for later, unless it is in doubt.
func (cs *conns) put(c *conn, err error) {
	var answer libvirt.Error
	healthy := err == nil || errors.As(err, &answer)
	cs.mu.Lock()
	keep := healthy && !cs.closed && len(cs.idle) < maxIdle && !c.raw.ended.Load()
	if keep {
		cs.idle = append(cs.idle, c)
	}
	cs.mu.Unlock()
	if !keep {
		c.raw.Close()
	}
}

func (cs *conns) close() {
	cs.mu.Lock()
	idle := cs.idle
	cs.idle, cs.closed = nil, true
	cs.mu.Unlock()
	if cs.ending != nil {
		cs.ending(errClosed)
	}
	for _, c := range idle {
		c.raw.Close()
	}
}
