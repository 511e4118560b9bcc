//go:build linux

package hostnet

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What somebody changes by other means is seen, and told.
func TestEnforcedSeesChanges(t *testing.T) {
	for name, c := range map[string]struct{ command, feature, reason string }{
		"table deleted":     {"nft delete table netdev $TABLE", "antiSpoof", noChain},
		"rules flushed":     {"nft flush chain netdev $TABLE nic7", "antiSpoof", otherRules},
		"rule added":        {"nft insert rule netdev $TABLE nic7 accept", "antiSpoof", otherRules},
		"policy":            {"nft 'add chain netdev $TABLE nic7 { type filter hook ingress device $DEV priority 0; policy accept; }'", "antiSpoof", otherRules},
		"sent elsewhere":    {"ip link add name other type ifb; h=$(nft -a list chain netdev $TABLE nic7 | sed -n 's/.*fwd.*taken.*handle //p'); nft replace rule netdev $TABLE nic7 handle $h ip6 saddr :: fwd to other comment '\"are own addresses taken?, dfa0f1a5\"'", "rate.out", otherRules},
		"made an accept":    {"h=$(nft -a list chain netdev $TABLE nic7 | sed -n 's/.*DHCP server.*handle //p' | head -n 1); nft replace rule netdev $TABLE nic7 handle $h accept comment '\"DHCP server, 061a7fd4\"'", "antiSpoof", otherRules},
		"other device":      {"nft delete chain netdev $TABLE nic7; nft 'add chain netdev $TABLE nic7 { type filter hook ingress device br0 priority 0; policy drop; }'", "antiSpoof", otherRules},
		"queue in":          {"tc qdisc delete dev $DEV root", "rate.in", noQueue},
		"other rate in":     {"tc qdisc replace dev $DEV root handle 1: tbf rate 8mbit burst 20000b limit 40000b", "rate.in", noQueue},
		"queue out":         {"tc qdisc delete dev $IFB root", "rate.out", noQueue},
		"device out":        {"ip link delete dev $IFB", "rate.out", noQueue},
		"device out down":   {"ip link set dev $IFB down", "rate.out", "the device of its queue is down, so that nothing that the guest sends arrives"},
		"rules without out": {"nft flush chain netdev $TABLE nic7", "rate.out", otherRules},
		"isolation":         {"ip link set dev $DEV type bridge_slave isolated off", "isolated", "the bridge's port is not isolated"},
		"MTU":               {"ip link set dev $DEV mtu 1300", "mtu", "the host's side has another MTU"},
		"unplugged":         {"ip link set dev $DEV nomaster", "bridge", "the NIC is plugged into another bridge, or none"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				n := nicCases()["everything"]
				l.plug(n.Device(), n.MAC)
				l.upNIC(&n)
				names := strings.NewReplacer("$TABLE", Table(n.Guest), "$DEV", n.Device(), "$IFB", n.shaper())
				out, err := exec.Command("/bin/sh", "-euc", names.Replace(c.command)).CombinedOutput()
				require.NoError(t, err, string(out))
				reasons := map[string]string{}
				for _, f := range l.read().Enforced(&n) {
					reasons[f.Name] = f.Reason
				}
				require.Equal(t, c.reason, reasons[c.feature])
				l.upNIC(&n)
				for _, f := range l.read().Enforced(&n) {
					require.Equal(t, Enforced, f.Enforcement, "%+v", f)
				}
			})
		})
	}
}

// A VLAN is in force on a bridge that filters alone.
func TestEnforcedVLAN(t *testing.T) {
	n := NIC{Guest: "a", Bridge: "br0", MAC: testMAC, VLAN: 42}
	for name, c := range map[string]struct {
		filtering bool
		vlans     []vlan
		want      Enforcement
		have      string
	}{
		"in force":     {true, []vlan{{42, true}}, Enforced, "42"},
		"no filtering": {false, []vlan{{42, true}}, NotEnforced, "42"},
		"tagged":       {true, []vlan{{42, false}}, NotEnforced, "42"},
		"two":          {true, []vlan{{1, false}, {42, true}}, NotEnforced, ""},
		"another":      {true, []vlan{{43, true}}, NotEnforced, "43"},
		"none":         {true, nil, NotEnforced, ""},
	} {
		br, port := &Link{Index: 1, Name: "br0", Kind: "bridge", VLANFiltering: c.filtering}, &Link{Index: 2, Name: n.Device(), Master: 1}
		s := &State{links: map[string]*Link{"br0": br, n.Device(): port}, indexes: map[int]*Link{1: br, 2: port}, vlans: map[int][]vlan{2: c.vlans}}
		f := s.Enforced(&n)[1]
		require.Equal(t, "vlan", f.Name)
		require.Equal(t, c.want, f.Enforcement, name)
		require.Equal(t, c.have, f.Have, name)
		require.Equal(t, c.want == Enforced, f.Reason == "", name)
	}
}
