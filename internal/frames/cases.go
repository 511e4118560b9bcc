//go:build linux

package frames

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// Who the frames are from and to. The neighbour is another customer's guest.
const (
	gateway, neighbour   = "192.0.2.1", "192.0.2.66"
	neighbour6, routerLL = "2001:db8::66", "fe80::1"
)

var allNodes = hw{0x33, 0x33, 0, 0, 0, 1}

// spoofCase is a frame, and the NICs that let it pass: d, 4 and 6 are NICs with
// addresses of both families, of IPv4 and of IPv6, m is one without any, and o has its
// filter off: there every frame must arrive, or the case shows nothing.
type spoofCase struct {
	name, pass string
	frame      []byte
}

// Own are the addresses that a sender of spoofed frames has.
var Own = []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("192.0.2.11/24"), netip.MustParsePrefix("2001:db8::10/64")}

// sender is a NIC of the guest.
type sender struct {
	mac            hw
	v4, second, v6 string
	ll             string // link-local
}

func senderOf(mac [6]byte) sender {
	ll := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
	return sender{mac: mac, v4: Own[0].Addr().String(), second: Own[1].Addr().String(), v6: Own[2].Addr().String(), ll: ll.String()}
}

// SpoofDiff sends frames of all kinds from the NIC with this MAC, and returns those
// that went otherwise than they should. The kind of the NIC is d, 4 or 6 where it may
// have the addresses of Own, those of IPv4 or those of IPv6, m where it may have any
// address, and o where nothing is to be dropped. The thread must be held on one
// processor: frames that are sent on one arrive in their order.
func SpoofDiff(from, to *Wire, kind string, mac [6]byte) string {
	s := senderOf(mac)
	last := eth(broadcast, s.mac, 0x800, ipv4(s.v4, gateway, 17, 0, udp(7, 7)))
	if kind == "6" {
		last = eth(allNodes, s.mac, 0x86dd, ipv6(s.v6, "ff02::1", nextUDP, udp(7, 7)))
	}
	from.Reach(to, last)
	cases := spoofCases(s)
	for i, c := range cases {
		from.Send(c.frame, i)
	}
	from.Send(last, len(cases))
	got := to.Until(len(cases))
	want, have := map[string]bool{}, map[string]bool{}
	for i, c := range cases {
		want[c.name], have[c.name] = strings.Contains(c.pass, kind), got[i]
	}
	return cmp.Diff(want, have)
}

// spoofCases are what a tenant may send, and what not.
func spoofCases(s sender) []spoofCase {
	to := func(kind uint16, payload ...[]byte) []byte { return eth(broadcast, s.mac, kind, payload...) }
	datagram := func(from string) []byte { return ipv4(from, gateway, 17, 0, udp(1000, 53)) }
	return slices.Concat([]spoofCase{
		{"ARP request from the own address", "d4mo", to(0x806, arp(1, s.mac, s.v4, hw{}, gateway))},
		{"ARP request from the second address", "d4mo", to(0x806, arp(1, s.mac, s.second, hw{}, gateway))},
		{"ARP reply from the own address", "d4mo", to(0x806, arp(2, s.mac, s.v4, broadcast, gateway))},
		{"ARP probe for the own address (RFC 5227)", "d4mo", to(0x806, arp(1, s.mac, "0.0.0.0", hw{}, s.v4))},
		{"gratuitous ARP of the own address", "d4mo", to(0x806, arp(1, s.mac, s.v4, hw{}, s.v4))},
		{"IPv4 from the own address", "d4mo", to(0x800, datagram(s.v4))},
		{"IPv4 from the second address", "d4mo", to(0x800, datagram(s.second))},
		{"IPv4 multicast", "d4mo", to(0x800, ipv4(s.v4, "224.0.0.251", 17, 0, udp(5353, 5353)))},
		{"IPv4, a later fragment", "d4mo", to(0x800, ipv4(s.v4, gateway, 17, 185, udp(1000, 53)))},
		{"DHCP request of a client", "mo", to(0x800, ipv4("0.0.0.0", "255.255.255.255", 17, 0, udp(68, 67)))},

		{"frame with another source MAC", "o", eth(broadcast, NeighbourMAC, 0x800, datagram(s.v4))},
		{"ARP with another source MAC", "o", eth(broadcast, NeighbourMAC, 0x806, arp(1, s.mac, s.v4, hw{}, gateway))},
		{"ARP with another MAC inside", "o", to(0x806, arp(2, NeighbourMAC, s.v4, broadcast, gateway))},
		{"ARP of another form (IEEE 802)", "o", to(0x806, []byte{0, 6}, arp(1, s.mac, s.v4, hw{}, gateway)[2:])},
		{"ARP reply: the gateway is me", "mo", to(0x806, arp(2, s.mac, gateway, broadcast, neighbour))},
		{"ARP request from the neighbour's address", "mo", to(0x806, arp(1, s.mac, neighbour, hw{}, gateway))},
		{"gratuitous ARP of the neighbour's address", "mo", to(0x806, arp(2, s.mac, neighbour, broadcast, neighbour))},
		{"ARP probe for the neighbour's address", "mo", to(0x806, arp(1, s.mac, "0.0.0.0", hw{}, neighbour))},
		{"IPv4 from the neighbour's address", "mo", to(0x800, datagram(neighbour))},
		{"IPv4 from the neighbour's address, a later fragment", "mo", to(0x800, ipv4(neighbour, gateway, 17, 185, udp(1000, 53)))},
		{"DHCP offer", "o", to(0x800, ipv4(s.v4, "255.255.255.255", 17, 0, udp(67, 68)))},
		{"DHCP offer from another port", "o", to(0x800, ipv4(s.v4, "255.255.255.255", 17, 0, udp(1067, 68)))},
		{"DHCP answer to a relay", "o", to(0x800, ipv4(s.v4, gateway, 17, 0, udp(67, 67)))},

		{"IPv4 with a VLAN tag", "o", to(0x8100, be(42), be(0x800), datagram(s.v4))},
		{"IPv4 of the neighbour with a VLAN tag", "o", to(0x8100, be(42), be(0x800), datagram(neighbour))},
		{"IPv4 with two VLAN tags", "o", to(0x8100, be(42), be(0x8100), be(43), be(0x800), datagram(s.v4))},
		{"ARP of the neighbour with a priority tag", "o", to(0x8100, be(0x2000), be(0x806), arp(2, s.mac, neighbour, broadcast, neighbour))},
		{"IPv4 with a service tag (802.1ad)", "o", to(0x88a8, be(42), be(0x800), datagram(s.v4))},
		{"IPv4 in 802.3 (SNAP)", "o", to(68, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, datagram(neighbour))},
		{"spanning tree (LLC)", "o", to(38, []byte{0x42, 0x42, 3}, make([]byte, 35))},
		{"LLDP", "o", to(0x88cc, []byte{2, 7, 4}, s.mac[:], make([]byte, 40))},
		{"RARP", "o", to(0x8035, arp(3, s.mac, "0.0.0.0", s.mac, "0.0.0.0"))},
		{"PPPoE discovery", "o", to(0x8863, []byte{0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0}, make([]byte, 40))},
		{"unknown protocol", "o", to(0x88b5, make([]byte, 48))},
	}, spoofCases6(s), routerCases(s))
}

func spoofCases6(s sender) []spoofCase {
	to := func(payload []byte) []byte { return eth(allNodes, s.mac, 0x86dd, payload) }
	const all = "ff02::1"
	return []spoofCase{
		{"IPv6 from the own address", "d6mo", to(ipv6(s.v6, all, nextUDP, udp(1000, 53)))},
		{"IPv6 from the own address, behind options", "d6mo", to(ipv6(s.v6, all, nextOptions, options(nextUDP), udp(1000, 53)))},
		{"IPv6 from the own address, a later fragment", "d6mo", to(ipv6(s.v6, all, nextFragment, fragment(nextUDP, 185, false), make([]byte, 16)))},
		{"DHCPv6 of a client", "d6mo", to(ipv6(s.ll, all, nextUDP, udp(546, 547)))},
		{"multicast report (MLDv2)", "d6mo", to(ipv6(s.ll, "ff02::16", nextHop, options(nextICMP), icmp6(s.ll, "ff02::16", 143, make([]byte, 4))))},
		{"multicast report before there is an address", "d6mo", to(ipv6("::", "ff02::16", nextHop, options(nextICMP), icmp6("::", "ff02::16", 143, make([]byte, 4))))},
		{"router solicitation", "d6mo", to(ipv6(s.ll, "ff02::2", nextICMP, icmp6(s.ll, "ff02::2", 133, make([]byte, 4), []byte{1, 1}, s.mac[:])))},
		{"neighbour solicitation", "d6mo", to(ipv6(s.ll, all, nextICMP, solicitation(s.ll, all, routerLL, s.mac)))},
		{"is this address taken? (source ::)", "d6mo", to(ipv6("::", all, nextICMP, solicitation("::", all, s.v6, s.mac)))},
		{"is the link-local address taken?", "d6mo", to(ipv6("::", all, nextICMP, solicitation("::", all, s.ll, s.mac)))},
		{"neighbour advertisement of the own address", "d6mo", to(ipv6(s.v6, all, nextICMP, advertisement(s.v6, all, s.v6, s.mac)))},
		{"neighbour advertisement of the link-local address", "d6mo", to(ipv6(s.ll, all, nextICMP, advertisement(s.ll, all, s.ll, s.mac)))},

		{"neighbour advertisement of the neighbour, own source", "mo", to(ipv6(s.v6, all, nextICMP, advertisement(s.v6, all, neighbour6, s.mac)))},
		{"the same behind options", "mo", to(ipv6(s.v6, all, nextOptions, options(nextICMP), icmp6(s.v6, all, 136, []byte{0x20, 0, 0, 0}, ip(neighbour6))))},
		{"is the neighbour's address taken?", "mo", to(ipv6("::", all, nextICMP, solicitation("::", all, neighbour6, s.mac)))},
		{"neighbour advertisement with another MAC", "o", to(ipv6(s.v6, all, nextICMP, advertisement(s.v6, all, s.v6, NeighbourMAC)))},
		{"neighbour advertisement with another MAC, second option", "o", to(ipv6(s.v6, all, nextICMP, icmp6(s.v6, all, 136, []byte{0x20, 0, 0, 0}, ip(s.v6),
			[]byte{2, 1}, s.mac[:], []byte{2, 1}, NeighbourMAC[:])))},
		{"neighbour solicitation with another MAC", "o", to(ipv6(s.v6, all, nextICMP, solicitation(s.v6, all, routerLL, NeighbourMAC)))},
		{"router solicitation with another MAC", "o", to(ipv6(s.ll, "ff02::2", nextICMP, icmp6(s.ll, "ff02::2", 133, make([]byte, 4), []byte{1, 1}, NeighbourMAC[:])))},
		{"IPv6 from the neighbour's address", "mo", to(ipv6(neighbour6, all, nextUDP, udp(1000, 53)))},
		{"IPv6 from the router's link-local address", "mo", to(ipv6(routerLL, all, nextUDP, udp(1000, 53)))},
		{"neighbour advertisement from the neighbour's address", "mo", to(ipv6(neighbour6, all, nextICMP, advertisement(neighbour6, all, neighbour6, s.mac)))},
		{"neighbour advertisement from ::", "mo", to(ipv6("::", all, nextICMP, advertisement("::", all, neighbour6, s.mac)))},
		{"UDP from ::", "mo", to(ipv6("::", all, nextUDP, udp(1000, 53)))},
		{"unknown ICMPv6 of the link-local address", "mo", to(ipv6(s.ll, all, nextICMP, icmp6(s.ll, all, 200, make([]byte, 8))))},
	}
}

// routerCases: a guest is no router and no DHCP server, however it says so.
func routerCases(s sender) []spoofCase {
	to := func(payload []byte) []byte { return eth(allNodes, s.mac, 0x86dd, payload) }
	ra := routerAdvertisement(s.ll, s.mac)
	const all = "ff02::1"
	return []spoofCase{
		{"router advertisement", "o", to(ipv6(s.ll, all, nextICMP, ra))},
		{"router advertisement, global source", "o", to(ipv6(s.v6, all, nextICMP, routerAdvertisement(s.v6, s.mac)))},
		{"router advertisement, the router's source", "o", to(ipv6(routerLL, all, nextICMP, routerAdvertisement(routerLL, s.mac)))},
		{"router advertisement behind hop-by-hop options", "o", to(ipv6(s.ll, all, nextHop, options(nextICMP), ra))},
		{"router advertisement behind destination options", "o", to(ipv6(s.ll, all, nextOptions, options(nextOptions), options(nextICMP), ra))},
		{"router advertisement in one fragment", "o", to(ipv6(s.ll, all, nextFragment, fragment(nextICMP, 0, false), ra))},
		{"router advertisement, its first fragment without a type", "o", to(ipv6(s.ll, all, nextFragment, fragment(nextOptions, 0, true), options(nextICMP)))},
		{"router advertisement, the fragment with the type", "o", to(ipv6(s.ll, all, nextFragment, fragment(nextOptions, 1, false), ra))},
		{"router advertisement, a fragment behind options", "o", to(ipv6(s.ll, all, nextOptions, options(nextFragment), fragment(nextOptions, 1, false), ra))},
		{"router advertisement with a VLAN tag", "o", eth(allNodes, s.mac, 0x8100, be(0), be(0x86dd), ipv6(s.ll, all, nextICMP, ra))},
		{"ICMPv6 redirect", "o", to(ipv6(s.ll, all, nextICMP, icmp6(s.ll, all, 137, make([]byte, 4), ip(s.v6), ip(neighbour6))))},
		{"DHCPv6 advertise", "o", to(ipv6(s.ll, all, nextUDP, udp(547, 546)))},
		{"DHCPv6 advertise from another port", "o", to(ipv6(s.v6, all, nextUDP, udp(1547, 546)))},
		{"DHCPv6 advertise behind destination options", "o", to(ipv6(s.ll, all, nextOptions, options(nextUDP), udp(547, 546)))},
	}
}
