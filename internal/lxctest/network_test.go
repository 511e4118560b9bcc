//go:build linux

package lxctest_test

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/frames"
	"github.com/guestforge/provision/internal/lxcrig"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func requireAddress(t *testing.T, st provision.Status, want netip.Prefix) {
	t.Helper()
	require.Contains(t, st.Addresses, want)
}

// onThread runs f on a thread of its own, which ends with it.
func onThread(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // which must not end
			defer runtime.UnlockOSThread()
			onThread(t, f)
			return
		}
		f()
	}()
	<-done
	if t.Failed() {
		t.FailNow()
	}
}

// wire listens at eth0 of a guest, in the guest's own network namespace.
func (m *machine) wire(g *provision.Guest) *frames.Wire {
	m.t.Helper()
	var w *frames.Wire
	onThread(m.t, func() {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.first(g)))
		require.NoError(m.t, err)
		defer ns.Close()
		require.NoError(m.t, unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET))
		w = frames.Listen(m.t)
	})
	return w
}

// TestSpoofing sends frames of all kinds from inside of a guest: what it may not send
// does not arrive at another guest, and what it may does. A guest whose filter is off
// shows that each of them would arrive.
func TestSpoofing(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	s := lxcrig.Spec("neighbour")
	s.NICs[0].MAC = frames.NeighbourMAC
	to := m.wire(m.start(s))
	for _, c := range []struct {
		name, kind string
		nic        provision.NIC
	}{
		{"both-families", "d", provision.NIC{Addresses: frames.Own}},
		{"ipv4", "4", provision.NIC{Addresses: frames.Own[:2]}},
		{"no-addresses", "m", provision.NIC{}},
		{"limited", "d", provision.NIC{Addresses: frames.Own, Rate: provision.Rate{Out: provision.Gbit}}},
		{"off", "o", provision.NIC{Addresses: frames.Own, AntiSpoof: provision.Off}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{m.Host, t, m.path}
			s := lxcrig.Spec(c.name)
			c.nic.Bridge, c.nic.MAC = lxcrig.Bridge, provision.MAC{0x52, 0x54, 0, 1, 2, 3}
			s.NICs[0] = c.nic
			g := m.start(s)
			from := m.wire(g)
			onThread(t, func() {
				frames.OneCPU(t)
				require.Empty(t, frames.SpoofDiff(from, to, c.kind, c.nic.MAC))
			})
			require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
		})
	}
	m.clean(before)
}
