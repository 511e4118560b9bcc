package kvm

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// conn is one connection to libvirtd. The RPC library has no contexts and
// blocks for ever on a daemon that does not answer; the only way out is to
// close the socket under it. So each exchange has a connection to itself: to
// give up one harms no other. An object of the library is never connected twice,
// which it does not bear.
type conn struct {
	raw  *wire
	l    *libvirt.Libvirt
	used time.Time // when it was put aside
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

// Times of connections that are put aside.
const (
	// freshFor is how long one is used without a question.
	freshFor = 5 * time.Second
	// pingTime is how long the answer to the question may take.
	pingTime = 2 * time.Second
)

// stands says whether a connection that was put aside can be used, by a call
// that costs libvirtd nothing. ConnectSupportsFeature would be wrong here: asked
// about keepalive, libvirtd begins to expect answers that the RPC library does
// not give, and cuts it off.
func (c *conn) stands(ctx context.Context) bool {
	if c.raw.ended.Load() {
		return false
	}
	if time.Since(c.used) < freshFor {
		return true
	}
	return c.ping(ctx, pingTime) == nil
}

// ping asks for the version. The connection is closed when no answer comes.
func (c *conn) ping(ctx context.Context, most time.Duration) error {
	late := fmt.Errorf("%w: libvirtd did not answer within %s", provision.ErrUnavailable, most)
	ctx, cancel := context.WithTimeoutCause(ctx, most, late)
	defer cancel()
	return c.run(ctx, func(l *libvirt.Libvirt) error {
		_, err := l.ConnectGetLibVersion()
		return err
	})
}
