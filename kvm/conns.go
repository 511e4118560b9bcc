package kvm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"
	"golang.org/x/crypto/ssh"

	"github.com/guestforge/provision"
)

const (
	// Uploads, copies and wipes at a time, each of them one call to libvirtd.
	maxTransfers = 3
	// Connections that are put aside for later. To make one to another machine
	// takes longer.
	maxIdle       = 4
	maxIdleRemote = 8
)

// conns is the set of connections of a Backend.
type conns struct {
	target  target
	timeout time.Duration
	tls     *tls.Config
	ssh     *ssh.ClientConfig
	custom  func(context.Context) (net.Conn, error)

	slots      *slots
	transfers  chan struct{} // one for each upload, copy or wipe
	handshakes chan struct{} // one for each connection that is being made
	gate       *gate

	mu     sync.Mutex
	idle   []*conn
	closed bool
	ending context.CancelCauseFunc // ends what is under way
	ended  context.Context
}

// setTarget reads the options.
func (cs *conns) setTarget(o Options) error {
	t, err := parseTarget(&o)
	if err == nil {
		err = o.check(t.transport)
	}
	if err != nil {
		return err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.slots != nil {
		return nil // a second Open of the same Backend
	}
	cs.target, cs.timeout, cs.tls, cs.ssh, cs.custom = t, o.Timeout, o.TLS, o.SSH, o.Dial
	pause := lastPause
	if t.transport == overUnix {
		pause = localPause
	}
	cs.gate = newGate(pause)
	cs.slots, cs.transfers, cs.handshakes = newSlots(), make(chan struct{}, maxTransfers), make(chan struct{}, maxHandshakes)
	cs.ended, cs.ending = context.WithCancelCause(context.Background())
	return nil
}

// localSocket is libvirtd's on this machine, or "" where it is reached otherwise.
func (cs *conns) localSocket() string {
	if cs.custom != nil || cs.target.transport != overUnix {
		return ""
	}
	return cs.target.socket
}

// as runs one exchange in a role, within the timeout. Of a job it says whether
// it may have happened although it failed.
func (cs *conns) as(ctx context.Context, r role, guest string, timeout time.Duration, f func(*libvirt.Libvirt) error) error {
	if cs.ended == nil {
		return errNotOpen
	}
	ctx, stop := cs.untilClosed(ctx)
	defer stop()
	leave, err := cs.turn(ctx, r, guest, timeout)
	if err != nil {
		return notSent{err}
	}
	defer leave()
	late := fmt.Errorf("%w: libvirtd did not answer within %s", provision.ErrUnavailable, timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	c, err := cs.take(ctx)
	if err != nil {
		return notSent{err}
	}
	before := c.raw.sent.Load()
	err = c.run(ctx, f)
	cs.put(c, err)
	doubtful := lost(err) || err != nil && ctx.Err() != nil && !answered(err)
	switch {
	case doubtful && c.raw.sent.Load() == before:
		return notSent{classify(err)}
	case doubtful && r == roleJob:
		return inDoubt{classify(err)}
	}
	return classify(err)
}

// turn waits for a connection of a role. A query waits no longer than for its
// answer; jobs come by the hundred, as when all guests are started, and each may
// take long.
func (cs *conns) turn(ctx context.Context, r role, guest string, timeout time.Duration) (leave func(), err error) {
	if r == roleJob {
		timeout *= 10
	}
	late := fmt.Errorf("%w: no connection to libvirtd was free within %s", provision.ErrUnavailable, timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	return cs.slots.enter(ctx, r, guest)
}

// do runs a query.
func (cs *conns) do(ctx context.Context, timeout time.Duration, f func(*libvirt.Libvirt) error) error {
	return cs.as(ctx, roleQuery, "", timeout, f)
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

// transfer is exchange for what takes long: only a few run at a time.
func (cs *conns) transfer(ctx context.Context, f func(*libvirt.Libvirt) error) error {
	leave, err := cs.enterTransfer(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return cs.exchange(ctx, f)
}

// enterTransfer waits for the turn of a transfer, which has no bound in time.
func (cs *conns) enterTransfer(ctx context.Context) (leave func(), err error) {
	select {
	case cs.transfers <- struct{}{}:
		return func() { <-cs.transfers }, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// untilClosed ends the context when the Backend is closed.
func (cs *conns) untilClosed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(cs.ended, func() { cancel(context.Cause(cs.ended)) })
	return ctx, func() { stop(); cancel(nil) }
}

// take returns a connection that was put aside and still stands, or a new one.
// When one of them fails the test, the others that are as old are not tried.
func (cs *conns) take(ctx context.Context) (*conn, error) {
	for c := cs.pop(); c != nil; c = cs.pop() {
		if c.stands(ctx) {
			return c, nil
		}
		c.raw.Close()
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		cs.dropStale()
	}
	return cs.dial(ctx)
}

func (cs *conns) pop() *conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := len(cs.idle)
	if n == 0 {
		return nil
	}
	c := cs.idle[n-1]
	cs.idle = cs.idle[:n-1]
	return c
}

// dropStale closes the connections that would have to be asked before use.
func (cs *conns) dropStale() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	kept := cs.idle[:0]
	for _, c := range cs.idle {
		if time.Since(c.used) < freshFor {
			kept = append(kept, c)
		} else {
			c.raw.Close()
		}
	}
	clear(cs.idle[len(kept):])
	cs.idle = kept
}

// dial makes a connection, when it is its turn.
func (cs *conns) dial(ctx context.Context) (*conn, error) {
	for {
		if err := cs.gate.enter(ctx); err != nil {
			return nil, err
		}
		c, reached, err := cs.attempt(ctx)
		// A daemon that takes connections and is too slow to greet is not
		// gone: whoever comes next has a context of his own to wait in.
		gaveUp := err != nil && ctx.Err() != nil && (reached || !errors.Is(context.Cause(ctx), provision.ErrUnavailable))
		if !cs.gate.leave(err, gaveUp) {
			return c, err
		}
	}
}

// attempt connects, and says whether it came as far as libvirtd.
func (cs *conns) attempt(ctx context.Context) (c *conn, reached bool, err error) {
	raw, err := cs.reach(ctx)
	if err != nil {
		return nil, false, err
	}
	settled := make(chan struct{})
	c = &conn{raw: &wire{Conn: raw, pack: true, settled: settled}}
	c.l = libvirt.NewWithDialer(c)
	err = c.run(ctx, func(l *libvirt.Libvirt) error {
		defer close(settled)
		return l.ConnectToURI(libvirt.ConnectURI(cs.target.uri))
	})
	if err != nil {
		raw.Close()
		return nil, true, greetingError(err)
	}
	return c, true, nil
}

// put keeps a connection for later, unless it is in doubt.
func (cs *conns) put(c *conn, err error) {
	healthy := err == nil || answered(err)
	most := maxIdle
	if cs.target.transport != overUnix {
		most = maxIdleRemote
	}
	cs.mu.Lock()
	keep := healthy && !cs.closed && len(cs.idle) < most && !c.raw.ended.Load()
	if keep {
		c.used = time.Now()
		cs.idle = append(cs.idle, c)
	}
	cs.mu.Unlock()
	if !keep {
		c.raw.Close()
	}
}

// close ends everything.
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
