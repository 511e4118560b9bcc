//go:build linux

package lxctest_test

import (
	"context"
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
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/internal/testrig"
)

// held is what this process holds, and what it has started.
type held struct{ goroutines, threads, descriptors, children, heap, resident int }

func holds(t assert.TestingT) held {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return held{goroutines: runtime.NumGoroutine(), threads: count(t, "/proc/self/task"), descriptors: count(t, "/proc/self/fd"),
		children: len(words(t, fmt.Sprintf("/proc/%d/task/%d/children", os.Getpid(), os.Getpid()))), heap: int(m.HeapAlloc), resident: resident(t)}
}

func count(t assert.TestingT, dir string) int {
	entries, err := os.ReadDir(dir)
	assert.NoError(t, err)
	return len(entries)
}

func words(t assert.TestingT, path string) []string {
	text, err := os.ReadFile(path)
	assert.NoError(t, err)
	return strings.Fields(string(text))
}

// resident is the memory of this process in bytes.
func resident(t assert.TestingT) int {
	pages, err := strconv.Atoi(words(t, "/proc/self/statm")[1])
	assert.NoError(t, err)
	return pages * os.Getpagesize()
}

// sameAs requires that this process soon holds no more than it did.
func sameAs(t *testing.T, before held) {
	t.Helper()
	var now held
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		now = holds(t)
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors && now.children <= before.children {
			return
		}
	}
	require.Fail(t, "this process holds more than before", "%+v, and it was %+v", now, before)
}

// TestFiftyGuests are made and started from eight goroutines, listed in one pass,
// stopped and removed.
func TestFiftyGuests(t *testing.T) {
	const goroutines, guests = 8, 50
	m := newMachine(t)
	before := m.leftovers()
	name := func(i int) string { return fmt.Sprintf("g%d", i) }
	address := func(i int) string { return fmt.Sprintf("192.0.2.%d/24", i+1) }
	idle := holds(t)
	t0 := time.Now()
	testrig.Jobs(t, goroutines, guests, func(ctx context.Context, i int) error {
		s := lxcrig.Spec(name(i))
		s.NICs[0].Addresses = prefixes(address(i))
		g, err := m.Create(ctx, s, nil)
		if err != nil {
			return err
		}
		return g.Start(ctx, nil)
	})
	t1 := time.Now()
	listed := map[string]provision.Status{}
	for st, err := range m.Guests(t.Context(), nil) {
		require.NoError(t, err)
		require.Equal(t, provision.StateRunning, st.State, st.Name)
		listed[st.Name] = st
	}
	t2 := time.Now()
	require.Len(t, listed, guests)
	for i := range guests {
		requireAddress(t, listed[name(i)], prefixes(address(i))[0])
	}
	testrig.Jobs(t, goroutines, guests, func(ctx context.Context, i int) error {
		g, err := m.Guest(ctx, name(i))
		if err != nil {
			return err
		}
		if _, err := g.Stop(ctx, &provision.StopOptions{Grace: 10 * time.Second}); err != nil {
			return err
		}
		return g.Delete(ctx, nil)
	})
	t.Logf("%d guests from %d goroutines: %v to create and start, %v to list, %v to stop and delete", guests, goroutines, t1.Sub(t0), t2.Sub(t1), time.Since(t2))
	require.Equal(t, before, m.leftovers())
	sameAs(t, idle)
}

// TestFiveHundredLives: a guest that is started and stopped five hundred times leaves
// the process as it was after the first fifty.
func TestFiveHundredLives(t *testing.T) {
	const warm, lives = 50, 450
	m := newMachine(t)
	before := m.leftovers()
	g := m.create(lxcrig.Spec("a"))
	live := func() {
		require.NoError(t, g.Start(t.Context(), nil))
		_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
		require.NoError(t, err)
	}
	for range warm {
		live()
	}
	first, start := holds(t), time.Now()
	for range lives {
		live()
	}
	took := time.Since(start)
	last := holds(t)
	t.Logf("a life takes %v; after %d and %d: %+v and %+v", took/lives, warm, warm+lives, first, last)
	require.LessOrEqual(t, last.threads, first.threads+4, "threads: the runtime may start a few")
	require.Less(t, last.heap, first.heap+1<<20, "bytes of heap")
	require.Less(t, last.resident, first.resident+lives*4096, "resident bytes: less than a page a life")
	sameAs(t, first)
	m.clean(before)
}
