package hostnet

// Counters of a NIC since its device was made: they begin at 0 again whenever the
// guest starts or reboots itself, with another [Link.Index].
type Counters struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// Peer is the same seen from the other end of a veth: what the host's side sends is
// what the guest receives.
func (c Counters) Peer() Counters {
	return Counters{
		RxBytes: c.TxBytes, RxPackets: c.TxPackets, RxErrors: c.TxErrors, RxDropped: c.TxDropped,
		TxBytes: c.RxBytes, TxPackets: c.RxPackets, TxErrors: c.RxErrors, TxDropped: c.RxDropped,
	}
}

// Link is a network device.
type Link struct {
	Index    int
	Name     string
	Kind     string // "veth", "bridge", "ifb", "openvswitch", …; empty for network cards
	MAC      [6]byte
	MTU      int
	Up       bool
	Loopback bool
	Master   int // index of the bridge that it is a port of; 0 is none

	Isolated      bool // as a port of a bridge
	VLANFiltering bool // as a bridge

	Counters Counters // as the device itself counts
}
