// Package hostnet is the host's side of a container's NICs: a veth that is a port of
// a bridge. It renders the shell fragments that put rules, rates and flags on that
// port, reads back what the kernel has in force, and reads addresses inside network
// namespaces.
//
// Fragments, and not calls, because the port is made anew whenever a guest reboots
// itself, while no process of ours runs: the hook script that the container manager
// calls is the only one that is always there. Everything in a fragment is rendered
// from numbers, addresses and names that passed [NIC.Check]; no other string gets in.
//
// # What the kernel does
//
// Frames from the guest come in at the port. One chain of nftables at its ingress
// hook drops what is not the guest's own, and, with a limit for what the guest sends,
// hands the rest to a device of type ifb whose tbf queue delays it. The other order,
// a tc filter that redirects to the ifb, must not be used: the kernel does not show
// the chain what comes back from an ifb, so every rule is passed by. What the guest
// receives is delayed by a tbf queue at the port itself.
//
// Policing in the chain (limit rate over … drop) would need no ifb, and holds no rate:
// of 20, 100 and 500 Mbit/s asked, TCP had 27, 137 and 712 with a burst of 10 ms (70 kB
// at least), and more with a larger one, against 19, 96 and 477 by the queue (reno and
// bbr alike, Linux 6.18).
package hostnet
