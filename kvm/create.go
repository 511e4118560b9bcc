package kvm

import (
	"context"
	"errors"
	"fmt"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Create implements [provision.Backend]. The domain comes first, as it carries
// the record; it names disks that are made after it.
func (b *Backend) Create(ctx context.Context, g *provision.NewGuest, s *provision.Steps) error {
	emulated, err := b.emulated(ctx)
	if err != nil {
		return err
	}
	p, err := b.pool(ctx)
	if err != nil {
		return err
	}
	if err := s.Do(ctx, "define", func(ctx context.Context) error {
		return b.define(ctx, b.domain(g, p, emulated))
	}); err != nil {
		return err
	}
	if g.Spec.Image != "" {
		if err := s.Do(ctx, "root disk", func(ctx context.Context) error { return b.rootDisk(ctx, p, g) }); err != nil {
			return err
		}
	}
	if err := s.Do(ctx, "seed", func(ctx context.Context) error { return b.makeSeed(ctx, p, g) }); err != nil {
		return err
	}
	return s.Do(ctx, "console log", func(ctx context.Context) error {
		_, err := b.createVolume(ctx, p, volume{name: consoleName(g.ID), format: "raw"})
		return err
	})
}

// define makes the domain, never changes one: libvirt refuses a name that is
// taken by another UUID, and ours is new.
func (b *Backend) define(ctx context.Context, d domainxml.Guest) error {
	text, err := domainxml.Build(d)
	if err != nil {
		return err
	}
	err = b.write(ctx, func(l *libvirt.Libvirt) error {
		_, err := l.DomainDefineXMLFlags(string(text), libvirt.DomainDefineValidate)
		return err
	})
	if hasCode(err, libvirt.ErrOperationFailed) {
		return b.nameTaken(ctx, d.Name, err)
	}
	return err
}

// nameTaken tells a name that is taken from other failures of a define, which
// have the same code.
func (b *Backend) nameTaken(ctx context.Context, name string, err error) error {
	lookup := b.read(ctx, func(l *libvirt.Libvirt) error {
		_, err := l.DomainLookupByName(name)
		return err
	})
	if lookup == nil {
		return fmt.Errorf("%w: %w", provision.ErrExists, err)
	}
	return err
}

// rootDisk makes an overlay on the image, of the asked size.
func (b *Backend) rootDisk(ctx context.Context, p *pool, g *provision.NewGuest) error {
	img, err := b.image(ctx, p, g.Spec.Image)
	if err != nil {
		return err
	}
	size := uint64(g.Spec.Disks[0].Size)
	if size == 0 {
		size = uint64(img.Capacity)
	}
	_, err = b.createVolume(ctx, p, volume{
		name: rootName(g.ID), format: diskFormat, size: size,
		backing: &backing{path: p.imagePath(&img), format: img.Format},
	})
	return err
}

func (b *Backend) makeSeed(ctx context.Context, p *pool, g *provision.NewGuest) error {
	data, err := seed(g.ID, g.Spec)
	if err != nil {
		return err
	}
	return b.store(ctx, p, seedName(g.ID), data)
}

// Preflight implements [provision.Preflighter].
func (b *Backend) Preflight(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	var errs []error
	if _, err := b.emulated(ctx); errors.Is(err, errors.ErrUnsupported) {
		errs = append(errs, err)
	} else if err != nil {
		return nil, err
	}
	if s.Native == nil && s.Image == "" {
		errs = append(errs, &provision.FieldError{Path: "image", Problem: "is required"})
	}
	if n, ok := s.Native.(*Native); ok && s.Image == "" && (n == nil || n.Kernel == nil) {
		errs = append(errs, &provision.FieldError{Path: "image", Problem: "is required where native.kernel is not set"})
	}
	if len(s.DNS.Servers)+len(s.DNS.Search) > 0 && len(s.NICs) == 0 {
		errs = append(errs, &provision.FieldError{Path: "dns", Problem: "is of no use to a guest without a NIC"})
	}
	if s.Image != "" {
		p, err := b.pool(ctx)
		if err != nil {
			return nil, err
		}
		img, err := b.image(ctx, p, s.Image)
		if err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
		if size := s.Disks[0].Size; size != 0 && int64(size) < img.Capacity {
			errs = append(errs, &provision.FieldError{Path: "disks[0].size", Value: size.String(),
				Problem: fmt.Sprintf("is less than the %s of image %s", provision.Bytes(img.Capacity), img.Name)})
		}
	}
	return nil, errors.Join(errs...)
}
