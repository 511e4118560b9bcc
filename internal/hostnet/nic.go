package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// NIC is one NIC of a guest, as it is wanted.
type NIC struct {
	Guest string // the guest's ID; names are made of it
	Index int    // among the guest's NICs, from 0 to MaxNICs-1

	Bridge string  // of the host
	VLAN   int     // tag, 1 to 4094; 0 is none
	MAC    [6]byte // the guest's
	MTU    int     // of the host's side; 0 leaves it as it is

	// In and Out are the most that the guest receives and sends, in bits per
	// second, MinRate to MaxRate; 0 is no limit. The fraction of a byte is cut off.
	In, Out uint64

	// AntiSpoof drops frames that do not carry the guest's own MAC and, where
	// Addresses are set, those and no others. A guest without any may have every
	// address, and is still neither DHCP server nor router.
	AntiSpoof bool
	Addresses []netip.Prefix

	// Isolated ports of a bridge exchange no frames with each other.
	Isolated bool
}

// Rates that can be had. At less than MinRate one frame takes seconds, and the
// kernel's clock for it overflows.
const (
	MinRate = 8_000             // bits per second
	MaxRate = 1_000_000_000_000 // bits per second
)

const (
	minMTU       = 68    // RFC 791
	MaxMTU       = 65521 // what the root package takes
	maxAddresses = 64
)

// ErrInvalid is about a NIC that cannot be rendered.
var ErrInvalid = errors.New("invalid NIC")

// Device is the name of the host's side.
func (n *NIC) Device() string { return Device(n.Guest, n.Index) }

func (n *NIC) shaper() string { return shaper(n.Guest, n.Index) }

// mac in the notation of nft.
func (n *NIC) mac() string { return net.HardwareAddr(n.MAC[:]).String() }

// Check says why nothing can be rendered for the NIC, with ErrInvalid.
func (n *NIC) Check() error {
	problem := ""
	switch {
	case n.Guest == "":
		problem = "it has no guest ID"
	case n.Index < 0 || n.Index >= MaxNICs:
		problem = fmt.Sprintf("its index %d is not from 0 to %d", n.Index, MaxNICs-1)
	case !bridgeRE.MatchString(n.Bridge) || ours.MatchString(n.Bridge):
		problem = fmt.Sprintf("%q is not the name of a bridge", n.Bridge)
	case n.VLAN < 0 || n.VLAN > 4094:
		problem = fmt.Sprintf("%d is not a VLAN from 1 to 4094", n.VLAN)
	case n.MAC == [6]byte{} || n.MAC[0]&1 != 0:
		problem = n.mac() + " is not the MAC address of one NIC"
	case n.MTU != 0 && (n.MTU < minMTU || n.MTU > MaxMTU):
		problem = fmt.Sprintf("%d is not an MTU from %d to %d", n.MTU, minMTU, MaxMTU)
	case !rateFits(n.In) || !rateFits(n.Out):
		problem = fmt.Sprintf("a rate is not from %d to %d bits per second", MinRate, MaxRate)
	default:
		problem = checkAddresses(n.Addresses)
	}
	if problem != "" {
		return fmt.Errorf("%w: NIC %d on bridge %q: %s", ErrInvalid, n.Index, n.Bridge, problem)
	}
	return nil
}

func rateFits(r uint64) bool { return r == 0 || r >= MinRate && r <= MaxRate }

func checkAddresses(list []netip.Prefix) string {
	if len(list) > maxAddresses {
		return fmt.Sprintf("%d addresses are too many; at most %d are accepted", len(list), maxAddresses)
	}
	seen := map[netip.Addr]bool{}
	for _, p := range list {
		a := p.Addr()
		switch {
		case !p.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6():
			return fmt.Sprintf("%q is not an address that a guest can have", p)
		case seen[a]:
			return fmt.Sprintf("the address %s is given twice", a)
		}
		seen[a] = true
	}
	return ""
}

// families splits the addresses by family.
func (n *NIC) families() (v4, v6 []netip.Addr) {
	for _, p := range n.Addresses {
		if p.Addr().Is4() {
			v4 = append(v4, p.Addr())
		} else {
			v6 = append(v6, p.Addr())
		}
	}
	return v4, v6
}

// linkLocal is the address that the guest gives itself by its MAC (RFC 4291,
// appendix A).
func (n *NIC) linkLocal() netip.Addr {
	m := n.MAC
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}
