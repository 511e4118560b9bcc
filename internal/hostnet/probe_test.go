//go:build linux

package hostnet

import (
	"errors"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/guestforge/provision/internal/frames"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	got, err := Probe(t.Context(), "/bin/sh")
	require.NoError(t, err)
	require.NoError(t, got.Bridge)
	require.NoError(t, got.Isolated)
	require.NoError(t, got.Rules)
	require.NoError(t, got.In)
	require.NoError(t, got.Out)
	if _, err := os.Stat("/proc/net/vlan"); err == nil {
		require.NoError(t, got.VLAN)
	} else {
		require.Error(t, got.VLAN, "without VLAN_8021Q bridges do not filter")
	}
	list, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range list {
		require.NotContains(t, i.Name, "hostnet")
	}

	got, err = Probe(t.Context(), "/nonexistent/sh")
	require.NoError(t, err)
	require.ErrorContains(t, got.Rules, "/nonexistent/sh")
}

func TestBridge(t *testing.T) {
	inLab(t, func(l *lab) {
		require.NoError(t, netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "other"}}))
		s := l.read()
		br, err := s.Bridge("br0")
		require.NoError(t, err)
		require.Equal(t, "bridge", br.Kind)
		require.True(t, br.Up)
		require.Equal(t, 1500, br.MTU)
		require.False(t, br.VLANFiltering)
		_, err = s.Bridge("br7")
		require.ErrorIs(t, err, ErrNoBridge)
		_, err = s.Bridge("other")
		require.ErrorIs(t, err, ErrNotBridge)
		s.links["ovs"] = &Link{Name: "ovs", Kind: "openvswitch"}
		_, err = s.Bridge("ovs")
		require.ErrorIs(t, err, ErrNotBridge)
		require.ErrorContains(t, err, "Open vSwitch")
	})
}

func TestLeftovers(t *testing.T) {
	inLab(t, func(l *lab) {
		a, b := nicCases()["everything"], nicCases()["out"]
		for _, n := range []*NIC{&a, &b} {
			l.plug(n.Device(), n.MAC)
			l.upNIC(n)
		}
		l.plug("pv-of-others", frames.NeighbourMAC)
		s := l.read()
		left, err := s.Leftovers([]string{a.Guest})
		require.NoError(t, err)
		require.Equal(t, Leftovers{Devices: []string{b.shaper(), b.Device()}, Tables: []string{Table(b.Guest)}}, left)
		left, err = s.Leftovers([]string{a.Guest, b.Guest})
		require.NoError(t, err)
		require.Zero(t, left)

		s.noRules = errors.New("no such thing")
		_, err = s.Leftovers(nil)
		require.ErrorIs(t, err, s.noRules)
		require.Equal(t, "the kernel does not tell: no such thing", s.lacksRules(&a))
	})
}
