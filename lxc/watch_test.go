//go:build linux

package lxc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// directories makes guests of files alone, which are off.
func directories(tb testing.TB, n int) *Backend {
	tb.Helper()
	b := New(&Options{LXCPath: tb.TempDir()})
	var err error
	b.groups, err = cgroup.Detect("/")
	require.NoError(tb, err)
	require.NoError(tb, b.prepare(tb.Context()))
	for i := range n {
		mkGuest(tb, b, fmt.Sprintf("g%d", i), testID[:len(testID)-4]+provision.ID(fmt.Sprintf("%04x", i)))
	}
	return b
}

func mkGuest(tb testing.TB, b *Backend, name string, id provision.ID) {
	tb.Helper()
	s := specs()["default"].Copy()
	s.Name = name
	dir := b.at.made(id)
	require.NoError(tb, os.Mkdir(dir, 0o700))
	require.NoError(tb, b.writeDefinition(dir, newDefinition(&provision.NewGuest{ID: id, Spec: &s})))
	require.NoError(tb, os.WriteFile(filepath.Join(dir, fileRecord), []byte("{}"), 0o600))
	require.NoError(tb, renameNew(dir, b.at.guest(name)))
}

func watchOf(tb testing.TB, b *Backend) *watch {
	tb.Helper()
	w, err := b.newWatch()
	require.NoError(tb, err)
	tb.Cleanup(w.close)
	require.NoError(tb, w.survey(tb.Context()))
	w.queue = nil
	return w
}

// seenBy returns what a watch tells of what has happened.
func seenBy(t *testing.T, w *watch) []provision.Event {
	t.Helper()
	require.NoError(t, w.notes())
	list := w.queue
	w.queue = nil
	return list
}

var untimed = cmpopts.IgnoreFields(provision.Event{}, "Time")

// Directories that come, go and are renamed are told from inotify alone, also when one
// takes the name of another between two looks.
func TestWatchDirectories(t *testing.T) {
	b := directories(t, 2)
	w := watchOf(t, b)
	require.Len(t, w.known, 2)
	id := func(i int) provision.ID { return testID[:len(testID)-4] + provision.ID(fmt.Sprintf("%04x", i)) }

	mkGuest(t, b, "new", id(77))
	require.NoError(t, os.Rename(b.at.guest("g0"), b.at.removed(id(0))))
	mkGuest(t, b, "g0", id(78)) // before anybody has looked
	require.NoError(t, os.MkdirAll(b.at.guest("theirs"), 0o755))
	require.NoError(t, os.Mkdir(b.at.guest(".hidden"), 0o755))
	stopped, absent := provision.StateStopped, provision.StateAbsent
	require.Empty(t, cmp.Diff([]provision.Event{
		{Type: provision.EventCreated, Name: "new", ID: id(77), State: stopped},
		{Type: provision.EventDeleted, Name: "g0", ID: id(0), State: absent},
		{Type: provision.EventCreated, Name: "g0", ID: id(78), State: stopped},
	}, seenBy(t, w), untimed))

	require.NoError(t, os.WriteFile(b.at.file("theirs", fileConfig), nil, 0o600))
	require.Empty(t, cmp.Diff([]provision.Event{{Type: provision.EventCreated, Name: "theirs", ID: "lxc:theirs", State: stopped}}, seenBy(t, w), untimed))
	require.Empty(t, seenBy(t, w))
	require.Empty(t, w.bare, "it is not watched any longer")

	require.NoError(t, b.SetRecord(t.Context(), id(77), provision.Record("{ }")))
	require.NoError(t, b.announce(id(78)), "nothing has changed")
	require.NoError(t, b.announce("nobody"))
	require.Empty(t, cmp.Diff([]provision.Event{{Type: provision.EventChanged, Name: "new", ID: id(77), State: stopped}}, seenBy(t, w), untimed))

	require.NoError(t, os.RemoveAll(b.at.guest("new")))
	require.Empty(t, cmp.Diff([]provision.Event{{Type: provision.EventDeleted, Name: "new", ID: id(77), State: absent}}, seenBy(t, w), untimed))
}

// Where the kernel could not keep all, it is told, and the rest is found by looking.
func TestWatchOverflow(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	require.NoError(t, err)
	var most int
	_, err = fmt.Sscan(string(limit), &most)
	require.NoError(t, err)
	b := directories(t, 1)
	w := watchOf(t, b)
	for i := range most/2 + 2 { // two names in turn: the kernel joins events that are alike
		require.NoError(t, b.announce(provision.ID(fmt.Sprint("n", i%2))))
		require.NoError(t, b.announce(provision.ID(fmt.Sprint("m", i%2))))
	}
	mkGuest(t, b, "late", testID)
	var all []provision.Event
	for len(all) < 2 { // or the test's own time is over
		require.NoError(t, w.step(t.Context()))
		all = append(all, w.queue...)
		w.queue = nil
	}
	require.Equal(t, provision.EventLost, all[0].Type)
	require.Positive(t, all[0].Count)
	require.Equal(t, "late", all[1].Name)
}

// A directory of containers that goes away is an error, and not the end of all guests.
func TestWatchLosesDirectory(t *testing.T) {
	b := directories(t, 1)
	next := 0
	var last error
	for e, err := range b.Watch(t.Context()) {
		if last = err; err != nil {
			break
		}
		require.Equal(t, provision.EventReady, e.Type)
		next++
		require.NoError(t, os.Rename(b.opts.LXCPath, b.opts.LXCPath+"-gone"))
	}
	require.Equal(t, 1, next)
	require.ErrorIs(t, last, provision.ErrUnavailable)
	for _, err := range b.Watch(t.Context()) {
		require.Error(t, err)
	}
}

// The names of what runs are those of sockets of this LXCPATH, and of no other.
func TestSocketNames(t *testing.T) {
	table := "Num RefCount Protocol Flags Type St Inode Path\n" +
		"0: 2 0 10000 1 1 5 @/var/lib/lxc/web1/command\n" +
		"0: 2 0 10000 1 1 5 @/var/lib/lxc/web2/x/command\n" +
		"0: 2 0 10000 1 1 5 @/var/lib/lxc2/web3/command\n" +
		"0: 2 0 10000 1 1 5 /var/lib/lxc/web4/command\n" +
		"0: 2 0 10000 1 1 5\n" +
		"0: 2 0 10000 1 1 5 @/var/lib/lxc/web5/command\n"
	require.Equal(t, map[string]bool{"web1": true, "web5": true}, parseSockets(table, "/var/lib/lxc"))
}

func BenchmarkSurvey1000(b *testing.B) {
	w := watchOf(b, directories(b, 1000))
	for b.Loop() {
		require.NoError(b, w.survey(context.Background()))
	}
}
