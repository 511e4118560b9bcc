package provision_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/guestforge/provision"
)

// nic is a Spec with one NIC on br0 that f changes.
func nic(f func(*provision.NIC)) func(*provision.Spec) {
	return func(s *provision.Spec) {
		n := provision.NIC{Bridge: "br0"}
		f(&n)
		s.NICs = append(s.NICs, n)
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func bridge(v string) func(*provision.Spec) { return nic(func(n *provision.NIC) { n.Bridge = v }) }
func vlan(v int) func(*provision.Spec)      { return nic(func(n *provision.NIC) { n.VLAN = v }) }

func mac(b ...byte) func(*provision.Spec) {
	return nic(func(n *provision.NIC) { n.MAC = provision.MAC(b) })
}

func address(list ...string) func(*provision.Spec) {
	return nic(func(n *provision.NIC) { n.Addresses = prefixes(list...) })
}

// gateway beside an address of each family.
func gateway(list ...string) func(*provision.Spec) {
	return nic(func(n *provision.NIC) {
		n.Addresses, n.Gateways = prefixes("192.0.2.10/24", "2001:db8::10/64"), addrs(list...)
	})
}

func dns(servers []netip.Addr, search ...string) func(*provision.Spec) {
	return func(s *provision.Spec) { s.DNS = provision.DNS{Servers: servers, Search: search} }
}

func TestValidateNICs(t *testing.T) {
	for _, c := range []badField{
		{"bridge", bridge("br-0.42_x"), "", "", ""},
		{"no bridge", bridge(""), "nics[0].bridge", "", "is required"},
		{"bridge of 16", bridge("br45678901234567"), "nics[0].bridge", "br45678901234567", "1 to 15"},
		{"bridge with slash", bridge("../x"), "nics[0].bridge", "../x", "is not the name"},
		{"bridge with hyphen first", bridge("-br"), "nics[0].bridge", "-br", "is not the name"},
		{"bridge with quote", bridge("br'0"), "nics[0].bridge", "br'0", "is not the name"},
		{"bridge 64 KiB", bridge(long), "nics[0].bridge", clipped(long), "is not the name"},
		{"VLAN", vlan(4094), "", "", ""},
		{"VLAN 4095", vlan(4095), "nics[0].vlan", "4095", "from 1 to 4094"},
		{"VLAN -1", vlan(-1), "nics[0].vlan", "-1", "from 1 to 4094"},

		{"MAC", mac(0x52, 0x54, 0, 0xa1, 0xb2, 0xc3), "", "", ""},
		{"multicast MAC", mac(0x53, 0x54, 0, 0, 0, 1), "nics[0].mac", "53:54:00:00:00:01", "multicast"},
		{"broadcast MAC", mac(255, 255, 255, 255, 255, 255), "nics[0].mac", "ff:ff:ff:ff:ff:ff", "multicast"},
		{"MAC of the host's side", mac(0xfe, 0x54, 0, 0, 0, 1), "nics[0].mac", "fe:54:00:00:00:01", "begins with fe"},
		{"MAC twice", func(s *provision.Spec) {
			mac(2, 0, 0, 0, 0, 1)(s)
			mac(2, 0, 0, 0, 0, 1)(s)
		}, "nics[1].mac", "02:00:00:00:00:01", "nics[0] too"},

		{"addresses", address("192.0.2.10/24", "2001:db8::10/64", "10.0.0.1/32", "10.1.0.0/31", "fe80::1/64"), "", "", ""},
		{"network's own", address("192.0.2.0/24"), "nics[0].addresses[0]", "192.0.2.0/24", "network's own"},
		{"broadcast", address("192.0.2.255/24"), "nics[0].addresses[0]", "192.0.2.255/24", "broadcast"},
		{"all ones", address("255.255.255.255/32"), "nics[0].addresses[0]", "255.255.255.255/32", "a guest can have"},
		{"unspecified", address("0.0.0.0/32"), "nics[0].addresses[0]", "0.0.0.0/32", "a guest can have"},
		{"unspecified, IPv6", address("::/128"), "nics[0].addresses[0]", "::/128", "a guest can have"},
		{"loopback", address("127.0.0.1/8"), "nics[0].addresses[0]", "127.0.0.1/8", "a guest can have"},
		{"loopback, IPv6", address("::1/128"), "nics[0].addresses[0]", "::1/128", "a guest can have"},
		{"multicast", address("224.0.0.1/24"), "nics[0].addresses[0]", "224.0.0.1/24", "a guest can have"},
		{"multicast, IPv6", address("ff02::1/64"), "nics[0].addresses[0]", "ff02::1/64", "a guest can have"},
		{"mapped", address("::ffff:192.0.2.1/120"), "nics[0].addresses[0]", "::ffff:192.0.2.1/120", "a guest can have"},
		{"zero prefix", nic(func(n *provision.NIC) { n.Addresses = make([]netip.Prefix, 1) }), "nics[0].addresses[0]", "", "with a prefix length"},
		{"address twice", address("192.0.2.1/24", "192.0.2.1/25"), "nics[0].addresses[1]", "192.0.2.1/25", "is given in nics[0].addresses[0] too"},
		{"address on two NICs", func(s *provision.Spec) {
			address("192.0.2.1/24")(s)
			address("192.0.2.1/24")(s)
		}, "nics[1].addresses[0]", "192.0.2.1/24", "is given in nics[0].addresses[0] too"},

		{"gateways", gateway("192.0.2.1", "2001:db8::1"), "", "", ""},
		{"gateway beyond the prefix", gateway("198.51.100.1"), "", "", ""},
		{"two IPv4 gateways", gateway("192.0.2.1", "192.0.2.2"), "nics[0].gateways[1]", "192.0.2.2", "second gateway"},
		{"unspecified gateway", gateway("0.0.0.0"), "nics[0].gateways[0]", "0.0.0.0", "address of a gateway"},
		{"gateway with zone", gateway("fe80::1%eth0"), "nics[0].gateways[0]", "fe80::1%eth0", "address of a gateway"},
		{"zero gateway", nic(func(n *provision.NIC) { n.Gateways = make([]netip.Addr, 1) }), "nics[0].gateways[0]", "invalid IP", "address of a gateway"},
		{"gateway without address", nic(func(n *provision.NIC) {
			n.Addresses, n.Gateways = prefixes("192.0.2.10/24"), addrs("2001:db8::1")
		}), "nics[0].gateways[0]", "2001:db8::1", "no address of its family"},

		{"MTU", nic(func(n *provision.NIC) { n.MTU = 68 }), "", "", ""},
		{"largest MTU", nic(func(n *provision.NIC) { n.MTU = 65521 }), "", "", ""},
		{"MTU 67", nic(func(n *provision.NIC) { n.MTU = 67 }), "nics[0].mtu", "67", "from 68 to 65521"},
		{"MTU 65522", nic(func(n *provision.NIC) { n.MTU = 65522 }), "nics[0].mtu", "65522", "from 68 to 65521"},
		{"MTU -1", nic(func(n *provision.NIC) { n.MTU = -1 }), "nics[0].mtu", "-1", "from 68 to 65521"},
		{"MTU too small for IPv6", nic(func(n *provision.NIC) { n.MTU, n.Addresses = 1279, prefixes("2001:db8::10/64") }), "nics[0].mtu", "1279", "1280 that IPv6 needs"},
		{"small MTU with IPv4", nic(func(n *provision.NIC) { n.MTU, n.Addresses = 1279, prefixes("192.0.2.10/24") }), "", "", ""},
		{"smallest MTU with IPv6", nic(func(n *provision.NIC) { n.MTU, n.Addresses = 1280, prefixes("2001:db8::10/64") }), "", "", ""},

		{"anti-spoof", nic(func(n *provision.NIC) { n.AntiSpoof = provision.Off }), "", "", ""},
		{"anti-spoof 3", nic(func(n *provision.NIC) { n.AntiSpoof = 3 }), "nics[0].antiSpoof", "3", "neither true nor false"},
		{"anti-spoof -1", nic(func(n *provision.NIC) { n.AntiSpoof = -1 }), "nics[0].antiSpoof", "-1", "neither true nor false"},
		{"17 NICs", func(s *provision.Spec) { s.NICs = make([]provision.NIC, 17) }, "nics", "17", "at most 16"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestValidateDNS(t *testing.T) {
	for _, c := range []badField{
		{"DNS", dns(addrs("192.0.2.53", "2001:db8::53", "127.0.0.53"), "example.net"), "", "", ""},
		{"unspecified server", dns(addrs("0.0.0.0")), "dns.servers[0]", "0.0.0.0", "address of a server"},
		{"multicast server", dns(addrs("192.0.2.53", "224.0.0.1")), "dns.servers[1]", "224.0.0.1", "address of a server"},
		{"server with zone", dns(addrs("fe80::1%eth0")), "dns.servers[0]", "fe80::1%eth0", "address of a server"},
		{"zero server", dns(make([]netip.Addr, 1)), "dns.servers[0]", "invalid IP", "address of a server"},
		{"search with newline", dns(nil, "a\nnameserver 6.6.6.6"), "dns.search[0]", "a\nnameserver 6.6.6.6", "is not a host name"},
		{"search with space", dns(nil, "a", "b c"), "dns.search[1]", "b c", "is not a host name"},
		{"empty search", dns(nil, ""), "dns.search[0]", "", "is not a host name"},
		{"long search", dns(nil, strings.Repeat("a.", 127)+"a"), "dns.search[0]", clipped(strings.Repeat("a.", 99)), "at most 253"},
	} {
		t.Run(c.name, c.run)
	}
}
