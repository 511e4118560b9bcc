//go:build linux

package kvm_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// foreign defines a domain by virsh.
func foreign(t *testing.T, rig *testrig.Libvirt, name string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "foreign.xml")
	writeFile(t, file, fmt.Sprintf(`<domain type='qemu'><name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>`+
		`<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`, name))
	virsh(t, rig, "define", file)
}

func virsh(t *testing.T, rig *testrig.Libvirt, args ...string) {
	t.Helper()
	_, err := rig.Virsh(t.Context(), args...)
	require.NoError(t, err)
}

// watching returns the events of a backend, by a function that waits for one.
// Those that it passes over it finds later.
func watching(t *testing.T, h *provision.Host) (until func(provision.EventType, string, provision.State) provision.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	next, stop := iter.Pull2(h.Events(ctx, nil))
	t.Cleanup(func() { cancel(); stop() })
	e, err, ok := next()
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, provision.EventReady, e.Type)
	var passed []provision.Event
	return func(typ provision.EventType, name string, st provision.State) provision.Event {
		t.Helper()
		wanted := func(e provision.Event) bool { return e.Type == typ && e.Name == name && e.State == st }
		if i := slices.IndexFunc(passed, wanted); i >= 0 {
			e := passed[i]
			passed = slices.Delete(passed, i, i+1)
			return e
		}
		for {
			e, err, _ := next()
			require.NoError(t, err, "waiting for %s of %s, %s, among %v", typ, name, st, passed)
			require.NotEqual(t, provision.EventLost, e.Type)
			require.NotEmpty(t, e.ID)
			require.False(t, e.Time.IsZero())
			if wanted(e) {
				return e
			}
			passed = append(passed, e)
		}
	}
}

func openWith(t *testing.T, b *kvm.Backend) *provision.Host {
	t.Helper()
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// TestWatch: guests of other tools, transient ones and ours, without polling.
func TestWatch(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	require.NoError(t, h.Supports(provision.FeatureWatch))
	until := watching(t, h)
	foreign(t, rig, "stranger")
	until(provision.EventCreated, "stranger", provision.StateStopped)
	virsh(t, rig, "desc", "stranger", "--config", "changed")
	until(provision.EventChanged, "stranger", provision.StateStopped)
	virsh(t, rig, "start", "stranger")
	until(provision.EventState, "stranger", provision.StateRunning)
	virsh(t, rig, "suspend", "stranger")
	e := until(provision.EventState, "stranger", provision.StatePaused)
	require.Equal(t, "by a user", e.Reason)
	virsh(t, rig, "resume", "stranger")
	until(provision.EventState, "stranger", provision.StateRunning)
	virsh(t, rig, "destroy", "stranger")
	until(provision.EventState, "stranger", provision.StateStopped)
	virsh(t, rig, "start", "stranger")
	until(provision.EventState, "stranger", provision.StateRunning)
	pid, err := rig.GuestPID("stranger")
	require.NoError(t, err)
	kill(t, pid)
	e = until(provision.EventState, "stranger", provision.StateCrashed)
	require.NotEmpty(t, e.Reason)
	virsh(t, rig, "undefine", "stranger")
	until(provision.EventDeleted, "stranger", provision.StateAbsent)

	file := filepath.Join(t.TempDir(), "transient.xml")
	writeFile(t, file, `<domain type='qemu'><name>brief</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`)
	virsh(t, rig, "create", file)
	until(provision.EventCreated, "brief", provision.StateRunning)
	virsh(t, rig, "destroy", "brief")
	until(provision.EventState, "brief", provision.StateStopped)
	until(provision.EventDeleted, "brief", provision.StateAbsent)

	g, err := h.Create(t.Context(), tinySpec("ours"), nil)
	require.NoError(t, err)
	require.Equal(t, g.ID(), until(provision.EventCreated, "ours", provision.StateStopped).ID)
	require.NoError(t, g.SetLabels(t.Context(), map[string]string{"a": "b"}))
	until(provision.EventChanged, "ours", provision.StateStopped)
	require.NoError(t, g.Delete(t.Context(), nil))
	until(provision.EventDeleted, "ours", provision.StateAbsent)
}

// TestHazard06And10Resync: the connection is lost and cannot be made for a
// while. What changed meanwhile is told, and then events come again.
func TestHazard06And10Resync(t *testing.T) {
	rig := startRig(t)
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	foreign(t, rig, "going")
	foreign(t, rig, "staying")
	until := watching(t, openWith(t, newBackend(p.URI)))
	p.set(func() { p.down = true })
	p.cut()
	virsh(t, rig, "undefine", "going")
	foreign(t, rig, "coming")
	virsh(t, rig, "autostart", "staying")
	p.set(func() { p.down = false })
	until(provision.EventDeleted, "going", provision.StateAbsent)
	until(provision.EventCreated, "coming", provision.StateStopped)
	until(provision.EventChanged, "staying", provision.StateStopped)
	virsh(t, rig, "undefine", "coming")
	until(provision.EventDeleted, "coming", provision.StateAbsent)

	require.NoError(t, rig.Restart(t.Context()))
	foreign(t, rig, "later")
	until(provision.EventCreated, "later", provision.StateStopped)
	virsh(t, rig, "undefine", "later")
	until(provision.EventDeleted, "later", provision.StateAbsent)
}

// TestHazard11SilentDaemon: no events come. The changes are told all the same,
// and the subscription is made anew.
func TestHazard11SilentDaemon(t *testing.T) {
	rig := startRig(t)
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	b := newBackend(p.URI)
	b.SetReconcile(100 * time.Millisecond)
	h := openWith(t, b)
	foreign(t, rig, "quiet")
	p.set(func() { p.deafTo = true })
	until := watching(t, h)
	before := p.count(procSubscribe)
	virsh(t, rig, "start", "quiet")
	until(provision.EventState, "quiet", provision.StateRunning)
	virsh(t, rig, "destroy", "quiet")
	until(provision.EventState, "quiet", provision.StateStopped)
	require.Eventually(t, func() bool { return p.count(procSubscribe) >= before+2 }, 20*time.Second, 10*time.Millisecond)
	p.set(func() { p.deafTo = false })
	virsh(t, rig, "autostart", "quiet")
	until(provision.EventChanged, "quiet", provision.StateStopped)
	virsh(t, rig, "undefine", "quiet")
	until(provision.EventDeleted, "quiet", provision.StateAbsent)
}

// TestHazard08And09OneSubscription: many lists and watchers, of which some leave
// in the middle, have one subscription of each kind, and none ends before Close.
func TestHazard08And09OneSubscription(t *testing.T) {
	rig, _ := testrig.Start(t)
	p := startProxy(t, "test+unix:///default", rig.Socket)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := kvm.New(&kvm.Options{URI: p.URI})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	for range 50 {
		for e, err := range h.Events(t.Context(), nil) {
			require.NoError(t, err)
			require.Equal(t, provision.EventReady, e.Type)
			break
		}
		for _, err := range h.Guests(t.Context(), nil) {
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2, p.count(procSubscribe))
	next, stop := iter.Pull2(h.Events(t.Context(), nil))
	_, err, _ = next()
	require.NoError(t, err)
	go func() {
		time.Sleep(20 * time.Millisecond)
		_ = h.Close()
	}()
	_, err, _ = next()
	require.ErrorIs(t, err, fs.ErrClosed)
	stop()
	require.NoError(t, h.Close())
	require.Equal(t, 2, p.count(procSubscribe))
	p.cut()
}

// TestEventsAreNotLost: a thousand guests are made and removed while one watcher
// reads and another one sleeps. Each event is had, or counted as lost.
func TestEventsAreNotLost(t *testing.T) {
	rig, _ := testrig.Start(t)
	l := defineMany(t, rig.Socket, 0)
	h := openWith(t, kvm.New(&kvm.Options{URI: "test+unix:///default?socket=" + rig.Socket}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	asleep, stop := iter.Pull2(h.Events(ctx, nil))
	defer stop()
	e, err, _ := asleep()
	require.NoError(t, err)
	require.Equal(t, provision.EventReady, e.Type)

	const many = 1000
	quick := make(chan map[provision.EventType]int)
	ready := make(chan struct{})
	go func() {
		n := map[provision.EventType]int{}
		for e, err := range h.Events(ctx, nil) {
			if err != nil {
				break
			}
			if e.Type == provision.EventReady {
				close(ready)
			}
			if n[e.Type]++; n[provision.EventDeleted] == many {
				break
			}
		}
		quick <- n
	}()
	<-ready
	begin := time.Now()
	for i := range many {
		d, err := l.DomainDefineXML(fmt.Sprintf(`<domain type='test'><name>d%d</name><uuid>%s</uuid><memory>8192</memory><vcpu>1</vcpu>`+
			`<os><type>hvm</type></os></domain>`, i, uuid.NewString()))
		require.NoError(t, err)
		require.NoError(t, l.DomainUndefine(d))
	}
	n := <-quick
	t.Logf("%d events in %s", 2*many, time.Since(begin).Round(time.Millisecond))
	require.Equal(t, map[provision.EventType]int{provision.EventReady: 1, provision.EventCreated: many, provision.EventDeleted: many}, n)

	had, lost := 0, 0
	for lost == 0 {
		e, err, _ := asleep()
		require.NoError(t, err)
		if e.Type == provision.EventLost {
			lost = e.Count
		} else {
			had++
		}
	}
	require.Equal(t, 2*many, had+lost)
}

// TestWatchWithoutDaemon: who begins to watch is told that there is nobody.
func TestWatchWithoutDaemon(t *testing.T) {
	rig, _ := testrig.Start(t)
	h := openWith(t, newBackend(rig.URI))
	require.NoError(t, rig.Stop())
	for _, err := range h.Events(t.Context(), nil) {
		require.ErrorIs(t, err, provision.ErrUnavailable)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

// TestFrozenDaemonAndWatch: a daemon that hangs is left, waited for, and what
// changed when it comes back is told. Close does not wait for it.
func TestFrozenDaemonAndWatch(t *testing.T) {
	rig, _ := testrig.Start(t)
	_, err := rig.Virsh(t.Context(), "capabilities") // it has asked QEMU by then, which may take more than a second
	require.NoError(t, err)
	before := goleak.IgnoreCurrent()
	b := kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: time.Second})
	b.SetReconcile(100 * time.Millisecond)
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	next, stop := iter.Pull2(h.Events(ctx, nil))
	_, err, _ = next()
	require.NoError(t, err)
	require.NoError(t, rig.Freeze())
	time.Sleep(7 * time.Second) // the connection for events is given up after five
	require.NoError(t, rig.Thaw())
	foreign(t, rig, "after")
	for e := (provision.Event{}); e.Name != "after"; {
		e, err, _ = next()
		require.NoError(t, err)
	}
	require.NoError(t, rig.Freeze())
	within(t, 5*time.Second, func() { require.NoError(t, h.Close()) })
	_, err, _ = next()
	require.ErrorIs(t, err, fs.ErrClosed)
	stop()
	cancel()
	goleak.VerifyNone(t, before)
	require.NoError(t, rig.Thaw())
}

// TestCloseWhileSubscribing: a Backend that is closed at any moment of its
// subscription is closed soon. The RPC library leaves the channel open of one that
// libvirtd confirmed just before the connection ended.
func TestCloseWhileSubscribing(t *testing.T) {
	rig := startRig(t)
	for i := range 300 {
		h, err := provision.Open(t.Context(), newBackend(rig.URI), &provision.Options{LockDir: t.TempDir()})
		require.NoError(t, err)
		for range 2 { // the second List begins to subscribe
			for _, err := range h.Guests(t.Context(), nil) {
				require.NoError(t, err)
			}
		}
		time.Sleep(time.Duration(i%60) * 50 * time.Microsecond)
		within(t, 20*time.Second, func() { require.NoError(t, h.Close()) })
	}
}
