//go:build linux

package hostnet

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/frames"
)

// TestSpoofing sends each frame from a guest, and sees at another one which arrive.
func TestSpoofing(t *testing.T) {
	dual := frames.Own
	for _, c := range []struct {
		name, kind string
		nic        NIC
	}{
		{"both families", "d", NIC{AntiSpoof: true, Addresses: dual}},
		{"both families and a limit", "d", NIC{AntiSpoof: true, Addresses: dual, Out: 1_000_000_000}},
		{"IPv4", "4", NIC{AntiSpoof: true, Addresses: dual[:2]}},
		{"IPv6", "6", NIC{AntiSpoof: true, Addresses: dual[2:]}},
		{"no addresses", "m", NIC{AntiSpoof: true}},
		{"no addresses and a limit", "m", NIC{AntiSpoof: true, Out: 1_000_000_000}},
		{"off", "o", NIC{Addresses: dual}},
		{"off, with a limit", "o", NIC{Addresses: dual, Out: 1_000_000_000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				frames.OneCPU(t)
				n := c.nic
				n.Guest, n.Bridge, n.MAC = "spoof", "br0", [6]byte{0x52, 0x54, 0, 1, 2, 3}
				from, to := l.plug(n.Device(), n.MAC), l.plug("neighbour", frames.NeighbourMAC)
				l.upNIC(&n)
				require.Empty(t, frames.SpoofDiff(l.wire(from), l.wire(to), c.kind, n.MAC))
			})
		})
	}
}

// Linux makes the link-local address from the MAC as linkLocal does.
func TestLinkLocal(t *testing.T) {
	n := NIC{MAC: [6]byte{0x52, 0x54, 0, 1, 2, 3}}
	require.Equal(t, netip.MustParseAddr("fe80::5054:ff:fe01:203"), n.linkLocal())
}
