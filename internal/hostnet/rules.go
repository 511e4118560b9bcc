package hostnet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// rule is one of a chain. Its comment ends in a digest of its text, by which a rule
// that was changed by other means is told from ours: nft shows rules in other words
// than it was given.
type rule struct {
	name, match, verdict string
}

func (r rule) text() string { return strings.TrimLeft(r.match+" "+r.verdict, " ") }

func (r rule) comment() string {
	sum := sha256.Sum256([]byte(r.text()))
	return r.name + ", " + hex.EncodeToString(sum[:4])
}

// rules of the NIC's chain; none where nothing is asked of it. Whatever no rule takes
// is dropped where AntiSpoof is set: foreign addresses, and frames that are not ARP,
// IPv4 or IPv6, as those with a VLAN tag of the guest's own, spanning tree or PPPoE.
//
// Source: nft(8); measured frame by frame in TestSpoofing.
func (n *NIC) rules() []rule {
	pass := "accept"
	if n.Out != 0 {
		pass = `fwd to "` + n.shaper() + `"`
	}
	v4, v6 := n.families()
	switch {
	case !n.AntiSpoof && n.Out == 0:
		return nil
	case !n.AntiSpoof:
		return []rule{{"all", "", pass}}
	case len(v4)+len(v6) == 0:
		return slices.Concat(n.rulesAlways("0x0800, 0x0806, 0x86dd"), rulesDHCP4(), n.rulesND(), n.rulesAnyAddress(pass))
	case len(v6) == 0:
		return slices.Concat(n.rulesAlways("0x0800, 0x0806"), rulesDHCP4(), n.rulesIPv4(v4, pass))
	case len(v4) == 0:
		return slices.Concat(n.rulesAlways("0x86dd"), n.rulesND(), n.rulesIPv6(v6, pass))
	}
	return slices.Concat(n.rulesAlways("0x0800, 0x0806, 0x86dd"), rulesDHCP4(), n.rulesND(), n.rulesIPv4(v4, pass), n.rulesIPv6(v6, pass))
}

// rulesAlways compare what is in the frame: the kernel takes a VLAN tag out of it
// before the chain, and from then on "meta protocol" is that of the inner frame.
func (n *NIC) rulesAlways(types string) []rule {
	return []rule{
		{"foreign MAC", "ether saddr != " + n.mac(), "drop"},
		{"other protocols and VLAN tags", "ether type != { " + types + " }", "drop"},
	}
}

// rulesDHCP4: clients of DHCP look at the port that an answer goes to, and relays at
// the one that it comes from.
func rulesDHCP4() []rule {
	return []rule{
		{"DHCP server", "meta protocol ip udp sport 67", "drop"},
		{"DHCP answer", "meta protocol ip udp dport 68", "drop"},
	}
}

const (
	icmpType  = "meta protocol ip6 icmpv6 type "
	wellARP   = "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether "
	ndTarget  = "@th,64,128" // RFC 4861, 4.3 and 4.4
	fragments = "exthdr frag exists"
)

// rulesND: the guest is no router, and tells nobody another MAC than its own. That a
// message has room for one option keeps a second one from hiding behind it: nonces
// (RFC 7527) are sent without the sender's MAC. The kernel looks for the message
// behind extension headers, so such rules hold there too.
func (n *NIC) rulesND() []rule {
	mac := "0x" + hex.EncodeToString(n.MAC[:])
	return []rule{
		{"DHCPv6 server", "meta protocol ip6 udp sport 547", "drop"},
		{"DHCPv6 answer", "meta protocol ip6 udp dport 546", "drop"},
		{"router advertisement and redirect", icmpType + "{ 134, 137 }", "drop"},
		{"long router solicitation", icmpType + "133 ip6 length > 16", "drop"},
		{"router solicitation of another MAC", icmpType + "133 @th,64,8 1 @th,80,48 != " + mac, "drop"},
		{"long neighbour message", icmpType + "{ 135, 136 } ip6 length > 32", "drop"},
		{"neighbour message of another MAC", icmpType + "{ 135, 136 } @th,192,8 { 1, 2 } @th,208,48 != " + mac, "drop"},
	}
}

// rulesAnyAddress: of fragments it is not known what they carry, and routers are
// obeyed by their link-local address alone (RFC 4861, 6.1.2; RFC 7113).
func (n *NIC) rulesAnyAddress(pass string) []rule {
	return []rule{
		{"ARP", wellARP + n.mac(), pass},
		{"IPv4", "meta protocol ip", pass},
		{"fragments from link-local addresses", "ip6 saddr fe80::/10 " + fragments, "drop"},
		{"IPv6", "meta protocol ip6", pass},
	}
}

func (n *NIC) rulesIPv4(v4 []netip.Addr, pass string) []rule {
	own := set(v4)
	return []rule{
		{"ARP of own addresses", wellARP + n.mac() + " arp saddr ip " + own, pass},
		{"ARP probe for own addresses (RFC 5227)", wellARP + n.mac() + " arp saddr ip 0.0.0.0 arp daddr ip " + own, pass},
		{"own IPv4 addresses", "ip saddr " + own, pass},
	}
}

// rulesIPv6: what the link-local address may send is listed, for the same reason as
// in rulesAnyAddress.
func (n *NIC) rulesIPv6(v6 []netip.Addr, pass string) []rule {
	all := append(slices.Clone(v6), n.linkLocal())
	local := "ip6 saddr " + n.linkLocal().String() + " "
	return []rule{
		{"neighbour advertisement of other addresses", icmpType + "136 " + ndTarget + " != " + numbers(all), "drop"},
		{"own IPv6 addresses", "ip6 saddr " + set(v6), pass},
		{"TCP and UDP of the link-local address", local + "meta l4proto { 6, 17 }", pass},
		{"ICMPv6 of the link-local address", local + "icmpv6 type { 128-136, 143 }", pass},
		{"are own addresses taken?", "ip6 saddr :: icmpv6 type 135 " + ndTarget + " " + numbers(all), pass},
		{"multicast report before an address", "ip6 saddr :: icmpv6 type 143", pass},
	}
}

func set(list []netip.Addr) string { return join(list, netip.Addr.String) }

// numbers is a set of addresses where nft knows no type of address.
func numbers(list []netip.Addr) string {
	return join(list, func(a netip.Addr) string { return "0x" + hex.EncodeToString(a.AsSlice()) })
}

// join is in order of value, so that the order of addresses makes no difference.
func join(list []netip.Addr, text func(netip.Addr) string) string {
	var words []string
	for _, a := range slices.SortedFunc(slices.Values(list), netip.Addr.Compare) {
		words = append(words, text(a))
	}
	return "{ " + strings.Join(slices.Compact(words), ", ") + " }"
}

// document is what nft -f takes to make the chain, and how: "create" fails where it is
// there, [replacing] puts it in the place of that one.
func (n *NIC) document(how string) string {
	policy := "accept"
	if n.AntiSpoof {
		policy = "drop"
	}
	t, c := Table(n.Guest), chain(n.Index)
	var b strings.Builder
	fmt.Fprintf(&b, "add table netdev %s\n", t)
	fmt.Fprintf(&b, "%s chain netdev %s %s { type filter hook ingress device %q priority 0; policy %s; }\n", how, t, c, n.Device(), policy)
	for _, r := range n.rules() {
		fmt.Fprintf(&b, "add rule netdev %s %s %s comment %q\n", t, c, r.text(), r.comment())
	}
	return b.String()
}

// replacing does so in one transaction, so that there is no moment without. To add a
// chain that is there would keep what it hangs on.
func replacing(table, chain string) string {
	return fmt.Sprintf("add chain netdev %[1]s %[2]s; delete chain netdev %[1]s %[2]s; add", table, chain)
}
