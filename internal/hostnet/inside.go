package hostnet

import (
	"errors"
	"net/netip"
)

// Init is the first process of a guest.
type Init struct {
	PID int
	// Started is its start time, field 22 of /proc/PID/stat (proc(5)). Where it is
	// not 0, another process that got the same number is told from it.
	Started uint64
}

// Errors of [Inside].
var (
	// ErrGone: the process has ended, or is another one by now.
	ErrGone = errors.New("the guest's first process is gone")
	// ErrNotInside: the guest has no network of its own.
	ErrNotInside = errors.New("the process is in the host's network namespace")
)

// Inside is the network as a guest has it. The guest's own root sets all of it,
// counters included, so none of it is to be trusted or billed.
type Inside struct {
	Interfaces []Interface // without loopback
	Truncated  bool        // there are more devices or addresses than are read
	Err        error       // why nothing is known: ErrGone, ErrNotInside, …
}

// Interface is a NIC inside of a guest.
type Interface struct {
	Link
	Addresses []Address
}

// Address of a NIC inside of a guest.
type Address struct {
	Prefix    netip.Prefix
	LinkLocal bool // fe80::/10 or 169.254.0.0/16
	// Tentative addresses cannot be used: it is not known yet whether another NIC
	// has them, or it is known and they stay so (RFC 4862).
	Tentative bool
}
