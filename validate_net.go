package provision

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMTU is the most that the host's side of a NIC takes: tun_net_init in
// drivers/net/tun.c of Linux, 65535 less an Ethernet header.
const maxMTU = 65521

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

func (f *fields) nics(nics []NIC) {
	if len(nics) > maxNICs {
		f.add("nics", fmt.Sprint(len(nics)), "NICs are too many; at most %d are accepted", maxNICs)
		return
	}
	macs := map[MAC]int{}
	addrs := map[netip.Addr]string{}
	for i, n := range nics {
		at := fmt.Sprintf("nics[%d].", i)
		if n.Bridge == "" {
			f.add(at+"bridge", "", "is required: the name of a bridge of the host")
		} else if !bridgeRE.MatchString(n.Bridge) {
			f.add(at+"bridge", n.Bridge, "is not the name of a bridge: 1 to 15 characters of letters, digits, dot, underscore and hyphen")
		}
		if n.VLAN < 0 || n.VLAN > 4094 {
			f.add(at+"vlan", fmt.Sprint(n.VLAN), "is not a VLAN from 1 to 4094")
		}
		f.mtu(at+"mtu", n)
		f.mac(at+"mac", n.MAC, macs, i)
		f.addresses(at, n, addrs)
		if n.AntiSpoof < Default || n.AntiSpoof > Off {
			f.add(at+"antiSpoof", fmt.Sprint(int8(n.AntiSpoof)), "is neither true nor false")
		}
	}
}

// mtu: an IPv4 link takes 68 bytes (RFC 791), and an IPv6 one 1280 (RFC 8200).
func (f *fields) mtu(path string, n NIC) {
	switch {
	case n.MTU == 0:
	case n.MTU < 68 || n.MTU > maxMTU:
		f.add(path, fmt.Sprint(n.MTU), "is not a packet size from 68 to %d", maxMTU)
	case n.MTU < 1280 && hasFamily(n.Addresses, netip.IPv6Unspecified()):
		f.add(path, fmt.Sprint(n.MTU), "is less than the 1280 that IPv6 needs, and there is an IPv6 address")
	}
}

func (f *fields) mac(path string, m MAC, seen map[MAC]int, nic int) {
	if m.IsZero() {
		return
	}
	if other, dup := seen[m]; dup {
		f.add(path, m.String(), "is the address of nics[%d] too", other)
	}
	seen[m] = nic
	switch {
	case m[0]&1 != 0:
		f.add(path, m.String(), "is a multicast address; the lowest bit of the first byte must be 0")
	case m[0] == 0xfe:
		f.add(path, m.String(), "begins with fe, which the host's side of NICs uses")
	}
}

func (f *fields) addresses(at string, n NIC, seen map[netip.Addr]string) {
	f.most(at+"addresses", len(n.Addresses), maxAddrs)
	for i, p := range n.Addresses {
		path := fmt.Sprintf("%saddresses[%d]", at, i)
		a := p.Addr()
		switch {
		case !p.IsValid() || p.Bits() == 0:
			f.add(path, "", "is not an address with a prefix length, as 192.0.2.10/24")
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			f.add(path, p.String(), "is not an address that a guest can have")
		case p.IsSingleIP() || p.Bits() == a.BitLen()-1:
		case a.Is4() && (a == p.Masked().Addr() || a == broadcast(p)):
			f.add(path, p.String(), "is the network's own or broadcast address")
		}
		if other, dup := seen[a]; dup {
			f.add(path, p.String(), "is given in %s too", other)
		}
		seen[a] = path
	}
	families := map[bool]bool{}
	for i, g := range n.Gateways {
		path := fmt.Sprintf("%sgateways[%d]", at, i)
		switch {
		case !g.IsValid() || g.IsUnspecified() || g.IsMulticast() || g.Is4In6() || g.Zone() != "":
			f.add(path, g.String(), "is not the address of a gateway")
		case families[g.Is4()]:
			f.add(path, g.String(), "is a second gateway of its family; one for IPv4 and one for IPv6 are accepted")
		case !hasFamily(n.Addresses, g):
			f.add(path, g.String(), "has no address of its family beside it")
		}
		families[g.Is4()] = true
	}
}

func hasFamily(list []netip.Prefix, g netip.Addr) bool {
	for _, p := range list {
		if p.Addr().Is4() == g.Is4() {
			return true
		}
	}
	return false
}

func broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	n := binary.BigEndian.Uint32(a[:]) | (1<<(32-p.Bits()) - 1)
	binary.BigEndian.PutUint32(a[:], n)
	return netip.AddrFrom4(a)
}

// keyProblem checks a line of authorized_keys (sshd(8)) without options: a
// type, the key, whose own first field repeats the type, and a comment.
func keyProblem(line string) string {
	const want = "is not a public key in one line: ssh-ed25519 AAAA… comment"
	if !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
		return "holds control characters or is not UTF-8; " + want
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) < 2 || len(line) > 16<<10 || !sshRE.MatchString(parts[0]) {
		return want
	}
	raw, err := base64.StdEncoding.DecodeString(parts[1])
	if err != nil || len(raw) < 4 {
		return want
	}
	if n := binary.BigEndian.Uint32(raw); int64(n) > int64(len(raw)-4) || string(raw[4:4+n]) != parts[0] {
		return want + " (the key does not match its type)"
	} else if int64(n) == int64(len(raw)-4) {
		return want + " (there is no key in it)"
	}
	return ""
}
