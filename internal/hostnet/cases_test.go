package hostnet

import "net/netip"

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

var testMAC = [6]byte{0x52, 0x54, 0, 1, 2, 3}

// nicCases are NICs of one guest each, which may be made without VLANs.
func nicCases() map[string]NIC {
	v4, v6 := prefixes("192.0.2.10/24"), prefixes("2001:db8::10/64")
	list := map[string]NIC{
		"plain":           {},
		"mtu":             {MTU: 1400},
		"mac":             {AntiSpoof: true},
		"ipv4":            {AntiSpoof: true, Addresses: v4},
		"ipv6":            {AntiSpoof: true, Addresses: v6},
		"dual":            {AntiSpoof: true, Addresses: append(prefixes("192.0.2.9/24"), append(v4, v6...)...)},
		"isolated":        {Isolated: true},
		"in":              {In: 20_000_000},
		"out":             {Out: 10_000_001},
		"out-filtered":    {Out: 10_000_000, AntiSpoof: true, Addresses: v4},
		"slowest":         {In: MinRate, Out: MinRate, MTU: MaxMTU},
		"fastest":         {In: MaxRate, Out: MaxRate},
		"off-with-limits": {In: 1_000_000_000, Out: 1_000_000_000, Addresses: v4},
		"everything":      {Index: 7, In: 100_000_000, Out: 50_000_000, MTU: 1420, AntiSpoof: true, Isolated: true, Addresses: append(v4, v6...)},
	}
	for name, n := range list {
		n.Guest, n.Bridge, n.MAC = "guest-"+name, "br0", testMAC
		list[name] = n
	}
	return list
}
