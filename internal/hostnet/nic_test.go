package hostnet

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/golden"
)

func TestGoldenScripts(t *testing.T) {
	cases := nicCases()
	tagged := cases["ipv4"]
	tagged.VLAN = 42
	cases["vlan"] = tagged
	for name, n := range cases {
		t.Run(name, func(t *testing.T) {
			up, err := n.Up()
			require.NoError(t, err)
			down, err := Down(&n)
			require.NoError(t, err)
			golden.Check(t, name+".sh", "# up\n"+up+"\n# down\n"+down)
		})
	}
}

func TestNames(t *testing.T) {
	require.Len(t, Device("a guest", MaxNICs-1), 15)
	require.Equal(t, shaper("a guest", 3)[2:], Device("a guest", 3)[2:])
	require.True(t, strings.HasPrefix(Table("a guest"), tablePrefix+digest("a guest", 10)))
	require.Regexp(t, ours, Device("a guest", 0))
	require.Regexp(t, ours, shaper("a guest", 99))
	require.Regexp(t, ourTable, Table("a guest"))
}

// No text but names gets into a fragment: what is not one is refused.
func TestCheck(t *testing.T) {
	good := NIC{Guest: "id", Bridge: "br0", MAC: testMAC}
	require.NoError(t, good.Check())
	for name, change := range map[string]func(*NIC){
		"no guest":             func(n *NIC) { n.Guest = "" },
		"negative index":       func(n *NIC) { n.Index = -1 },
		"index too large":      func(n *NIC) { n.Index = MaxNICs },
		"no bridge":            func(n *NIC) { n.Bridge = "" },
		"bridge with command":  func(n *NIC) { n.Bridge = "br0;reboot" },
		"bridge with newline":  func(n *NIC) { n.Bridge = "br0\n" },
		"bridge with quote":    func(n *NIC) { n.Bridge = "br0'" },
		"bridge as option":     func(n *NIC) { n.Bridge = "-br0" },
		"bridge with slash":    func(n *NIC) { n.Bridge = "../br0" },
		"bridge too long":      func(n *NIC) { n.Bridge = "b123456789012345" },
		"bridge is a NIC":      func(n *NIC) { n.Bridge = Device("other", 0) },
		"negative VLAN":        func(n *NIC) { n.VLAN = -1 },
		"VLAN too large":       func(n *NIC) { n.VLAN = 4095 },
		"no MAC":               func(n *NIC) { n.MAC = [6]byte{} },
		"multicast MAC":        func(n *NIC) { n.MAC[0] = 1 },
		"small MTU":            func(n *NIC) { n.MTU = 67 },
		"large MTU":            func(n *NIC) { n.MTU = 65522 },
		"slow in":              func(n *NIC) { n.In = MinRate - 1 },
		"fast out":             func(n *NIC) { n.Out = MaxRate + 1 },
		"no address":           func(n *NIC) { n.Addresses = []netip.Prefix{{}} },
		"multicast address":    func(n *NIC) { n.Addresses = prefixes("224.0.0.1/4") },
		"unspecified address":  func(n *NIC) { n.Addresses = prefixes("0.0.0.0/0") },
		"address of another":   func(n *NIC) { n.Addresses = prefixes("::ffff:192.0.2.1/120") },
		"the same twice":       func(n *NIC) { n.Addresses = prefixes("192.0.2.1/24", "192.0.2.1/32") },
		"too many addresses":   func(n *NIC) { n.Addresses = make([]netip.Prefix, maxAddresses+1) },
		"loopback":             func(n *NIC) { n.Addresses = prefixes("::1/128") },
		"bridge with a space":  func(n *NIC) { n.Bridge = "br 0" },
		"bridge with a dollar": func(n *NIC) { n.Bridge = "$HOME" },
	} {
		t.Run(name, func(t *testing.T) {
			n := good
			change(&n)
			require.ErrorIs(t, n.Check(), ErrInvalid)
			text, err := n.Up()
			require.ErrorIs(t, err, ErrInvalid)
			require.Empty(t, text)
			text, err = Down(&n)
			require.ErrorIs(t, err, ErrInvalid)
			require.Empty(t, text)
		})
	}
}

// Down takes the table of one guest with it.
func TestDownOfSeveralGuests(t *testing.T) {
	a, b := NIC{Guest: "a", Bridge: "br0", MAC: testMAC}, NIC{Guest: "b", Bridge: "br0", MAC: testMAC}
	_, err := Down(&a, &b)
	require.ErrorIs(t, err, ErrInvalid)
	_, err = Down()
	require.Error(t, err)
}

// The order of addresses is no change of the rules.
func TestOrderOfAddresses(t *testing.T) {
	a := NIC{Guest: "a", Bridge: "br0", MAC: testMAC, AntiSpoof: true, Addresses: prefixes("192.0.2.1/24", "2001:db8::2/64", "192.0.2.3/24")}
	b := a
	b.Addresses = prefixes("2001:db8::2/64", "192.0.2.3/24", "192.0.2.1/24")
	require.Equal(t, a.document("add"), b.document("add"))
}

// What the kernel holds in 32 bits fits, and every frame fits in the burst.
func TestBuckets(t *testing.T) {
	for _, rate := range []uint64{MinRate, 1_000_000, 1_000_000_000, MaxRate} {
		for _, mtu := range []int{0, 1500, MaxMTU} {
			b := bucketFor(rate, mtu)
			require.GreaterOrEqual(t, b.burst, uint64(mtu+frameHead))
			require.GreaterOrEqual(t, b.limit, b.burst)
			require.LessOrEqual(t, b.limit, uint64(maxBucket))
			// The kernel's clock for it has ticks of 64 ns (net/pkt_sched.h).
			require.Less(t, float64(b.burst)/float64(b.rate)*1e9/64, float64(1<<32))
		}
	}
}
