package kvm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// settleTime bounds the question what has become of a change.
const settleTime = 5 * time.Second

// read runs an exchange that changes nothing. When its connection turns out to
// be lost, as after a restart of libvirtd, it is tried once more on a new one.
func (b *Backend) read(ctx context.Context, f func(*libvirt.Libvirt) error) error {
	return b.query(ctx, roleQuery, f)
}

// stream runs an exchange that reads a part of a volume.
func (b *Backend) stream(ctx context.Context, f func(*libvirt.Libvirt) error) error {
	return b.query(ctx, roleStream, f)
}

func (b *Backend) query(ctx context.Context, r role, f func(*libvirt.Libvirt) error) error {
	err := b.conns.as(ctx, r, "", b.opts.Timeout, f)
	if lost(err) && ctx.Err() == nil {
		err = b.conns.as(ctx, r, "", b.opts.Timeout, f)
	}
	return err
}

// write runs an exchange that changes something and is about no guest. It is
// repeated only where nothing of it was sent. When the connection is lost later,
// nobody knows whether it happened, and the error is ErrOutcomeUnknown; see
// settle.
func (b *Backend) write(ctx context.Context, f func(*libvirt.Libvirt) error) error {
	return b.job(ctx, "", f)
}

// job is write for a change of a guest.
func (b *Backend) job(ctx context.Context, guest provision.ID, f func(*libvirt.Libvirt) error) error {
	err := b.conns.as(ctx, roleJob, string(guest), b.opts.Timeout, f)
	var safe notSent
	if errors.As(err, &safe) && lost(err) && ctx.Err() == nil {
		err = b.conns.as(ctx, roleJob, string(guest), b.opts.Timeout, f)
	}
	return err
}

// settle makes an unknown outcome known where it can: it asks, on another
// connection, whether things are as they were to become. If so, the change
// counts as made, whoever made it. If not, it may still be under way, and the
// error says so. When the caller's context has ended nothing is asked.
func (b *Backend) settle(ctx context.Context, err error, reached func(*libvirt.Libvirt) (bool, error)) error {
	if !errors.Is(err, provision.ErrOutcomeUnknown) || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var yes bool
	asked := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		yes, err = reached(l)
		return err
	})
	switch {
	case asked != nil:
		return fmt.Errorf("%w (to ask again did not help: %v)", err, asked)
	case yes:
		return nil
	}
	return fmt.Errorf("%w (asked again, libvirtd has not done it, or not yet)", err)
}

// settleDomain is settle for a change of a domain. What is asked of a domain
// that is gone is not so.
func (b *Backend) settleDomain(ctx context.Context, id provision.ID, err error, reached func(*libvirt.Libvirt, libvirt.Domain) (bool, error)) error {
	d, bad := domainOf(id)
	if bad != nil {
		return err
	}
	return b.settle(ctx, err, func(l *libvirt.Libvirt) (bool, error) {
		yes, err := reached(l, d)
		if hasCode(err, libvirt.ErrNoDomain) {
			return false, nil
		}
		return yes, err
	})
}

// volumeGone asks whether a volume has been deleted.
func volumeGone(v libvirt.StorageVol) func(*libvirt.Libvirt) (bool, error) {
	return func(l *libvirt.Libvirt) (bool, error) {
		_, err := l.StorageVolLookupByKey(v.Key)
		if hasCode(err, libvirt.ErrNoStorageVol) {
			return true, nil
		}
		return false, err
	}
}

// defined asks whether there is a domain of this ID and record.
func defined(id provision.ID, record provision.Record) func(*libvirt.Libvirt) (bool, error) {
	return func(l *libvirt.Libvirt) (bool, error) {
		d, err := domainOf(id)
		if err != nil {
			return false, err
		}
		text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		if hasCode(err, libvirt.ErrNoDomain) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		inv, err := domainxml.Read([]byte(text))
		return err == nil && inv.Metadata[namespace] == string(record), err
	}
}

// domainGone asks whether a domain has been undefined.
func domainGone(id provision.ID) func(*libvirt.Libvirt) (bool, error) {
	return func(l *libvirt.Libvirt) (bool, error) {
		d, err := domainOf(id)
		if err == nil {
			_, _, err = l.DomainGetState(d, 0)
		}
		if hasCode(err, libvirt.ErrNoDomain) {
			return true, nil
		}
		return false, err
	}
}
