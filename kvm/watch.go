package kvm

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// watchBuffer is how many events wait for one watcher.
const watchBuffer = 1024

// Watch implements [provision.Watcher]. All calls share one subscription at
// libvirtd, which stays until Close. A connection that is lost is made again,
// and what changed meanwhile is found by comparing; states that came and went
// in between are not told. The same is done from time to time while somebody
// watches, for what libvirtd has no events for, such as autostart, and for what
// it failed to send; such a change is told within a minute, and some twice.
//
// Where the first connection fails, the sequence ends with
// [provision.ErrUnavailable]. Later, libvirtd may be away for as long as it
// takes. A watcher that falls behind by 1,024 events loses those that follow,
// until it has read these.
func (b *Backend) Watch(ctx context.Context) iter.Seq2[provision.Event, error] {
	return func(yield func(provision.Event, error) bool) {
		if !b.opened() {
			yield(provision.Event{}, errNotOpen)
			return
		}
		w := b.hub.join()
		defer b.hub.leave(w)
		b.startFollowing()
		for {
			if ctx.Err() != nil {
				yield(provision.Event{}, ctxerr.Of(ctx))
				return
			}
			e, ok, err := w.next()
			if err != nil {
				yield(provision.Event{}, err)
				return
			}
			if ok {
				if !yield(e, nil) {
					return
				}
				continue
			}
			select {
			case <-w.signal:
			case <-ctx.Done():
			case <-b.conns.ended.Done():
				w.fail(errClosed)
			}
		}
	}
}

// watcher holds the events for one call of Watch.
type watcher struct {
	signal chan struct{} // there is something to look at

	mu    sync.Mutex
	queue []provision.Event
	lost  int // after those in queue
	ready bool
	err   error
}

func (w *watcher) notify() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// push adds an event, or counts it where there is no room.
func (w *watcher) push(e provision.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ready {
		return // it began before the watcher did
	}
	if w.lost > 0 || len(w.queue) >= watchBuffer {
		w.lost++
	} else {
		w.queue = append(w.queue, e)
	}
	w.notify()
}

// begin tells the watcher that it misses nothing from here on.
func (w *watcher) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ready || w.err != nil {
		return
	}
	w.ready, w.queue = true, []provision.Event{{Type: provision.EventReady, Time: time.Now()}}
	w.notify()
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.notify()
}

func (w *watcher) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.ready && w.err == nil
}

// next returns what is due: events, what was lost after them, or the end.
func (w *watcher) next() (e provision.Event, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.queue) > 0:
		e, w.queue = w.queue[0], w.queue[1:]
	case w.lost > 0:
		e, w.lost = provision.Event{Type: provision.EventLost, Count: w.lost, Time: time.Now()}, 0
	default:
		return provision.Event{}, false, w.err
	}
	return e, true, nil
}

// hub hands events to the watchers.
type hub struct {
	wake chan struct{} // a watcher has come

	mu       sync.Mutex
	watchers map[*watcher]bool
	started  bool // the goroutine behind it runs
}

func newHub() hub { return hub{wake: make(chan struct{}, 1), watchers: map[*watcher]bool{}} }

func (h *hub) join() *watcher {
	w := &watcher{signal: make(chan struct{}, 1)}
	h.mu.Lock()
	h.watchers[w] = true
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// all returns the watchers.
func (h *hub) all() []*watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*watcher, 0, len(h.watchers))
	for w := range h.watchers {
		list = append(list, w)
	}
	return list
}

func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers) > 0
}

func (h *hub) publish(events []provision.Event) {
	if len(events) == 0 {
		return
	}
	for _, w := range h.all() {
		for _, e := range events {
			w.push(e)
		}
	}
}

// begin tells those who wait that nothing is missed from now on, or why not.
func (h *hub) begin(err error) {
	for _, w := range h.all() {
		if err == nil {
			w.begin()
		} else if w.waiting() {
			w.fail(err)
		}
	}
}
