//go:build linux

package kvmtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// TestFaultMatrix takes away what the backend stands on, and calls each verb
// meanwhile. Each cell is the error that comes, which has to be one of those in
// the table of expectations. Then the fault ends, and each verb has to succeed
// and all that belongs to the guests can be removed. The table goes to the
// attributes of the test and so into the log of each full run.
func TestFaultMatrix(t *testing.T) {
	if socket := os.Getenv(nobodySocket); socket != "" {
		beNobody(t, socket)
		return
	}
	m := newMatrix(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) { m.run(t, f) })
	}
	t.Run(permissionLost, m.asNobody)
	for row := range strings.Lines(m.table()) {
		t.Attr("matrix", strings.TrimSuffix(row, "\n"))
	}
}

type matrix struct {
	rig   *testrig.Libvirt
	uri   string
	pool  string // its directory: a small file system of its own
	lock  string
	cells map[string]map[string]string // by fault and verb
}

// newMatrix starts a libvirtd with a second bridge, and a pool "small" of its own
// file system, which can be filled.
func newMatrix(t *testing.T) *matrix {
	t.Helper()
	rig, _ := testrig.Start(t)
	m := &matrix{rig: rig, uri: rig.URI, pool: filepath.Join(rig.Dir, "small"), lock: t.TempDir(), cells: map[string]map[string]string{}}
	disk := filepath.Join(t.TempDir(), "small.ext4")
	require.NoError(t, os.Mkdir(m.pool, 0o700))
	require.NoError(t, os.WriteFile(disk, nil, 0o600))
	require.NoError(t, os.Truncate(disk, 64<<20))
	m.inside(t, "mkfs.ext4", "-q", "-F", disk)
	m.inside(t, "mount", "-o", "loop", disk, m.pool)
	m.virsh(t, "pool-define-as", "small", "dir", "--target", m.pool)
	m.virsh(t, "pool-start", "small")
	m.importHalt(t, m.open(t, 0, nil), "halt")
	return m
}

func (m *matrix) inside(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := m.rig.Inside(context.WithoutCancel(tb.Context()), name, args...)
	require.NoError(tb, err)
	return out
}

func (m *matrix) virsh(tb testing.TB, args ...string) {
	tb.Helper()
	_, err := m.rig.Virsh(context.WithoutCancel(tb.Context()), args...)
	require.NoError(tb, err)
}

func (m *matrix) backend(timeout time.Duration) *kvm.Backend {
	return kvm.New(&kvm.Options{URI: m.uri, Pool: "small", Emulation: kvm.EmulateAlways, Timeout: timeout})
}

func (m *matrix) open(tb testing.TB, timeout time.Duration, around func(context.Context, provision.Call, func(context.Context) error) error) *provision.Host {
	tb.Helper()
	h, err := provision.Open(tb.Context(), m.backend(timeout), &provision.Options{LockDir: m.lock, Around: around, UndoTimeout: 10 * time.Second})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Close()) })
	return h
}

func (m *matrix) importHalt(tb testing.TB, h *provision.Host, name string) {
	tb.Helper()
	_, err := h.ImportImage(tb.Context(), name, bytes.NewReader(kvmrig.HaltImage()), &provision.ImportOptions{Format: "raw"})
	require.NoError(tb, err)
}

// wired is a guest with a NIC.
func wired(name string) provision.Spec {
	s := kvmrig.HaltSpec(name)
	s.NICs = []provision.NIC{{Bridge: "br0"}}
	return s
}

// leftovers are the domains, QEMU processes and files of the pool.
func (m *matrix) leftovers(tb testing.TB) []string {
	tb.Helper()
	domains, err := m.rig.Virsh(context.WithoutCancel(tb.Context()), "list", "--all", "--name")
	require.NoError(tb, err)
	guests, err := m.rig.Guests()
	require.NoError(tb, err)
	list := slices.Concat(strings.Fields(domains), guests, strings.Fields(m.inside(tb, "ls", m.pool)))
	slices.Sort(list)
	return list
}

// run is one column of the matrix.
func (m *matrix) run(t *testing.T, f fault) {
	m.clean(t, m.open(t, 0, nil)) // of a column that failed
	before := m.leftovers(t)
	var striking atomic.Bool
	var strike func()
	h := m.open(t, f.timeout, func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
		if striking.CompareAndSwap(true, false) {
			strike()
		}
		return next(ctx)
	})
	verbs := matrixVerbs()
	patient := m.open(t, 0, nil)
	for _, v := range verbs {
		m.prepare(t, patient, v)
	}
	var end func()
	if f.begin != nil {
		end = f.begin(t, m)
	}
	cells := make([]string, len(verbs))
	var wg sync.WaitGroup
	for i, v := range verbs {
		if f.timeout != 0 { // all of them wait for it
			wg.Go(func() { cells[i] = outcome(v.do(t.Context(), m, h, v.guest())) })
			continue
		}
		if f.during != nil {
			strike = func() { f.during(t, m, v) }
			striking.Store(true)
		}
		cells[i] = outcome(v.do(t.Context(), m, h, v.guest()))
		if f.during != nil {
			require.NoError(t, m.rig.Restart(t.Context()))
		}
	}
	kvmrig.Within(t, 2*time.Minute, wg.Wait)
	if end != nil {
		end()
	}
	m.cells[f.name] = map[string]string{}
	for i, v := range verbs {
		m.cells[f.name][v.name] = cells[i]
		cell, _, _ := strings.Cut(cells[i], ":")
		require.Contains(t, f.expect(v.name), cell, "%s, while: %s: %s", v.name, f.name, cells[i])
	}
	for _, v := range verbs {
		if !f.lasting(v.name) {
			require.Equal(t, "done", outcome(v.do(t.Context(), m, patient, v.guest())), "%s, after: %s", v.name, f.name)
		}
	}
	m.clean(t, patient)
	require.Equal(t, before, m.leftovers(t), "left behind")
}

// prepare makes the guest that a verb is for.
func (m *matrix) prepare(t *testing.T, h *provision.Host, v matrixVerb) {
	t.Helper()
	ctx := t.Context()
	if v.from == provision.StateAbsent {
		return
	}
	s := kvmrig.HaltSpec(v.guest())
	if v.name == "start" {
		s = wired(v.guest())
	}
	g, err := h.Create(ctx, s, nil)
	require.NoError(t, err)
	if v.from != provision.StateStopped {
		require.NoError(t, g.Start(ctx, nil))
	}
	if v.from == provision.StatePaused {
		require.NoError(t, g.Pause(ctx))
	}
	if v.name == "unsuspend" {
		_, err := g.Suspend(ctx, "payment", &provision.StopOptions{Force: true})
		require.NoError(t, err)
	}
}

// clean removes what the verbs leave when they succeed.
func (m *matrix) clean(t *testing.T, h *provision.Host) {
	t.Helper()
	ctx := t.Context()
	for st, err := range h.Guests(ctx, nil) {
		require.NoError(t, err)
		g, err := h.GuestByID(ctx, st.ID)
		require.NoError(t, err)
		require.NoError(t, g.Delete(ctx, &provision.DeleteOptions{Force: true}))
	}
	images, err := h.Images(ctx)
	require.NoError(t, err)
	for _, img := range images {
		if img.Name != "halt" {
			require.NoError(t, h.RemoveImage(ctx, img.Name))
		}
	}
}

// outcome names the sentinel of an error.
func outcome(err error) string {
	if err == nil {
		return "done"
	}
	for _, e := range []struct {
		is   error
		name string
	}{
		{fs.ErrPermission, "ErrPermission"}, {provision.ErrUnavailable, "ErrUnavailable"}, {provision.ErrNotFound, "ErrNotFound"},
		{provision.ErrExists, "ErrExists"}, {provision.ErrSuspended, "ErrSuspended"}, {provision.ErrState, "ErrState"},
		{provision.ErrBusy, "ErrBusy"}, {provision.ErrConflict, "ErrConflict"}, {provision.ErrInvalid, "ErrInvalid"},
		{errors.ErrUnsupported, "ErrUnsupported"}, {syscall.ENOSPC, "ENOSPC"},
	} {
		if errors.Is(err, e.is) {
			return e.name
		}
	}
	return failed + err.Error()
}

// failed begins the outcome of an error without a sentinel: the cause is in its
// words, and in libvirt's own error.
const failed = "failed: "

// table prints the cells, a verb in each row.
func (m *matrix) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	columns := []string{}
	for _, f := range faults() {
		columns = append(columns, f.name)
	}
	columns = append(columns, permissionLost)
	fmt.Fprint(w, "verb\t", strings.Join(columns, "\t"))
	fmt.Fprintln(w)
	for _, v := range matrixVerbs() {
		fmt.Fprint(w, v.name)
		for _, column := range columns {
			cell, _, _ := strings.Cut(m.cells[column][v.name], ":")
			fmt.Fprint(w, "\t", cell)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}

// signalGuest sends a signal to the QEMU of a guest, if it has one.
func (m *matrix) signalGuest(tb testing.TB, name string, sig syscall.Signal) {
	tb.Helper()
	pid, err := m.rig.GuestPID(name)
	if errors.Is(err, os.ErrProcessDone) {
		return
	}
	require.NoError(tb, err)
	require.NoError(tb, syscall.Kill(pid, sig))
}
