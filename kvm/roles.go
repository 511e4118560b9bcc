package kvm

import (
	"context"
	"fmt"
	"sync"

	"github.com/guestforge/provision"
)

// role is what a connection is used for. Each has connections of its own, so
// that one cannot keep another waiting: jobs may hang with the QEMU or the
// storage that they are about, and queries about other guests must not. Events
// have one connection beside these, and each transfer one from conns.transfers.
type role int

// Values of role.
const (
	roleQuery  role = iota // changes nothing, and is short
	roleJob                // changes something
	roleStream             // reads a part of a volume
	roles
)

// budgets are how many connections a role may use at a time. Together, with
// maxTransfers and the events, they stay below the 20 calls that libvirtd works on
// by default (max_workers), so that what hangs does not use up all of its threads
// either. A connection has one
// call in flight: libvirtd reads no more than five (max_client_requests).
var budgets = [roles]int{roleQuery: 7, roleJob: 6, roleStream: 2}

var roleNames = [roles]string{"queries", "changes", "reading volumes"}

// Bounds on the jobs about one thing, so that a guest that hangs cannot use up
// those of all. Jobs about no guest, such as making volumes, share one bound.
const (
	jobsOfGuest = 2
	jobsOfNone  = 3
)

// slots are the budgets of the roles.
type slots struct {
	free [roles]chan struct{} // one element for each connection in use

	mu  sync.Mutex
	per map[string]*share
}

// share is the part of the jobs that are about one guest.
type share struct {
	used  chan struct{}
	users int // that hold a part or wait for one
}

func newSlots() *slots {
	s := &slots{per: map[string]*share{}}
	for r, n := range budgets {
		s.free[r] = make(chan struct{}, n)
	}
	return s
}

// enter waits for a connection of a role to be free. Jobs say which guest they
// are about, or "".
func (s *slots) enter(ctx context.Context, r role, guest string) (leave func(), err error) {
	drop := func() {}
	if r == roleJob {
		if drop, err = s.enterShare(ctx, guest); err != nil {
			return nil, err
		}
	}
	select {
	case s.free[r] <- struct{}{}:
		return func() { <-s.free[r]; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, waited(ctx, fmt.Sprintf("all %d connections for %s", budgets[r], roleNames[r]))
	}
}

func (s *slots) enterShare(ctx context.Context, guest string) (leave func(), err error) {
	bound, what := jobsOfGuest, "the connections for changes of this guest"
	if guest == "" {
		bound, what = jobsOfNone, "the connections for changes of volumes and definitions"
	}
	s.mu.Lock()
	sh := s.per[guest]
	if sh == nil {
		sh = &share{used: make(chan struct{}, bound)}
		s.per[guest] = sh
	}
	sh.users++
	s.mu.Unlock()
	drop := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sh.users--; sh.users == 0 {
			delete(s.per, guest)
		}
	}
	select {
	case sh.used <- struct{}{}:
		return func() { <-sh.used; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, waited(ctx, what)
	}
}

// waited says that a call was never made.
func waited(ctx context.Context, what string) error {
	return fmt.Errorf("%w: it waited for %s, which are in use; nothing was sent", ended(ctx), what)
}

// notSent marks an error after which nothing can have happened: the connection
// was found to be lost before a byte of the call was sent.
type notSent struct{ error }

// Unwrap returns the cause.
func (e notSent) Unwrap() error { return e.error }

// inDoubt marks an error after which a change may have happened or not.
type inDoubt struct{ error }

func (e inDoubt) Error() string { return e.error.Error() + ": " + provision.ErrOutcomeUnknown.Error() }

// Unwrap returns the cause, and what it is.
func (e inDoubt) Unwrap() []error { return []error{e.error, provision.ErrOutcomeUnknown} }
