//go:build linux

package lxc

import (
	"context"
	"errors"
	"slices"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
)

// maxAddresses bounds what is taken of one guest.
const maxAddresses = 256

// Reasons why a source of addresses has nothing to say.
const (
	notAsked = "it is not asked: the guest's own interfaces are read instead"
	noRun    = "the guest does not run"
)

// Addresses implements [provision.Addresser]. SourceAgent stands for what the guest's
// interfaces have: the kernel tells it, without any program of the guest's, but what
// they have is the tenant's to say.
func (b *Backend) Addresses(ctx context.Context, id provision.ID) (provision.Addresses, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return provision.Addresses{}, err
	}
	l, err := b.lifeOf(d)
	if err != nil {
		return provision.Addresses{}, err
	}
	all := provision.Addresses{Failed: []provision.FailedSource{{Source: provision.SourceLease, Reason: notAsked}}}
	inside := hostnet.Inside{Err: errors.New(noRun)}
	if l.init != 0 {
		if inside, err = look(ctx, l.init); err != nil {
			return provision.Addresses{}, err
		}
	}
	if inside.Err != nil {
		all.Failed = append(all.Failed, provision.FailedSource{Source: provision.SourceAgent, Reason: inside.Err.Error()})
	}
	all.Failed = append(all.Failed, provision.FailedSource{Source: provision.SourceARP, Reason: notAsked})
	all.Found = foundIn(&inside, d)
	return all, nil
}

// look reads the network of one guest.
func look(ctx context.Context, init int) (hostnet.Inside, error) {
	st, err := readStat(init)
	if gone(err) {
		return hostnet.Inside{Err: errors.New(noRun)}, nil
	}
	if err != nil {
		return hostnet.Inside{}, err
	}
	list, err := hostnet.Look(ctx, []hostnet.Init{{PID: init, Started: st.started}})
	if err != nil {
		return hostnet.Inside{}, err
	}
	return list[0], nil
}

// foundIn returns the addresses that others can reach the guest's cards by. What it has
// beside them, bridges of its own containers and the like, nobody else can reach.
func foundIn(inside *hostnet.Inside, d *definition) (list []provision.Address) {
	for _, nic := range inside.Interfaces {
		mac := provision.MAC(nic.MAC)
		if !slices.ContainsFunc(d.Spec.NICs, func(n provision.NIC) bool { return n.MAC == mac }) {
			continue
		}
		for _, a := range nic.Addresses {
			ip := a.Prefix.Addr()
			if a.LinkLocal || a.Tentative || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() || len(list) == maxAddresses {
				continue
			}
			list = append(list, provision.Address{Address: a.Prefix, MAC: mac, Source: provision.SourceAgent})
		}
	}
	return list
}

var _ provision.Addresser = (*Backend)(nil)
