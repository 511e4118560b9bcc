package provisiontest

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// watchInterval is how often a watcher looks, in real time: the machine may be
// changed by another process, and by the passing of virtual time.
const watchInterval = 10 * time.Millisecond

// Watch implements [provision.Watcher], on the caller's goroutine.
func (b *Backend) Watch(ctx context.Context) iter.Seq2[provision.Event, error] {
	return func(yield func(provision.Event, error) bool) {
		if err := b.refuse(provision.FeatureWatch); err != nil {
			yield(provision.Event{}, err)
			return
		}
		seen := int64(-1)
		for {
			events, now, err := b.since(ctx, seen)
			if err != nil {
				yield(provision.Event{}, err)
				return
			}
			seen = now
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
			if err := b.tick(ctx); err != nil {
				yield(provision.Event{}, err)
				return
			}
		}
	}
}

// since returns the events after the first seen ones, and how many there are
// now. What is not in the log any more was lost.
func (b *Backend) since(ctx context.Context, seen int64) ([]provision.Event, int64, error) {
	var events []provision.Event
	now := seen
	err := b.view(ctx, func(m *machine) error {
		now = m.Logged
		if seen < 0 {
			events = []provision.Event{{Type: provision.EventReady, Time: m.opts.Clock.Now()}}
			return nil
		}
		fresh := min(m.Logged-seen, int64(len(m.Log)))
		if lost := m.Logged - seen - fresh; lost > 0 {
			events = append(events, provision.Event{Type: provision.EventLost, Count: int(lost), Time: m.opts.Clock.Now()})
		}
		events = append(events, m.Log[int64(len(m.Log))-fresh:]...)
		return nil
	})
	return events, now, err
}

func (b *Backend) tick(ctx context.Context) error {
	t := time.NewTimer(watchInterval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctxerr.Of(ctx)
	case <-b.closed:
		return fmt.Errorf("in-memory backend: %w", fs.ErrClosed)
	}
}
