package kvm

import (
	"slices"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// cacheLife bounds how long an event that libvirtd failed to send can hide a
// change.
const cacheLife = 30 * time.Second

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
	f.Status.Limits = slices.Clone(f.Status.Limits)
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
