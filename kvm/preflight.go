package kvm

import (
	"context"
	"errors"
	"fmt"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/guestforge/provision"
)

// maxBPS is what QEMU takes at most as a rate of bytes (THROTTLE_VALUE_MAX in its
// include/qemu/throttle.h).
const maxBPS = 1_000_000_000_000_000

// foretell judges the limits of a Spec against the host, and says how they would
// hold: it reads them from the definition that the guest would get.
func (b *Backend) foretell(ctx context.Context, p *pool, s *provision.Spec, emulated bool) ([]provision.Limit, error) {
	errs := rangeErrors(s)
	if err := b.pinnable(ctx, s.CPU.Pin); err != nil {
		errs = append(errs, err)
	}
	h, err := b.learn(ctx, s)
	if err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	if s.Needs.GuaranteedMemory && !h.locks && !s.Memory.HugePages {
		errs = append(errs, &provision.UnsupportedError{Feature: provision.FeatureMemoryGuaranteed, Kind: "kvm",
			Reason: "needs.guaranteedMemory demands memory that cannot be swapped out, and libvirtd may not lock it (" + b.whyNoLocks(ctx) + "); memory.hugePages is another way"})
	}
	if err := b.admit(ctx, s); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	g := &provision.NewGuest{ID: provision.ID(uuid.NewString()), Spec: withMACs(s)}
	d := b.domain(g, p, emulated)
	text, err := document(&d, g.Spec)
	if errors.Is(err, provision.ErrInvalid) {
		return nil, nil // which nativeFits has said
	}
	if err != nil {
		return nil, err
	}
	t, err := parseTuned(string(text))
	if err != nil {
		return nil, err
	}
	return t.limits(h.weights), nil
}

// rangeErrors are amounts that libvirt or QEMU have no form for.
func rangeErrors(s *provision.Spec) (errs []error) {
	for i, d := range s.Disks {
		if d.BPS > maxBPS {
			errs = append(errs, &provision.FieldError{Path: fmt.Sprintf("disks[%d].bps", i), Value: d.BPS.String(), Problem: "is more than QEMU takes, 10^15 bytes"})
		}
	}
	for i, n := range s.NICs {
		for _, r := range []struct {
			name string
			rate provision.BitRate
		}{{"in", n.Rate.In}, {"out", n.Rate.Out}} {
			if kib := kibPerSecond(r.rate); r.rate != 0 && (kib < 1 || kib > 1<<31-1) {
				errs = append(errs, &provision.FieldError{Path: fmt.Sprintf("nics[%d].rate.%s", i, r.name), Value: r.rate.String(),
					Problem: "is not from 8192 bits (1 KiB) to 2 TiB a second"})
			}
		}
	}
	return errs
}

// pinnable refuses processors that the host has not, or not switched on.
func (b *Backend) pinnable(ctx context.Context, pin []int) error {
	if len(pin) == 0 {
		return nil
	}
	var online []byte
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		online, _, _, err = l.NodeGetCPUMap(1, 0, 0)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for i, n := range pin {
		if n/8 >= len(online) || online[n/8]>>(n%8)&1 == 0 {
			errs = append(errs, &provision.FieldError{Path: fmt.Sprintf("cpu.pin[%d]", i), Value: fmt.Sprint(n),
				Problem: "is none of the host's processors: " + bitNumbers(online)})
		}
	}
	return errors.Join(errs...)
}

// withMACs fills in what a plan does not know yet and a definition needs.
func withMACs(s *provision.Spec) *provision.Spec {
	c := s.Copy()
	for i := range c.NICs {
		if c.NICs[i].MAC.IsZero() {
			c.NICs[i].MAC = provision.MAC{0x02, 0, 0, 0, 0, byte(i)}
		}
	}
	return &c
}

// whyNoLocks is the verdict of the trial.
func (b *Backend) whyNoLocks(ctx context.Context) string {
	var no *provision.UnsupportedError
	if errors.As(b.Try(ctx, featureLocks), &no) {
		return no.Reason
	}
	return "not known"
}
