package kvm

import (
	"errors"
	"fmt"
	"testing"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// next takes all that is due.
func due(t *testing.T, w *watcher) (events []provision.Event) {
	t.Helper()
	for {
		e, ok, err := w.next()
		require.NoError(t, err)
		if !ok {
			return events
		}
		events = append(events, e)
	}
}

// TestHazard13SlowWatcher: who does not keep up is told how much is missing, and
// goes on from there; others are not touched.
func TestHazard13SlowWatcher(t *testing.T) {
	h := newHub()
	slow, quick := h.join(), h.join()
	h.begin(nil)
	require.Equal(t, provision.EventReady, due(t, quick)[0].Type)
	const many = watchBuffer + 500
	for i := range many {
		h.publish([]provision.Event{{Type: provision.EventState, Name: fmt.Sprint(i)}})
		require.Len(t, due(t, quick), 1)
	}
	have := due(t, slow)
	require.Equal(t, provision.EventReady, have[0].Type)
	last := have[len(have)-1]
	require.Equal(t, provision.EventLost, last.Type)
	require.Equal(t, many, len(have)-2+last.Count, "each event was had or counted")
	require.Equal(t, fmt.Sprint(len(have)-3), have[len(have)-2].Name, "in order")
	h.publish([]provision.Event{{Type: provision.EventDeleted}})
	require.Equal(t, provision.EventDeleted, due(t, slow)[0].Type)
	h.leave(slow)
	h.leave(quick)
	require.False(t, h.watched())
}

// A watcher gets nothing before it is told to begin, and its end comes last.
func TestWatcherBeginsAndEnds(t *testing.T) {
	h := newHub()
	w := h.join()
	h.publish([]provision.Event{{Type: provision.EventState}})
	require.Empty(t, due(t, w))
	why := errors.New("no way")
	h.begin(nil)
	h.begin(why) // of a later attempt: it is no concern of those who have begun
	h.publish([]provision.Event{{Type: provision.EventCreated}})
	require.Len(t, due(t, w), 2)
	late := h.join()
	h.begin(why)
	h.begin(nil)
	_, _, err := late.next()
	require.Equal(t, why, err)
	require.Empty(t, due(t, w))
}

// What libvirt's events mean: each line is one, of a guest as it was.
func TestTransitions(t *testing.T) {
	const (
		created, deleted = provision.EventCreated, provision.EventDeleted
		state, changed   = provision.EventState, provision.EventChanged
	)
	off := seen{name: "a", state: provision.StateStopped}
	on := seen{name: "a", state: provision.StateRunning}
	brief := seen{name: "a", state: provision.StateRunning, transient: true}
	with := func(s seen, st provision.State, why string) seen {
		s.state, s.reason = st, why
		return s
	}
	for _, c := range []struct {
		was    seen
		event  libvirt.DomainEventType
		detail int32
		now    seen
		tell   []provision.EventType
	}{
		{seen{}, libvirt.DomainEventDefined, 0, off, []provision.EventType{created}},
		{off, libvirt.DomainEventDefined, 1, off, []provision.EventType{changed}},
		{brief, libvirt.DomainEventDefined, 0, on, []provision.EventType{changed}},
		{off, libvirt.DomainEventUndefined, 0, off, []provision.EventType{deleted}},
		{off, libvirt.DomainEventUndefined, 1, off, nil},
		{on, libvirt.DomainEventUndefined, 0, brief, []provision.EventType{changed}},
		{seen{}, libvirt.DomainEventUndefined, 0, seen{}, nil},
		{off, libvirt.DomainEventResumed, 0, on, []provision.EventType{state}},
		{on, libvirt.DomainEventStarted, 0, on, nil},
		{seen{}, libvirt.DomainEventStarted, 0, brief, []provision.EventType{created}},
		{on, libvirt.DomainEventSuspended, 0, with(on, provision.StatePaused, "by a user"), []provision.EventType{state}},
		{on, libvirt.DomainEventSuspended, 2, with(on, provision.StatePaused, "a disk error"), []provision.EventType{state}},
		{on, libvirt.DomainEventPmsuspended, 0, with(on, provision.StatePaused, "the guest suspended itself"), []provision.EventType{state}},
		{on, libvirt.DomainEventShutdown, 0, with(on, provision.StateStopping, ""), []provision.EventType{state}},
		{on, libvirt.DomainEventCrashed, 0, with(on, provision.StateCrashed, "the guest crashed"), []provision.EventType{state}},
		{on, libvirt.DomainEventStopped, 0, off, []provision.EventType{state}},
		{on, libvirt.DomainEventStopped, 4, with(off, provision.StateStopped, "its memory is saved"), []provision.EventType{state}},
		{on, libvirt.DomainEventStopped, 5, seen{name: "a", state: provision.StateCrashed, reason: "its QEMU process died", doubtful: true}, []provision.EventType{state}},
		{brief, libvirt.DomainEventStopped, 1, with(brief, provision.StateStopped, ""), []provision.EventType{state, deleted}},
		{seen{}, libvirt.DomainEventStopped, 1, seen{}, nil},
		{on, libvirt.DomainEventType(99), 0, on, nil},
	} {
		now, tell := c.was.after(c.was.name != "", "a", c.event, c.detail)
		require.Empty(t, cmp.Diff(c.now, now, cmp.AllowUnexported(seen{})), "%+v", c)
		require.Equal(t, c.tell, tell, "%+v", c)
	}
	renamed, tell := off.after(true, "b", libvirt.DomainEventDefined, 2)
	require.Equal(t, "b", renamed.name)
	require.Equal(t, []provision.EventType{changed}, tell)
}

// Reasons read the same in an event and in a status.
func TestReasonsOfEvents(t *testing.T) {
	of := func(m map[int32]string) (list []string) {
		for _, s := range m {
			list = append(list, s)
		}
		return list
	}
	for _, why := range suspendedReasons {
		require.Contains(t, of(pausedReasons), why)
	}
	for _, why := range stoppedReasons {
		require.Contains(t, of(shutoffReasons), why)
	}
}

// What changed between two looks.
func TestDifferences(t *testing.T) {
	id := func(n byte) libvirt.UUID { return libvirt.UUID{n} }
	off := seen{name: "a", state: provision.StateStopped}
	auto, other, on := off, off, off
	auto.autostart, other.sum[0], on.state = true, 1, provision.StateRunning
	for _, c := range []struct {
		old, now map[libvirt.UUID]seen
		want     []provision.EventType
		missed   bool
	}{
		{nil, nil, nil, false},
		{map[libvirt.UUID]seen{id(1): off}, map[libvirt.UUID]seen{id(1): off}, nil, false},
		{map[libvirt.UUID]seen{id(2): off}, map[libvirt.UUID]seen{id(1): off}, []provision.EventType{provision.EventDeleted, provision.EventCreated}, true},
		{map[libvirt.UUID]seen{id(1): off}, map[libvirt.UUID]seen{id(1): on}, []provision.EventType{provision.EventState}, true},
		{map[libvirt.UUID]seen{id(1): off}, map[libvirt.UUID]seen{id(1): auto}, []provision.EventType{provision.EventChanged}, false},
		{map[libvirt.UUID]seen{id(1): off}, map[libvirt.UUID]seen{id(1): other}, []provision.EventType{provision.EventChanged}, false},
	} {
		events, missed := differences(c.old, c.now)
		var types []provision.EventType
		for _, e := range events {
			types = append(types, e.Type)
			require.False(t, e.Time.IsZero())
			require.NotEmpty(t, e.ID)
			require.Equal(t, "a", e.Name)
		}
		require.Equal(t, c.want, types)
		require.Equal(t, c.missed, missed)
	}
}
