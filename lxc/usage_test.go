//go:build linux

package lxc_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

func TestUsage(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	s := lxcrig.Spec("a")
	s.NICs[0].Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}
	g := started(t, h, s)
	said(t, g, provision.ExecOptions{}, "sh", "-c", "dd if=/dev/urandom of=/root/big bs=1M count=3 2>/dev/null; sync; ping -c 2 -W 1 192.0.2.1 >/dev/null; ip addr add 198.51.100.9/24 dev eth0")
	u, err := g.Usage(t.Context())
	require.NoError(t, err)
	require.Empty(t, u.Unread)
	require.Greater(t, u.Memory.Host, 3*provision.MiB)
	require.Less(t, u.Memory.Guest, u.Memory.Host, "without the cache")
	require.Greater(t, u.CPU, time.Millisecond)
	require.GreaterOrEqual(t, u.Disks[0].Allocated, 3*provision.MiB)
	require.NotZero(t, u.NICs[0].PacketsOut, "as the guest sees it")
	require.Equal(t, lxcrig.Bridge, mustStatus(t, g).NICs[0].Bridge)

	list, err := g.Addresses(t.Context())
	require.NoError(t, err)
	require.Contains(t, list.Found, provision.Address{Address: netip.MustParsePrefix("198.51.100.9/24"), MAC: u.NICs[0].MAC, Source: provision.SourceAgent})
	_, err = g.Wait(t.Context(), provision.UntilAddress(provision.SourceAgent))
	require.NoError(t, err)

	// The kernel counts anew when the guest reboots itself.
	_, _ = g.Exec(t.Context(), []string{"busybox", "reboot", "-f"}, nil) // it may die with the guest
	require.Eventually(t, func() bool {
		again, err := g.Usage(t.Context())
		return err == nil && again.Live() && again.Run != u.Run
	}, 10*time.Second, 20*time.Millisecond)

	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	list, err = g.Addresses(t.Context())
	require.NoError(t, err)
	require.Len(t, list.Found, 1, "only the configured one")
}

func mustStatus(t *testing.T, g *provision.Guest) provision.Status {
	t.Helper()
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	return st
}

// TestUsageOfImage: what an image file takes up is known without counting its files.
func TestUsageOfImage(t *testing.T) {
	h := lxcrig.Open(t, lxcrig.Machine(t))
	s := lxcrig.Spec("a")
	s.Native = &lxc.Native{Root: lxc.RootImage}
	s.Disks = []provision.Disk{{Size: 64 * provision.MiB}}
	g := started(t, h, s)
	for st, err := range h.Guests(t.Context(), &provision.ListOptions{Usage: true}) {
		require.NoError(t, err)
		require.Equal(t, g.ID(), st.ID)
		require.True(t, st.Usage.Known("disks[0].allocated"))
		require.NotZero(t, st.Usage.Disks[0].Allocated)
		require.Less(t, st.Usage.Disks[0].Allocated, 64*provision.MiB, "it is sparse")
	}
}

// BenchmarkUsage reads a list of guests.
func BenchmarkUsage(b *testing.B) {
	const guests = 200
	path := lxcrig.Machine(b)
	h := lxcrig.Open(b, path)
	for i := range guests {
		g, err := h.Create(b.Context(), lxcrig.Spec(fmt.Sprintf("g%d", i)), nil)
		require.NoError(b, err)
		require.NoError(b, g.Start(b.Context(), nil))
	}
	backend := lxcrig.New(path)
	_, err := backend.Probe(b.Context())
	require.NoError(b, err)
	var reader provision.StatsReader = backend
	for b.Loop() {
		all, err := reader.Usage(b.Context(), nil)
		require.NoError(b, err)
		require.Len(b, all, guests)
	}
}
