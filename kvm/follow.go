package kvm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// Times of the subscription.
const (
	// reconcileEvery is how often those who watch are told what no event told
	// of. Subscriptions that other programs make and end by the hundred can stop
	// libvirtd 9.0 from sending events to anybody.
	reconcileEvery = 45 * time.Second
	// Pauses between attempts to subscribe.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
	// aliveTime is how long libvirtd may take to show that the subscription's
	// connection still stands.
	aliveTime = 5 * time.Second
)

// startFollowing begins to follow the events of libvirtd, once, until the
// Backend is closed. That is with the second List or the first Watch: it must
// not be for each of a hundred short-lived programs.
func (b *Backend) startFollowing() {
	b.conns.mu.Lock()
	defer b.conns.mu.Unlock()
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	if b.conns.closed || b.hub.started {
		return
	}
	b.hub.started = true
	b.following.Go(b.follow)
}

// follow keeps one subscription, for the cache of List and for all watchers.
func (b *Backend) follow() {
	ctx := b.conns.ended
	var f follower
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		begin := time.Now()
		err := f.once(ctx, b)
		if ctx.Err() != nil {
			return
		}
		b.opts.Logger.DebugContext(ctx, "events of libvirtd ended", "err", err)
		if !errors.Is(err, errNoEvents) && !errors.Is(err, errEventsEnded) {
			b.hub.begin(err) // there was no way to begin
		}
		if time.Since(begin) > maxPause {
			pause = minPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-b.hub.wake: // who watches for the first time is not kept waiting
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// follower is what the goroutine of follow knows. Nobody else touches it.
type follower struct {
	known  map[libvirt.UUID]seen // what the watchers were told; nil where nobody watches
	events int                   // since the last reconcile
}

// once subscribes, and follows until the connection ends.
func (f *follower) once(ctx context.Context, b *Backend) error {
	dial, cancel := context.WithTimeoutCause(ctx, b.opts.Timeout,
		fmt.Errorf("%w: libvirtd did not answer within %s", provision.ErrUnavailable, b.opts.Timeout))
	defer cancel()
	c, err := b.conns.dial(dial)
	if err != nil {
		return err
	}
	defer c.raw.Close()
	sub, err := subscribe(dial, c)
	if err != nil {
		return classify(err)
	}
	b.cache.reset(true)
	defer b.cache.reset(false)
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	defer stop()
	defer sub.end(c)
	// From here on nothing is missed, so this is the time to look.
	if err := f.resync(ctx, b); err != nil {
		return err
	}
	tick := time.NewTicker(b.reconcile)
	defer tick.Stop()
	for {
		var err error
		select {
		case e, ok := <-sub.life:
			if !ok {
				return errEventsEnded
			}
			f.lifecycle(ctx, b, e)
		case e, ok := <-sub.meta:
			if !ok {
				return errEventsEnded
			}
			f.metadata(ctx, b, e)
		case <-b.hub.wake:
			if f.known == nil {
				err = f.resync(ctx, b)
			} else {
				b.hub.begin(nil)
			}
		case <-tick.C:
			err = f.reconcile(ctx, b, c)
		}
		if err != nil {
			return err
		}
	}
}

// subscribe asks for the two kinds of events that are used, each once: libvirtd
// refuses a second subscription of a kind. Both are about all domains, which is
// also all that the RPC library can ask for.
func subscribe(ctx context.Context, c *conn) (*subscription, error) {
	s := new(subscription)
	var until context.Context
	until, s.cancel = context.WithCancel(context.Background())
	err := c.run(ctx, func(l *libvirt.Libvirt) (err error) {
		if s.life, err = l.SubscribeEvents(until, libvirt.DomainEventIDLifecycle, nil); err != nil {
			return err
		}
		s.meta, err = l.SubscribeEvents(until, libvirt.DomainEventIDMetadataChange, nil)
		return err
	})
	if err != nil {
		s.end(c)
	}
	return s, err
}

// subscription is what comes from one connection.
type subscription struct {
	life, meta <-chan any
	cancel     context.CancelFunc
}

// end closes the connection first, because the end of a subscription's own context
// asks libvirtd once more. It has to end too: the library closes the channels with the
// connection, but not those of a subscription that was confirmed just before.
func (s *subscription) end(c *conn) {
	c.raw.Close()
	s.cancel()
	drain(s.life)
	drain(s.meta)
}

// drain reads a channel of events to its end; the library's goroutine behind it
// would never end otherwise.
func drain(events <-chan any) {
	if events == nil {
		return
	}
	for range events {
	}
}

// resync looks at all domains where somebody watches, tells what changed since
// the last look, and lets those begin who wait.
func (f *follower) resync(ctx context.Context, b *Backend) error {
	if !b.hub.watched() {
		f.known = nil
		return nil
	}
	now, err := b.survey(ctx)
	if err != nil {
		return err
	}
	if f.known != nil {
		events, _ := differences(f.known, now)
		b.hub.publish(events)
	}
	f.known = now
	b.hub.begin(nil)
	return nil
}

// reconcile makes sure that the connection stands, and that events come.
func (f *follower) reconcile(ctx context.Context, b *Backend, c *conn) error {
	if err := c.ping(ctx, aliveTime); err != nil {
		return err
	}
	events := f.events
	f.events = 0
	if f.known == nil || !b.hub.watched() {
		f.known = nil
		return nil
	}
	now, err := b.survey(ctx)
	if err != nil {
		b.opts.Logger.WarnContext(ctx, "guests could not be listed to find changes", "err", err)
		return nil
	}
	found, missed := differences(f.known, now)
	f.known = now
	b.hub.publish(found)
	if missed && events == 0 {
		b.cache.reset(true)
		return errNoEvents
	}
	return nil
}

// lifecycle handles an event of its kind.
func (f *follower) lifecycle(ctx context.Context, b *Backend, event any) {
	e, ok := event.(*libvirt.DomainEventCallbackLifecycleMsg)
	if !ok {
		return
	}
	d := e.Msg.Dom
	b.cache.drop(d.UUID)
	if !f.follows(b) || isTrial(d) {
		return
	}
	was, have := f.known[d.UUID]
	now, types := was.after(have, d.Name, libvirt.DomainEventType(e.Msg.Event), e.Msg.Detail)
	if now.doubtful {
		b.reread(ctx, d, &now)
	}
	f.tell(ctx, b, d, now, types)
}

// metadata handles an event of its kind. The two kinds come in no order, so a
// domain that is not known is about to be, or gone.
func (f *follower) metadata(ctx context.Context, b *Backend, event any) {
	e, ok := event.(*libvirt.DomainEventCallbackMetadataChangeMsg)
	if !ok {
		return
	}
	b.cache.drop(e.Dom.UUID)
	if !f.follows(b) {
		return
	}
	if was, have := f.known[e.Dom.UUID]; have {
		f.tell(ctx, b, e.Dom, was, []provision.EventType{provision.EventChanged})
	}
}

// follows says whether somebody wants to be told.
func (f *follower) follows(b *Backend) bool {
	f.events++
	if !b.hub.watched() {
		f.known = nil
	}
	return f.known != nil
}

// tell publishes events about a domain, and remembers how it was then. What may
// have changed in its definition is read first: a change after that differs
// from it, and is found by the next reconcile if not by an event.
func (f *follower) tell(ctx context.Context, b *Backend, d libvirt.Domain, now seen, types []provision.EventType) {
	events := make([]provision.Event, 0, len(types))
	gone := false
	for _, t := range types {
		e := provision.Event{Type: t, Name: now.name, ID: idOf(d.UUID), State: now.state, Reason: now.reason, Time: time.Now()}
		switch t {
		case provision.EventCreated, provision.EventChanged:
			now.sum = b.sum(ctx, d)
		case provision.EventDeleted:
			e.State, e.Reason, gone = provision.StateAbsent, "", true
		}
		events = append(events, e)
	}
	if gone {
		delete(f.known, d.UUID)
	} else if now.name != "" {
		f.known[d.UUID] = now
	}
	b.hub.publish(events)
}
