//go:build linux

package lxc

import (
	"context"
	"sync"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
)

// trial is what the host can do for NICs, found out once: it takes a network
// namespace, and may load modules of the kernel.
type trial struct {
	mu   sync.Mutex
	done bool
	can  hostnet.Support
}

// shell runs the trial, and hooks.
const shell = "/bin/sh"

// untried are the features that the trial tells of. Rules against foreign addresses
// are not among them: every guest with a card has them, and a kernel that has none
// makes its start fail.
var untried = []provision.Feature{provision.FeatureNICVLAN, provision.FeatureNICIsolated, provision.FeatureNICRate}

// Try implements [provision.Trier].
func (b *Backend) Try(ctx context.Context, f provision.Feature) error {
	can, err := b.trial.support(ctx)
	if err != nil {
		return err
	}
	lacks := map[provision.Feature]error{
		provision.FeatureNICVLAN:     can.VLAN,
		provision.FeatureNICIsolated: can.Isolated,
		provision.FeatureNICRate:     firstOf(can.In, can.Rules, can.Out),
	}
	if why := lacks[f]; why != nil {
		return &provision.UnsupportedError{Feature: f, Kind: kind, Reason: "the kernel, or a command of the host, refuses it in a trial: " + why.Error()}
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) support(ctx context.Context) (hostnet.Support, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return t.can, nil
	}
	can, err := hostnet.Probe(ctx, shell)
	if err != nil {
		return can, err
	}
	t.can, t.done = can, true
	return can, nil
}

var _ provision.Trier = (*Backend)(nil)
