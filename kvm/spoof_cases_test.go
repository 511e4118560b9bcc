//go:build linux

package kvm_test

// Who the frames are from and to. The neighbour is another customer's guest.
const (
	gateway, neighbour   = "192.0.2.1", "192.0.2.66"
	neighbour6, routerLL = "2001:db8::66", "fe80::1"
)

var (
	neighbourMAC = hw{0x52, 0x54, 0, 0xee, 0xee, 0xee}
	allNodes     = hw{0x33, 0x33, 0, 0, 0, 1}
)

// spoofCase is a frame, and the NICs that let it pass: d and 4 are NICs with
// addresses of both families and of IPv4, m is one without any, and o has its
// filter off: there every frame must arrive, or the case shows nothing.
type spoofCase struct {
	name, pass string
	frame      []byte
}

// sender is a NIC of the guest.
type sender struct {
	mac            hw
	v4, second, v6 string
	ll             string // link-local
}

// spoofCases are what a tenant may send, and what not.
func spoofCases(s sender) []spoofCase {
	list := []spoofCase{
		{"ARP request from the own address", "d4mo", eth(broadcast, s.mac, 0x806, arp(1, s.mac, s.v4, hw{}, gateway))},
		{"ARP request from the second address", "d4mo", eth(broadcast, s.mac, 0x806, arp(1, s.mac, s.second, hw{}, gateway))},
		{"ARP probe for an address (RFC 5227)", "d4mo", eth(broadcast, s.mac, 0x806, arp(1, s.mac, "0.0.0.0", hw{}, s.v4))},
		{"gratuitous ARP of the own address", "d4mo", eth(broadcast, s.mac, 0x806, arp(1, s.mac, s.v4, hw{}, s.v4))},
		{"RARP by which QEMU announces a migrated guest", "d4mo", eth(broadcast, s.mac, 0x8035, arp(3, s.mac, "0.0.0.0", s.mac, "0.0.0.0"))},
		{"IPv4 from the own address", "d4mo", eth(broadcast, s.mac, 0x800, ipv4(s.v4, gateway, 17, 0, udp(1000, 53)))},
		{"IPv4 from the second address", "d4mo", eth(broadcast, s.mac, 0x800, ipv4(s.second, gateway, 17, 0, udp(1000, 53)))},
		{"IPv4, a later fragment", "d4mo", eth(broadcast, s.mac, 0x800, ipv4(s.v4, gateway, 17, 185, udp(1000, 53)))},
		{"DHCP request of a client", "mo", eth(broadcast, s.mac, 0x800, ipv4("0.0.0.0", "255.255.255.255", 17, 0, udp(68, 67)))},

		{"frame with another source MAC", "o", eth(broadcast, neighbourMAC, 0x800, ipv4(s.v4, gateway, 17, 0, udp(1000, 53)))},
		{"ARP with another source MAC", "o", eth(broadcast, neighbourMAC, 0x806, arp(1, s.mac, s.v4, hw{}, gateway))},
		{"ARP with another MAC inside", "o", eth(broadcast, s.mac, 0x806, arp(2, neighbourMAC, s.v4, broadcast, gateway))},
		{"ARP reply: the gateway is me", "mo", eth(broadcast, s.mac, 0x806, arp(2, s.mac, gateway, broadcast, neighbour))},
		{"ARP request from the neighbour's address", "mo", eth(broadcast, s.mac, 0x806, arp(1, s.mac, neighbour, hw{}, gateway))},
		{"gratuitous ARP of the neighbour's address", "mo", eth(broadcast, s.mac, 0x806, arp(2, s.mac, neighbour, broadcast, neighbour))},
		{"IPv4 from the neighbour's address", "mo", eth(broadcast, s.mac, 0x800, ipv4(neighbour, gateway, 17, 0, udp(1000, 53)))},
		{"DHCP offer", "o", eth(broadcast, s.mac, 0x800, ipv4(s.v4, "255.255.255.255", 17, 0, udp(67, 68)))},
		{"DHCP offer from another port", "o", eth(broadcast, s.mac, 0x800, ipv4(s.v4, "255.255.255.255", 17, 0, udp(1067, 68)))},
		{"DHCP answer to a relay", "o", eth(broadcast, s.mac, 0x800, ipv4(s.v4, gateway, 17, 0, udp(67, 67)))},

		{"IPv4 with a VLAN tag", "o", eth(broadcast, s.mac, 0x8100, be(42), be(0x800), ipv4(s.v4, gateway, 17, 0, udp(1000, 53)))},
		{"IPv4 of the neighbour with a VLAN tag", "o", eth(broadcast, s.mac, 0x8100, be(42), be(0x800), ipv4(neighbour, gateway, 17, 0, udp(1000, 53)))},
		{"ARP of the neighbour with a priority tag", "o", eth(broadcast, s.mac, 0x8100, be(0x2000), be(0x806), arp(2, s.mac, neighbour, broadcast, neighbour))},
		{"IPv4 with a service tag (802.1ad)", "o", eth(broadcast, s.mac, 0x88a8, be(42), be(0x800), ipv4(s.v4, gateway, 17, 0, udp(1000, 53)))},
		{"IPv4 in 802.3 (SNAP)", "o", eth(broadcast, s.mac, 68, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, ipv4(neighbour, gateway, 17, 0, udp(1000, 53)))},
		{"spanning tree (LLC)", "o", eth(broadcast, s.mac, 38, []byte{0x42, 0x42, 3}, make([]byte, 35))},
		{"LLDP", "o", eth(broadcast, s.mac, 0x88cc, []byte{2, 7, 4}, s.mac[:], make([]byte, 40))},
		{"PPPoE discovery", "o", eth(broadcast, s.mac, 0x8863, []byte{0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0}, make([]byte, 40))},
		{"unknown protocol", "o", eth(broadcast, s.mac, 0x88b5, make([]byte, 48))},
	}
	return append(list, spoofCases6(s)...)
}

func spoofCases6(s sender) []spoofCase {
	to := func(payload []byte) []byte { return eth(allNodes, s.mac, 0x86dd, payload) }
	ra := routerAdvertisement(s.ll, s.mac)
	return []spoofCase{
		{"IPv6 from the own address", "dmo", to(ipv6(s.v6, "ff02::1", nextUDP, udp(1000, 53)))},
		{"IPv6 from the own link-local address", "dmo", to(ipv6(s.ll, "ff02::1", nextUDP, udp(546, 547)))},
		{"neighbour solicitation", "dmo", to(ipv6(s.ll, "ff02::1", nextICMP, solicitation(s.ll, "ff02::1", routerLL, s.mac)))},
		{"is this address taken? (source ::)", "dmo", to(ipv6("::", "ff02::1", nextICMP, solicitation("::", "ff02::1", s.v6, s.mac)))},
		{"neighbour advertisement of the own address", "dmo", to(ipv6(s.v6, "ff02::1", nextICMP, advertisement(s.v6, "ff02::1", s.v6, s.mac)))},
		// What ebtables cannot see: Limit says "partial" for this.
		{"neighbour advertisement of the neighbour, own source", "dmo", to(ipv6(s.v6, "ff02::1", nextICMP, advertisement(s.v6, "ff02::1", neighbour6, s.mac)))},

		{"IPv6 from the neighbour's address", "mo", to(ipv6(neighbour6, "ff02::1", nextUDP, udp(1000, 53)))},
		{"IPv6 from the router's link-local address", "mo", to(ipv6(routerLL, "ff02::1", nextUDP, udp(1000, 53)))},
		{"neighbour advertisement from the neighbour's address", "mo", to(ipv6(neighbour6, "ff02::1", nextICMP, advertisement(neighbour6, "ff02::1", neighbour6, s.mac)))},
		{"neighbour advertisement from ::", "mo", to(ipv6("::", "ff02::1", nextICMP, advertisement("::", "ff02::1", neighbour6, s.mac)))},
		{"UDP from ::", "mo", to(ipv6("::", "ff02::1", nextUDP, udp(1000, 53)))},
		{"router advertisement", "o", to(ipv6(s.ll, "ff02::1", nextICMP, ra))},
		{"router advertisement, global source", "o", to(ipv6(s.v6, "ff02::1", nextICMP, routerAdvertisement(s.v6, s.mac)))},
		{"router advertisement, the router's source", "o", to(ipv6(routerLL, "ff02::1", nextICMP, routerAdvertisement(routerLL, s.mac)))},
		{"router advertisement behind hop-by-hop options", "o", to(ipv6(s.ll, "ff02::1", nextHop, options(nextICMP), ra))},
		{"router advertisement behind destination options", "o", to(ipv6(s.ll, "ff02::1", nextOptions, options(nextOptions), options(nextICMP), ra))},
		{"router advertisement in one fragment", "o", to(ipv6(s.ll, "ff02::1", nextFragment, fragment(nextICMP, 0, false), ra))},
		// Without an address to hold it to, the last two pass (RFC 7113): receivers
		// must drop them (RFC 6980).
		{"router advertisement, its first fragment without a type", "mo", to(ipv6(s.ll, "ff02::1", nextFragment, fragment(nextOptions, 0, true), options(nextICMP)))},
		{"router advertisement, the fragment with the type", "mo", to(ipv6(s.ll, "ff02::1", nextFragment, fragment(nextOptions, 1, false), ra))},
		{"router advertisement with a VLAN tag", "o", eth(allNodes, s.mac, 0x8100, be(0), be(0x86dd), ipv6(s.ll, "ff02::1", nextICMP, ra))},
		{"ICMPv6 redirect", "o", to(ipv6(s.ll, "ff02::1", nextICMP, icmp6(s.ll, "ff02::1", 137, make([]byte, 4), ip(s.v6), ip(neighbour6))))},
		{"DHCPv6 advertise", "o", to(ipv6(s.ll, "ff02::1", nextUDP, udp(547, 546)))},
		{"DHCPv6 advertise from another port", "o", to(ipv6(s.v6, "ff02::1", nextUDP, udp(1547, 546)))},
		{"DHCPv6 advertise behind destination options", "o", to(ipv6(s.ll, "ff02::1", nextOptions, options(nextUDP), udp(547, 546)))},
	}
}
