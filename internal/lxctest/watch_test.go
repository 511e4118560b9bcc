//go:build linux

package lxctest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// watched follows the events of a Host until the test ends.
type watched struct {
	t      *testing.T
	events chan provision.Event
}

func watch(t *testing.T, h *provision.Host) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{t, make(chan provision.Event, 100)}
	done := make(chan error, 1)
	go func() {
		var last error
		for e, err := range h.Events(ctx, nil) {
			if last = err; err == nil {
				w.events <- e
			}
		}
		done <- last
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	w.until(provision.EventReady, "")
	return w
}

// until returns the events up to one.
func (w *watched) until(typ provision.EventType, state provision.State) []provision.Event {
	w.t.Helper()
	var seen []provision.Event
	for late := time.After(30 * time.Second); ; {
		select {
		case e := <-w.events:
			if seen = append(seen, e); e.Type == typ && e.State == state {
				return seen
			}
		case <-late:
			w.t.Fatalf("no event %s %s among %v", typ, state, seen)
		}
	}
}

func monitorOf(t *testing.T, path string, id provision.ID) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/freezer", lxc.GroupsOf(path), string(id), "monitor/cgroup.procs"))
	require.NoError(t, err)
	pid, _, _ := strings.Cut(string(text), "\n") // hooks come after it
	return pid
}

// What others do with our guests and with theirs is told.
func TestWatchOthers(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	w := watch(t, h)
	g, err := h.Create(t.Context(), lxcrig.Spec("watched"), nil)
	require.NoError(t, err)
	w.until(provision.EventCreated, provision.StateStopped)

	require.NoError(t, lxcrig.StartOutside(t, path, "watched"))
	w.until(provision.EventState, provision.StateRunning)
	lxcrig.Run(t, "lxc-freeze", "-P", path, "-n", "watched")
	w.until(provision.EventState, provision.StatePaused)
	lxcrig.Run(t, "lxc-unfreeze", "-P", path, "-n", "watched")
	w.until(provision.EventState, provision.StateRunning)
	lxcrig.Run(t, "lxc-stop", "-k", "-P", path, "-n", "watched")
	for _, e := range w.until(provision.EventState, provision.StateStopped) {
		require.Equal(t, g.ID(), e.ID)
	}

	require.NoError(t, g.Start(t.Context(), nil))
	w.until(provision.EventState, provision.StateRunning)
	lxcrig.Run(t, "kill", "-9", monitorOf(t, path, g.ID()))
	w.until(provision.EventState, provision.StateStopped)
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)

	config := filepath.Join(path, "watched", "config")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, append(text, "lxc.start.delay = 3\n"...), 0o600))
	w.until(provision.EventChanged, provision.StateStopped)

	remove := lxcrig.Foreign(t, path, "theirs")
	w.until(provision.EventCreated, provision.StateStopped)
	remove()
	w.until(provision.EventDeleted, provision.StateAbsent)
	require.NoError(t, g.Delete(t.Context(), nil))
	w.until(provision.EventDeleted, provision.StateAbsent)
}

// A watch that ends leaves no descriptor, of as many guests as there are.
func TestWatchLeavesNothing(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), lxcrig.Spec("left"), nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	before := descriptors(t)
	for range 5 {
		for e, err := range h.Events(t.Context(), nil) {
			require.NoError(t, err)
			require.Equal(t, provision.EventReady, e.Type)
			require.Greater(t, descriptors(t), before)
			break
		}
	}
	require.Equal(t, before, descriptors(t))
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// The end of a Host ends what watches it.
func TestWatchEndsWithHost(t *testing.T) {
	h := lxcrig.Open(t, lxcrig.Machine(t))
	var last error
	for _, err := range h.Events(t.Context(), nil) {
		if last = err; err == nil {
			require.NoError(t, h.Close())
		}
	}
	require.ErrorIs(t, last, provision.ErrUnavailable)
}
