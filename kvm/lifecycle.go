package kvm

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// domainOf names a domain by its UUID, which is all that libvirtd looks at.
func domainOf(id provision.ID) (libvirt.Domain, error) {
	d := libvirt.Domain{Name: string(id), ID: -1}
	raw, err := hex.DecodeString(strings.ReplaceAll(string(id), "-", ""))
	if err != nil || len(raw) != len(d.UUID) {
		return d, fmt.Errorf("%w: %q is no ID of a KVM guest", provision.ErrNotFound, id)
	}
	copy(d.UUID[:], raw)
	return d, nil
}

// change runs one exchange about a domain.
func (b *Backend) change(ctx context.Context, id provision.ID, f func(*libvirt.Libvirt, libvirt.Domain) error) error {
	d, err := domainOf(id)
	if err != nil {
		return err
	}
	defer b.cache.drop(d.UUID)
	defer b.silent.drop(d.UUID)
	return b.job(ctx, id, func(l *libvirt.Libvirt) error { return f(l, d) })
}

// reached turns a refusal into success where the guest is already as wanted:
// libvirt has one code for all that does not fit a state.
func (b *Backend) reached(ctx context.Context, id provision.ID, err error, ok func(provision.State) bool) error {
	err = b.settleDomain(ctx, id, err, func(l *libvirt.Libvirt, d libvirt.Domain) (bool, error) {
		state, reason, err := l.DomainGetState(d, 0)
		st, _ := stateOf(state, reason)
		return err == nil && ok(st), err
	})
	if !errors.Is(err, provision.ErrState) {
		return err
	}
	st, _, serr := b.state(ctx, id)
	if serr == nil && ok(st) {
		return nil
	}
	return err
}

// Start implements [provision.Backend].
func (b *Backend) Start(ctx context.Context, id provision.ID) error {
	if err := b.ensureGuestFilters(ctx, id); err != nil {
		return err
	}
	if err := b.admitStart(ctx, id); err != nil {
		return err
	}
	err := b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		_, err := l.DomainCreateWithFlags(d, 0)
		return err
	})
	if err != nil && !errors.Is(err, provision.ErrState) {
		err = b.explainStart(ctx, id, err)
	}
	return b.reached(ctx, id, err, func(s provision.State) bool { return s == provision.StateRunning })
}

// Stop implements [provision.Backend]. A kill lets QEMU write back what it has
// in its own caches: libvirt asks it with SIGTERM before it uses SIGKILL.
func (b *Backend) Stop(ctx context.Context, id provision.ID, how provision.StopMode) error {
	err := b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		if how == provision.Shutdown {
			return l.DomainShutdownFlags(d, libvirt.DomainShutdownAcpiPowerBtn)
		}
		return l.DomainDestroyFlags(d, 0)
	})
	return b.reached(ctx, id, err, func(s provision.State) bool { return !s.Live() })
}

// Pause implements [provision.Pauser].
func (b *Backend) Pause(ctx context.Context, id provision.ID) error {
	err := b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error { return l.DomainSuspend(d) })
	return b.reached(ctx, id, err, func(s provision.State) bool { return s == provision.StatePaused })
}

// Resume implements [provision.Pauser]. A guest that has suspended itself to
// memory is woken.
func (b *Backend) Resume(ctx context.Context, id provision.ID) error {
	err := b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		err := l.DomainResume(d)
		if !hasCode(err, libvirt.ErrOperationInvalid) {
			return err
		}
		state, _, serr := l.DomainGetState(d, 0)
		if serr == nil && libvirt.DomainState(state) == libvirt.DomainPmsuspended {
			return l.DomainPmWakeup(d, 0)
		}
		return err
	})
	return b.reached(ctx, id, err, func(s provision.State) bool { return s == provision.StateRunning })
}

// SetAutostart implements [provision.Autostarter]. Guests start when libvirtd
// does for the first time after a boot of the host, in no certain order.
func (b *Backend) SetAutostart(ctx context.Context, id provision.ID, on bool) error {
	flag := int32(0)
	if on {
		flag = 1
	}
	err := b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error { return l.DomainSetAutostart(d, flag) })
	return b.settleDomain(ctx, id, err, func(l *libvirt.Libvirt, d libvirt.Domain) (bool, error) {
		have, err := l.DomainGetAutostart(d)
		return have == flag, err
	})
}

// SetRecord implements [provision.Backend]. A running domain has two
// configurations, and only the persistent one is read back; both are written,
// so that tools that look at the live one agree.
func (b *Backend) SetRecord(ctx context.Context, id provision.ID, r provision.Record) error {
	m := metadata(r)
	text, err := m.XML()
	if err != nil {
		return err
	}
	set := func(l *libvirt.Libvirt, d libvirt.Domain, impact libvirt.DomainModificationImpact) error {
		return l.DomainSetMetadata(d, int32(libvirt.DomainMetadataElement), libvirt.OptString{text},
			libvirt.OptString{m.Prefix}, libvirt.OptString{m.Namespace}, impact)
	}
	err = b.change(ctx, id, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		active, err := l.DomainIsActive(d)
		if err == nil && active != 0 {
			err = set(l, d, libvirt.DomainAffectLive|libvirt.DomainAffectConfig)
			if !hasCode(err, libvirt.ErrOperationInvalid) {
				return err
			}
			err = nil // it went off meanwhile
		}
		if err != nil {
			return err
		}
		return set(l, d, libvirt.DomainAffectConfig)
	})
	return b.settle(ctx, err, defined(id, r))
}
