package kvm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// Times of the cache.
const (
	// cacheLife bounds how long an event that libvirtd failed to send can hide
	// a change.
	cacheLife = 30 * time.Second
	// Pauses between attempts to subscribe.
	minPause = time.Second
	maxPause = 30 * time.Second
)

// cache keeps configurations for List, so that it takes the same number of
// round trips for any number of guests: libvirt has no bulk call for them. An
// entry is dropped when libvirtd reports a change of its domain, and all of
// them when the subscription is lost. Decisions are never made on it; Inspect
// reads anew.
type cache struct {
	mu    sync.Mutex
	items map[libvirt.UUID]cached
	live  bool   // changes are being reported
	epoch uint64 // counts drops: what was read before one must not be kept
}

type cached struct {
	found provision.Found
	at    time.Time
}

// get returns an entry that is young enough, and the epoch in which a read that
// begins now falls.
func (c *cache) get(id libvirt.UUID) (f provision.Found, ok bool, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[id]
	if !ok || time.Since(item.at) > cacheLife {
		return provision.Found{}, false, c.epoch
	}
	return own(item.found), true, c.epoch
}

// own copies what callers may change.
func own(f provision.Found) provision.Found {
	f.Status.Disks = slices.Clone(f.Status.Disks)
	f.Status.NICs = slices.Clone(f.Status.NICs)
	return f
}

// put keeps what was read, if nothing has changed since.
func (c *cache) put(id libvirt.UUID, f provision.Found, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live && c.epoch == epoch {
		c.items[id] = cached{own(f), time.Now()}
	}
}

func (c *cache) drop(id libvirt.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	delete(c.items, id)
}

// reset empties the cache, and says whether changes are reported from now on.
func (c *cache) reset(live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.live, c.items = live, map[libvirt.UUID]cached{}
}

// prune forgets domains that are gone.
func (c *cache) prune(all []domainState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.items) <= len(all) {
		return
	}
	kept := make(map[libvirt.UUID]cached, len(all))
	for _, d := range all {
		if item, ok := c.items[d.dom.UUID]; ok {
			kept[d.dom.UUID] = item
		}
	}
	c.items = kept
}

// follow keeps one subscription for as long as the Backend is open. It begins
// with the second List: subscriptions that come and go by the hundred, as from
// short-lived programs, can stop libvirtd 9.0 from sending events to anybody.
func (b *Backend) follow() {
	ctx := b.conns.ended
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		begin := time.Now()
		err := b.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		b.opts.Logger.DebugContext(ctx, "events of libvirtd ended", "err", err)
		if time.Since(begin) > maxPause {
			pause = minPause
		}
		if ctxerr.Sleep(ctx, pause) != nil {
			return
		}
	}
}

func (b *Backend) startFollowing() {
	b.conns.mu.Lock()
	defer b.conns.mu.Unlock()
	if !b.conns.closed {
		b.following.Go(b.follow)
	}
}

func (b *Backend) followOnce(ctx context.Context) error {
	dial, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	c, err := b.conns.dial(dial)
	if err != nil {
		return err
	}
	defer c.raw.Close()
	var life, meta <-chan any
	err = c.run(dial, func(l *libvirt.Libvirt) (err error) {
		// The channels end with the connection; their own context must not,
		// because that asks libvirtd once more.
		if life, err = l.SubscribeEvents(context.Background(), libvirt.DomainEventIDLifecycle, nil); err != nil {
			return err
		}
		meta, err = l.SubscribeEvents(context.Background(), libvirt.DomainEventIDMetadataChange, nil)
		return err
	})
	if err != nil {
		c.raw.Close()
		drain(life)
		return err
	}
	b.cache.reset(true)
	defer b.cache.reset(false)
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	defer stop()
	defer drain(life)
	defer drain(meta)
	defer c.raw.Close()
	for {
		var event any
		var ok bool
		select {
		case event, ok = <-life:
		case event, ok = <-meta:
		}
		if !ok {
			return errEventsEnded
		}
		switch e := event.(type) {
		case *libvirt.DomainEventCallbackLifecycleMsg:
			b.cache.drop(e.Msg.Dom.UUID)
		case *libvirt.DomainEventCallbackMetadataChangeMsg:
			b.cache.drop(e.Dom.UUID)
		}
	}
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
