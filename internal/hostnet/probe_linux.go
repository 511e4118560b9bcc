package hostnet

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Support says of what NICs need why the kernel or the host's commands lack it; nil
// is that it is there.
type Support struct {
	Bridge   error // ports of bridges
	Isolated error // isolated ports
	VLAN     error // VLANs of a bridge's ports
	Rules    error // nftables in the family netdev: AntiSpoof
	In       error // tbf: a limit of what a guest receives
	Out      error // ifb, and fwd of nftables: a limit of what it sends
}

type trial struct {
	err  *error
	text string
}

// trials are in an order in which a later one may use what an earlier one made.
func (s *Support) trials() []trial {
	const queue = " root handle 1: tbf rate 8000000bit burst 16384b limit 32768b\n"
	return []trial{
		{&s.Bridge, "ip link add name hostnetbr type bridge\nip link add name hostnet0 type veth peer name hostnet1\nip link set dev hostnet0 master hostnetbr"},
		{&s.Isolated, "ip link set dev hostnet0 type bridge_slave isolated on"},
		{&s.VLAN, "ip link set dev hostnetbr type bridge vlan_filtering 1\nbridge vlan add dev hostnet0 vid 2 pvid untagged"},
		{&s.In, "tc qdisc replace dev hostnet0" + queue},
		{&s.Rules, probeRules(0)},
		{&s.Out, "ip link add name hostnet2 type ifb\ntc qdisc replace dev hostnet2" + queue + probeRules(MinRate)},
	}
}

// probeRules is the rules of a NIC: that this nft and this kernel take all of them.
func probeRules(out uint64) string {
	n := &NIC{Guest: "probe", MAC: [6]byte{2, 5: 1}, AntiSpoof: true, Out: out, Addresses: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"),
	}}
	names := strings.NewReplacer(n.Device(), "hostnet0", n.shaper(), "hostnet2")
	return "nft -f - <<'HOSTNET'\n" + names.Replace(n.document("add")) + "HOSTNET\n"
}

// Probe tries what NICs need in a network namespace of its own, which is gone
// afterwards with all that was made in it. It loads kernel modules, as the first
// guest would. The command sh is given by its path; it finds the others as the
// fragments do.
func Probe(ctx context.Context, sh string) (Support, error) {
	var s Support
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("no network namespace can be made: %w", err)
		}
		for _, p := range s.trials() {
			_, *p.err = run(ctx, p.text, sh, "-eu")
		}
		return ctxerr.Of(ctx)
	})
	return s, err
}
