//go:build linux

package kvmload_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
)

// haltHost starts a rig with the image of a guest that only halts, so that many
// of them can run under emulation.
func haltHost(t *testing.T) (*testrig.Libvirt, *provision.Host) {
	t.Helper()
	rig, _ := testrig.Start(t)
	h := kvmrig.Open(t, rig.URI, nil)
	_, err := h.ImportImage(t.Context(), "halt", bytes.NewReader(kvmrig.HaltImage()), &provision.ImportOptions{Format: "raw"})
	require.NoError(t, err)
	return rig, h
}

// TestFiftyGuests are made, started, listed and removed from eight goroutines.
func TestFiftyGuests(t *testing.T) {
	const goroutines, guests = 8, 50
	rig, h := haltHost(t)
	before := kvmrig.Leftovers(t, rig)
	name := func(i int) string { return fmt.Sprintf("g%d", i) }
	testrig.Jobs(t, goroutines, guests, func(ctx context.Context, i int) error {
		g, err := h.Create(ctx, kvmrig.HaltSpec(name(i)), nil)
		if err != nil {
			return err
		}
		return g.Start(ctx, nil)
	})
	running, err := rig.Guests()
	require.NoError(t, err)
	require.Len(t, running, guests)
	listed := 0
	for st, err := range h.Guests(t.Context(), nil) {
		require.NoError(t, err)
		require.Equal(t, provision.StateRunning, st.State, st.Name)
		listed++
	}
	require.Equal(t, guests, listed)
	testrig.Jobs(t, goroutines, guests, func(ctx context.Context, i int) error {
		g, err := h.Guest(ctx, name(i))
		if err != nil {
			return err
		}
		return g.Delete(ctx, &provision.DeleteOptions{Force: true})
	})
	require.Equal(t, before, kvmrig.Leftovers(t, rig))
}

// held is what a process holds.
type held struct{ goroutines, descriptors, heap int }

func holds(t *testing.T) held {
	t.Helper()
	debug.FreeOSMemory()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return held{runtime.NumGoroutine(), len(fds), int(m.HeapAlloc)}
}

// resident is the memory of this process in bytes.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

// lives is how many guests TestManyLives makes. CI has time for so many; a thousand
// take some minutes: go test -run TestManyLives ./internal/kvmload -lives 1000
var lives = flag.Int("lives", 250, "guests that come and go in TestManyLives")

// TestManyLives: many guests come and go, and the process is as it was after the
// first fifty.
func TestManyLives(t *testing.T) {
	const (
		warm = 50
		idle = 8 // connections that are kept for later come and go
	)
	rig, h := haltHost(t)
	before := kvmrig.Leftovers(t, rig)
	live := func(ctx context.Context, i int) error {
		g, err := h.Create(ctx, kvmrig.HaltSpec(fmt.Sprintf("g%d", i)), nil)
		if err != nil {
			return err
		}
		return g.Delete(ctx, nil)
	}
	testrig.Jobs(t, 4, warm, live)
	first, size := holds(t), resident(t)
	testrig.Jobs(t, 4, *lives, live)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		last := holds(t)
		assert.LessOrEqual(c, last.goroutines, first.goroutines+2*idle)
		assert.LessOrEqual(c, last.descriptors, first.descriptors+idle)
		assert.Less(c, last.heap, first.heap+1<<20, "bytes of heap")
	}, 10*time.Second, 50*time.Millisecond)
	t.Logf("after %d and %d lives: %+v and %+v, %d and %d KiB resident", warm, warm+*lives, first, holds(t), size>>10, resident(t)>>10)
	require.Equal(t, before, kvmrig.Leftovers(t, rig))
}
