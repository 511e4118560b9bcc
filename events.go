package provision

import (
	"context"
	"iter"
	"slices"
	"time"
)

// EventOptions of [Host.Events].
type EventOptions struct {
	// Interval of polling where the backend does not report changes by itself.
	// Default: 2 seconds.
	Interval time.Duration
}

// Events yields changes of all guests as they are seen, on the goroutine of the
// caller, until the context ends (which ends the sequence with its error) or the
// loop is left. The first is of type [EventReady]: changes after it are not
// missed. Where the backend reports no changes by itself ([FeatureWatch]), the
// guests are listed at an interval and what came and went in between is not
// seen. A suspended guest that somebody starts by other means is an EventState
// whose Reason says so. opts may be nil.
func (h *Host) Events(ctx context.Context, opts *EventOptions) iter.Seq2[Event, error] {
	interval := 2 * time.Second
	if opts != nil && opts.Interval > 0 {
		interval = opts.Interval
	}
	source := h.polled(ctx, interval)
	w, err := need[Watcher](h, FeatureWatch)
	watched := err == nil
	if watched {
		source = w.Watch(ctx)
	}
	return func(yield func(Event, error) bool) {
		if h.closed.Load() {
			yield(Event{}, h.wrap("watch", "", errClosed))
			return
		}
		for e, err := range source {
			if watched && err == nil {
				e = h.explain(ctx, e)
			}
			if !yield(e, h.wrap("watch", "", err)) || err != nil {
				return
			}
		}
	}
}

func (h *Host) polled(ctx context.Context, interval time.Duration) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var last map[ID]Status
		for {
			all, err := h.list(ctx)
			if err != nil {
				yield(Event{}, err)
				return
			}
			events := []Event{{Type: EventReady}}
			now := byID(all)
			if last != nil {
				events = changes(last, now)
			}
			last = now
			for _, e := range events {
				e.Time = h.opts.Clock.Now()
				if !yield(e, nil) {
					return
				}
			}
			if err := h.opts.Clock.Sleep(ctx, interval); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

func byID(all []Status) map[ID]Status {
	m := make(map[ID]Status, len(all))
	for _, st := range all {
		m[st.ID] = st
	}
	return m
}

// changes compares two lists: what went comes first, so that a name that was
// taken over is seen to be free before.
func changes(old, now map[ID]Status) []Event {
	var gone, rest []Event
	for _, id := range slices.Sorted(mapKeys(old)) {
		if _, ok := now[id]; !ok {
			gone = append(gone, Event{Type: EventDeleted, Name: old[id].Name, ID: id, State: StateAbsent})
		}
	}
	for _, id := range slices.Sorted(mapKeys(now)) {
		was, known := old[id]
		st := now[id]
		e := Event{Name: st.Name, ID: id, State: st.State, Reason: inEvent(st.Reason, st.Suspended)}
		switch {
		case !known:
			e.Type = EventCreated
		case was.State != st.State:
			e.Type = EventState
		case !was.sameRecord(&st):
			e.Type = EventChanged
		default:
			continue
		}
		rest = append(rest, e)
	}
	return append(gone, rest...)
}
