package provisiontest

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
)

// pollInterval for backends that do not report changes by themselves.
const pollInterval = 50 * time.Millisecond

func eventsCases() []testCase {
	return []testCase{
		rule("order", "events begin with EventReady, and a guest's creation, states and deletion come in order", (*env).eventsInOrder),
		rule("foreign", "events tell of guests of other tools too, and every watcher gets them", (*env).eventsForeign),
		rule("polled", "a Host whose backend reports no changes finds them by itself", (*env).eventsPolled),
		rule("break", "leaving the loop leaves no goroutine behind", (*env).eventsBreak),
		rule("context", "the end of the context ends the events, with its error", (*env).eventsContext),
	}
}

// watch collects events on a goroutine of its own until the case ends.
func (e *env) watch(h *provision.Host) <-chan provision.Event {
	ctx, cancel := context.WithCancel(e.ctx)
	events, done := make(chan provision.Event), make(chan struct{})
	go func() {
		defer close(done)
		for ev, err := range h.Events(ctx, &provision.EventOptions{Interval: pollInterval}) {
			if err != nil {
				return
			}
			select {
			case events <- ev:
			case <-ctx.Done():
			}
		}
	}()
	e.t.Cleanup(func() {
		cancel()
		<-done
	})
	return events
}

// until returns the events up to one that is wanted.
func (e *env) until(events <-chan provision.Event, what string, want func(provision.Event) bool) []provision.Event {
	e.t.Helper()
	var seen []provision.Event
	for {
		select {
		case ev := <-events:
			seen = append(seen, ev)
			require.NotEqual(e.t, provision.EventLost, ev.Type, "a consumer that keeps up loses nothing")
			require.False(e.t, ev.Time.IsZero(), "the time of %v", ev)
			if want(ev) {
				return seen
			}
		case <-e.ctx.Done():
			e.t.Fatalf("no event %s among %v", what, seen)
		}
	}
}

func (e *env) eventsInOrder() { e.story(e.open(nil)) }

func (e *env) eventsForeign() {
	h := e.open(nil)
	all := []<-chan provision.Event{e.watch(h), e.watch(h)}
	for _, events := range all {
		e.until(events, "at all", func(ev provision.Event) bool { return ev.Type == provision.EventReady })
	}
	remove := e.Foreign(e.t, e.machine, e.name("foreign"))
	for _, events := range all {
		seen := e.until(events, "of a foreign guest", func(ev provision.Event) bool {
			return ev.Type == provision.EventCreated && ev.Name == e.name("foreign")
		})
		require.Equal(e.t, provision.StateStopped, seen[len(seen)-1].State)
	}
	remove()
	for _, events := range all {
		seen := e.until(events, "of its end", func(ev provision.Event) bool {
			return ev.Type == provision.EventDeleted && ev.Name == e.name("foreign")
		})
		require.Equal(e.t, provision.StateAbsent, seen[len(seen)-1].State)
	}
}

func (e *env) eventsPolled() {
	// Embedding the interface hides the optional ones.
	b := struct{ provision.Backend }{e.New(e.t, e.machine)}
	h, err := provision.Open(e.ctx, b, e.options(e.t))
	require.NoError(e.t, err)
	e.t.Cleanup(func() { require.NoError(e.t, h.Close()) })
	e.story(h)
}

// story lives a guest's life and follows it in the events of h.
func (e *env) story(h *provision.Host) {
	events := e.watch(h)
	first := e.until(events, "at all", func(provision.Event) bool { return true })
	require.Equal(e.t, provision.EventReady, first[0].Type)
	g := e.create("a")
	var all []provision.Event
	follow := func(what string, want func(provision.Event) bool) {
		e.t.Helper()
		all = append(all, e.until(events, what, func(ev provision.Event) bool { return ev.ID == g.ID() && want(ev) })...)
	}
	state := func(s provision.State) func(provision.Event) bool {
		return func(ev provision.Event) bool { return ev.Type == provision.EventState && ev.State == s }
	}
	follow("created", func(ev provision.Event) bool { return ev.Type == provision.EventCreated })
	require.NoError(e.t, g.Start(e.ctx, nil))
	follow("running", state(provision.StateRunning))
	_, err := g.Stop(e.ctx, &provision.StopOptions{Force: true})
	require.NoError(e.t, err)
	follow("stopped", state(provision.StateStopped))
	e.delete(g)
	follow("deleted", func(ev provision.Event) bool { return ev.Type == provision.EventDeleted })
	mine := slices.DeleteFunc(all, func(ev provision.Event) bool { return ev.ID != g.ID() })
	require.Equal(e.t, provision.EventCreated, mine[0].Type, "the first of %v", mine)
	require.Equal(e.t, provision.StateAbsent, mine[len(mine)-1].State)
	for _, ev := range mine {
		require.Equal(e.t, g.Name(), ev.Name)
	}
}

func (e *env) eventsBreak() {
	h := e.open(nil)
	_, err := h.Guest(e.ctx, e.name("nobody"))
	require.ErrorIs(e.t, err, provision.ErrNotFound)
	loops := func() {
		for range 3 {
			for ev, err := range h.Events(e.ctx, nil) {
				require.NoError(e.t, err)
				require.Equal(e.t, provision.EventReady, ev.Type)
				break
			}
		}
	}
	// A backend may have goroutines until it is closed, and may need a moment
	// to start them; what each loop leaves would never come to rest.
	loops()
	for range 5 {
		now := goleak.IgnoreCurrent()
		loops()
		if err = goleak.Find(now); err == nil {
			return
		}
	}
	require.NoError(e.t, err)
}

func (e *env) eventsContext() {
	h := e.open(nil)
	ctx, cancel := context.WithCancel(e.ctx)
	next, stop := iter.Pull2(h.Events(ctx, &provision.EventOptions{Interval: time.Hour}))
	defer stop()
	ev, err, ok := next()
	require.True(e.t, ok)
	require.NoError(e.t, err)
	require.Equal(e.t, provision.EventReady, ev.Type)
	time.AfterFunc(20*time.Millisecond, cancel)
	for ok && err == nil {
		_, err, ok = next()
	}
	require.ErrorIs(e.t, err, context.Canceled)
	_, _, ok = next()
	require.False(e.t, ok, "the error is the last element")
}
