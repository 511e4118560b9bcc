package kvm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// A feature that can be had is not tried again; that it cannot is believed for a
// while; and what says nothing of it is not kept at all.
func TestVerdicts(t *testing.T) {
	const f = provision.FeatureNICRate
	against := &provision.UnsupportedError{Feature: f, Kind: "kvm", Reason: "tc is missing"}
	for name, c := range map[string]struct {
		err  error
		want error
		kept bool // for a moment
		ever bool
	}{
		"it can be had":     {nil, nil, true, true},
		"it cannot":         {against, against, true, false},
		"of another":        {&provision.UnsupportedError{Feature: "hardware acceleration"}, errors.ErrUnsupported, false, false},
		"not now":           {errNotNow, nil, false, false},
		"no guest starts":   {fmt.Errorf("%w: %w", errNoTrial, libvirt.Error{Code: uint32(libvirt.ErrNoMemory)}), errNoTrial, false, false},
		"libvirt's, of all": {classify(libvirt.Error{Code: uint32(libvirt.ErrNoSupport)}), errors.ErrUnsupported, false, false},
		"no answer":         {provision.ErrUnavailable, provision.ErrUnavailable, false, false},
	} {
		b := New(nil)
		tries := 0
		try := func(context.Context) error { tries++; return c.err }
		check := func(want int) {
			t.Helper()
			err := b.tried(t.Context(), f, try)
			if c.want == nil {
				require.NoError(t, err, name)
			} else {
				require.ErrorIs(t, err, c.want, name)
			}
			require.Equal(t, want, tries, name)
		}
		again := func(known bool) int {
			if known {
				return tries
			}
			return tries + 1
		}
		check(1)
		check(again(c.kept))
		for f, v := range b.trials.done {
			v.at = v.at.Add(-verdictLife - time.Second)
			b.trials.done[f] = v
		}
		check(again(c.ever))
	}
}

// What a definition says of weights is translated without a trial.
func TestWeighWithoutTrial(t *testing.T) {
	b := New(nil)
	weight := func() provision.Limit {
		list := []provision.Limit{{Path: "cpu.weight", Have: "shares 512", Enforcement: provision.Enforced}}
		weigh(list, b.scale)
		return list[0]
	}
	l := weight()
	require.Equal(t, provision.NotEnforced, l.Enforcement)
	require.Contains(t, l.Reason, "is not known until")
	require.Empty(t, l.Have)
	b.trials.keep(provision.FeatureCPULimit, &provision.UnsupportedError{Feature: provision.FeatureCPULimit, Kind: "kvm", Reason: "no groups"})
	require.Contains(t, weight().Reason, "no groups")
	b.know(func(h *host) { h.weights = weightsV1 })
	require.Equal(t, provision.Limit{Path: "cpu.weight", Have: "50", Enforcement: provision.Enforced}, weight())
}
