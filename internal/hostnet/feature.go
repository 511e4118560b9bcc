package hostnet

// Enforcement is how far the kernel holds a guest to something.
type Enforcement int

// Values of [Enforcement].
const (
	NotEnforced Enforcement = iota
	Partial
	Enforced
)

// Feature is one thing that was asked of a NIC, and what the kernel has of it.
type Feature struct {
	Name        string // as in the NIC's Spec: "antiSpoof", "rate.in", …
	Want, Have  string // in the words of the Spec; rates in bits per second
	Enforcement Enforcement
	Reason      string // why it is not Enforced
}

const (
	noPort      = "the host's side of the NIC is not there: the guest does not run"
	noAddresses = "no addresses are set, so the guest's MAC is enforced, and that it is neither DHCP server nor router, but no IP address"
	noChain     = "its rules are not there; they are made when the guest starts"
	otherRules  = "its rules were changed by other means; they are made anew when the guest starts"
	noQueue     = "its queue is not there, or of another rate; it is made when the guest starts"
)
