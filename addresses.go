package provision

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// AddressSource says who says that a guest has an address.
type AddressSource string

// Values of [AddressSource]. What a lease, the agent and the ARP table say comes
// from the tenant: it may be wrong, and must not decide about anybody else.
const (
	SourceSpec  AddressSource = "spec"  // configured: what its Spec gives it
	SourceLease AddressSource = "lease" // the host's DHCP server has leased it
	SourceAgent AddressSource = "agent" // a program inside the guest tells
	SourceARP   AddressSource = "arp"   // the host has spoken with it lately
)

// Address is one address of a guest, as one source has it.
type Address struct {
	// Address with the length of its network's prefix; with that of the single
	// address where the source does not know it.
	Address netip.Prefix `json:"address"`
	// MAC of the NIC; zero where the source does not tell.
	MAC    MAC           `json:"mac,omitzero"`
	Source AddressSource `json:"source"`
}

// Addresses of a guest, with the sources that could not be asked.
type Addresses struct {
	// Found holds what was found: by source in the order of its values, as each
	// of them has it. One address may come from several.
	Found []Address `json:"found"`
	// Failed says why a source has nothing to say; one that works and knows no
	// address is not among them.
	Failed []FailedSource `json:"failed,omitempty"`
}

// FailedSource is a source of addresses that failed.
type FailedSource struct {
	Source AddressSource `json:"source"`
	Reason string        `json:"reason"`
}

// String is "agent: the guest has no channel for it".
func (f FailedSource) String() string { return string(f.Source) + ": " + f.Reason }

// Addresser finds out which addresses guests have.
type Addresser interface {
	// Addresses asks every source but SourceSpec, which is Host's. One that
	// fails, or does not answer within a bound of the backend's own, is in
	// Failed; only a hypervisor that does not answer at all is an error. What
	// comes from the guest is checked and bounded, and loopback and link-local
	// addresses are left out.
	Addresses(ctx context.Context, id ID) (Addresses, error)
}

// Addresses returns the addresses that the guest is configured to have and those
// that it is seen to have, each with who says so, and which source failed and
// why: a failure of one is no error. It is [errors.ErrUnsupported] where
// [Host.Supports] says so; [Status] has those that the Spec gives all the same.
func (g *Guest) Addresses(ctx context.Context) (Addresses, error) {
	list, err := g.addresses(ctx)
	return list, g.wrap("find the addresses of", err)
}

func (g *Guest) addresses(ctx context.Context) (Addresses, error) {
	a, err := need[Addresser](g.host, FeatureAddresses)
	if err != nil {
		return Addresses{}, err
	}
	_, rec, err := g.look(ctx)
	if err != nil {
		return Addresses{}, err
	}
	var seen Addresses
	err = g.call(ctx, "addresses", func(ctx context.Context) (err error) {
		seen, err = a.Addresses(ctx, g.id)
		return err
	})
	if err != nil {
		return Addresses{}, err
	}
	all := Addresses{Found: []Address{}, Failed: seen.Failed}
	if rec != nil {
		for _, n := range rec.Spec.NICs {
			for _, p := range n.Addresses {
				all.Found = append(all.Found, Address{p, n.MAC, SourceSpec})
			}
		}
	}
	all.Found = append(all.Found, seen.Found...)
	return all, nil
}

// UntilAddress waits until one of some sources knows an address of the guest, or
// any of SourceLease, SourceAgent and SourceARP if none is given. When the
// context ends before, the error says why those that failed did. A guest that is
// off is [ErrState], except for its configured addresses.
func UntilAddress(sources ...AddressSource) Condition {
	if len(sources) == 0 {
		sources = []AddressSource{SourceLease, SourceAgent, SourceARP}
	}
	sources = slices.Clone(sources)
	met := func(ctx context.Context, g *Guest, st Status) (bool, error) {
		all, err := g.addresses(ctx)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(all.Found, func(a Address) bool { return slices.Contains(sources, a.Source) }) {
			return true, nil
		}
		if !st.State.Live() {
			return false, stateError("wait for an address of", st)
		}
		return false, all.pending(sources)
	}
	return Condition{what: "an address from " + anyOf(sources), begin: func() test { return met }}
}

// pending says why there is no address yet.
func (a *Addresses) pending(sources []AddressSource) error {
	why := []string{}
	for _, f := range a.Failed {
		if slices.Contains(sources, f.Source) {
			why = append(why, f.String())
		}
	}
	if len(why) == 0 {
		why = append(why, "no source knows one")
	}
	return &pendingError{errors.New(strings.Join(why, "; "))}
}

// pendingError says why a condition is not met yet. It does not end a Wait, and is
// part of the error when something else does.
type pendingError struct{ error }
