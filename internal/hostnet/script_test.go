//go:build linux

package hostnet

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/guestforge/provision/internal/frames"
)

// All NICs, set up for real: twice is as once, the kernel has everything that is
// asked, and afterwards nothing is left.
func TestUpAndDown(t *testing.T) {
	for name, n := range nicCases() {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				before := l.dump()
				l.plug(n.Device(), n.MAC)
				l.upNIC(&n)
				once := l.dump()
				l.upNIC(&n)
				require.Equal(t, once, l.dump())

				for _, f := range l.read().Enforced(&n) {
					want := Enforced
					if f.Name == "antiSpoof" && len(n.Addresses) == 0 {
						want = Partial
					}
					require.Equal(t, want, f.Enforcement, "%+v", f)
					require.Equal(t, f.Want, f.Have, "%+v", f)
				}

				l.run(Down(&n))
				require.Equal(t, before, l.dump())
				l.run(Down(&n))
				left, err := l.read().Leftovers(nil)
				require.NoError(t, err)
				require.Zero(t, left)
			})
		})
	}
}

// A guest reboots itself: its port goes, and another one of that name comes, without
// rules and rates until the hook has run.
func TestPortComesBack(t *testing.T) {
	inLab(t, func(l *lab) {
		frames.OneCPU(t)
		n := nicCases()["everything"]
		n.Addresses = append(n.Addresses, prefixes("192.0.2.11/24")...)
		n.Isolated = false
		to := l.wire(l.plug("neighbour", frames.NeighbourMAC))
		for range 3 {
			ns := l.plug(n.Device(), n.MAC)
			l.upNIC(&n)
			for _, f := range l.read().Enforced(&n) {
				require.Equal(t, Enforced, f.Enforcement, "%+v", f)
			}
			require.Empty(t, frames.SpoofDiff(l.wire(ns), to, "d", n.MAC))
			port, err := netlink.LinkByName(n.Device())
			require.NoError(t, err)
			require.NoError(t, netlink.LinkDel(port))
			for _, f := range l.read().Enforced(&n) {
				require.Equal(t, NotEnforced, f.Enforcement)
				require.Equal(t, noPort, f.Reason)
			}
		}
	})
}

// The NIC was changed while the guest runs: what it had before goes.
func TestUpReplaces(t *testing.T) {
	inLab(t, func(l *lab) {
		n := nicCases()["everything"]
		plain := NIC{Guest: n.Guest, Index: n.Index, Bridge: n.Bridge, MAC: n.MAC, MTU: 1500}
		l.plug(n.Device(), n.MAC)
		l.upNIC(&plain)
		before := l.dump()
		l.upNIC(&n)
		faster := n
		faster.In, faster.Out, faster.Addresses = 2*n.In, 2*n.Out, n.Addresses[:1]
		l.upNIC(&faster)
		for _, f := range l.read().Enforced(&faster) {
			require.Equal(t, Enforced, f.Enforcement, "%+v", f)
		}
		l.upNIC(&plain)
		require.NoError(t, exec.Command("nft", "delete", "table", "netdev", Table(n.Guest)).Run(), "an empty one is left until the guest goes")
		require.Equal(t, before, l.dump())
	})
}

// Two NICs of one guest share a table.
func TestTwoNICs(t *testing.T) {
	inLab(t, func(l *lab) {
		a := nicCases()["dual"]
		b := nicCases()["out-filtered"]
		b.Guest, b.Index = a.Guest, 1
		before := l.dump()
		l.plug(a.Device(), a.MAC)
		l.plug(b.Device(), b.MAC)
		l.upNIC(&a)
		l.upNIC(&b)
		l.upNIC(&a)
		s := l.read()
		for _, f := range append(s.Enforced(&a), s.Enforced(&b)...) {
			require.Equal(t, Enforced, f.Enforcement, "%+v", f)
		}
		l.run(Down(&a, &b))
		require.Equal(t, before, l.dump())
	})
}

// Whatever fails, the hook fails, and says of which NIC.
func TestUpFails(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*NIC)
		prepare string
		says    string
	}{
		"no port":        {func(n *NIC) { n.MTU = 1400 }, "ip link delete dev $DEV", "it cannot be plugged into the bridge with its MTU"},
		"no bridge":      {func(n *NIC) { n.Bridge = "br7" }, "", "it cannot be plugged into the bridge"},
		"bridge is none": {func(n *NIC) { n.Bridge = "lo" }, "", "it cannot be plugged into the bridge"},
		"VLAN":           {func(n *NIC) { n.VLAN = 42 }, "", "the bridge does not filter VLANs"},
		"no nft":         {func(n *NIC) { n.AntiSpoof = true }, "PATH=/none:$PATH; command() { [ \"$2\" != nft ]; }", "the command nft is not installed"},
		"rules":          {func(n *NIC) { n.AntiSpoof = true }, "nft() { cat >/dev/null; return 1; }", "its rules cannot be set"},
		"in":             {func(n *NIC) { n.In = 1_000_000 }, "tc() { return 1; }", "the limit of what it receives cannot be set"},
		"out":            {func(n *NIC) { n.Out = 1_000_000 }, "tc() { return 1; }", "the limit of what it sends cannot be set"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				n := NIC{Guest: "fails", Bridge: "br0", MAC: testMAC}
				l.plug(n.Device(), n.MAC)
				c.change(&n)
				text, err := n.Up()
				require.NoError(t, err)
				said, err := l.sh(strings.ReplaceAll(c.prepare, "$DEV", n.Device()) + "\n" + text + "echo went on\n")
				var failed *exec.ExitError
				require.ErrorAs(t, err, &failed, said)
				require.Equal(t, 1, failed.ExitCode())
				require.Contains(t, said, "provision: NIC 0 ("+n.Device()+", bridge "+n.Bridge+"): ")
				require.Contains(t, said, c.says)
				require.NotContains(t, said, "went on")
			})
		})
	}
}

// Two isolated guests do not reach each other, and both reach what is not isolated.
func TestIsolation(t *testing.T) {
	inLab(t, func(l *lab) {
		frames.OneCPU(t)
		var wires []*frames.Wire
		for i, isolated := range []bool{true, true, false} {
			n := NIC{Guest: "isolation", Index: i, Bridge: "br0", MAC: [6]byte{2, 0, 0, 0, 0, byte(i + 1)}, Isolated: isolated}
			wires = append(wires, l.wire(l.plug(n.Device(), n.MAC)))
			l.upNIC(&n)
		}
		frame := func(from int) []byte {
			return frames.Unknown([6]byte{2, 0, 0, 0, 0, byte(from + 1)}, 48)
		}
		for i, w := range wires[:2] {
			w.Reach(wires[2], frame(i))
			wires[2].Reach(w, frame(2))
		}
		wires[0].Send(frame(0), 1)
		wires[1].Send(frame(1), 2)
		wires[2].Send(frame(2), 3)
		require.NotContains(t, wires[0].Until(3), 2)
		require.NotContains(t, wires[1].Until(3), 1)
		wires[0].Send(frame(0), 4)
		got := wires[2].Until(4)
		require.Contains(t, got, 1)
		require.Contains(t, got, 2)
	})
}
