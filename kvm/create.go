package kvm

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// Create implements [provision.Backend]. The domain comes first, as it carries
// the record; it names disks that are made after it.
func (b *Backend) Create(ctx context.Context, g *provision.NewGuest, s *provision.Steps) error {
	emulated, err := b.emulated(ctx)
	if err != nil {
		return err
	}
	if _, err := b.learn(ctx, g.Spec); err != nil {
		return err
	}
	p, err := b.pool(ctx)
	if err != nil {
		return err
	}
	if err := s.Do(ctx, "define", func(ctx context.Context) error {
		d := b.domain(g, p, emulated)
		text, err := document(&d, g.Spec)
		if err != nil {
			return err
		}
		if err := b.ensureFilters(ctx, filterNames(d.NICs)); err != nil {
			return err
		}
		return b.settle(ctx, b.define(ctx, g.Spec, text), defined(g.ID, g.Record))
	}); err != nil {
		return err
	}
	if hasDisk(g.Spec, 0) {
		if err := s.Do(ctx, "root disk", func(ctx context.Context) error { return b.rootDisk(ctx, p, g, s) }); err != nil {
			return err
		}
	}
	for i := 1; i < len(g.Spec.Disks); i++ {
		if err := s.Do(ctx, fmt.Sprintf("disk %d", i), func(ctx context.Context) error { return b.dataDisk(ctx, p, g, i) }); err != nil {
			return err
		}
	}
	if err := s.Do(ctx, "seed", func(ctx context.Context) error { return b.makeSeed(ctx, p, g) }); err != nil {
		return err
	}
	return s.Do(ctx, "console log", func(ctx context.Context) error {
		_, err := b.createVolume(ctx, p.ofFiles(), volume{name: consoleName(g.ID), format: "raw"})
		return err
	})
}

// define makes the domain, never changes one: libvirt refuses a name that is
// taken by another UUID, and ours is new.
func (b *Backend) define(ctx context.Context, s *provision.Spec, text []byte) error {
	err := b.write(ctx, func(l *libvirt.Libvirt) error {
		_, err := l.DomainDefineXMLFlags(string(text), libvirt.DomainDefineValidate)
		return err
	})
	if hasCode(err, libvirt.ErrOperationFailed) {
		return b.nameTaken(ctx, s.Name, err)
	}
	return blameEdits(s, err)
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

// dataDisk makes the disk i, which is empty.
func (b *Backend) dataDisk(ctx context.Context, p *pool, g *provision.NewGuest, i int) error {
	v := volume{name: diskName(p, g.ID, i), format: diskFormat, size: uint64(g.Spec.Disks[i].Size), whole: p.block()}
	if p.block() {
		v.format = ""
	}
	_, err := b.createVolume(ctx, p, v)
	return err
}

func (b *Backend) makeSeed(ctx context.Context, p *pool, g *provision.NewGuest) error {
	data, err := seed(g.ID, g.Spec)
	if err != nil {
		return err
	}
	return b.store(ctx, p.ofFiles(), seedName(g.ID), data)
}

// Preflight implements [provision.Preflighter].
func (b *Backend) Preflight(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	var errs []error
	emulated, err := b.emulated(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		errs = append(errs, err)
	} else if err != nil {
		return nil, err
	}
	if err == nil {
		wrong, err := b.nativeFits(ctx, s, emulated)
		if err != nil {
			return nil, err
		}
		errs = append(errs, wrong...)
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
	p, err := b.pool(ctx)
	if err != nil {
		return nil, err
	}
	more, err := b.judgeDisks(ctx, p, s)
	if err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	nics, wrongNICs := b.preflightNICs(ctx, s)
	limits, wrongLimits := b.foretell(ctx, p, s, emulated)
	return append(nics, limits...), errors.Join(append(append(errs, more...), wrongNICs, wrongLimits)...)
}

// judgeDisks returns what keeps the pool from holding the disks of a Spec. The
// space that is left counts only where a disk takes all of its own at once.
func (b *Backend) judgeDisks(ctx context.Context, p *pool, s *provision.Spec) (errs []error, err error) {
	var need uint64
	for _, d := range s.Disks {
		need += uint64(d.Size)
	}
	if n := nativeOf(s); n.RootDisk == RootOverlay && p.block() && s.Image != "" {
		errs = append(errs, &provision.FieldError{Path: "native.rootDisk", Value: RootOverlay,
			Problem: fmt.Sprintf("cannot be had in the pool %q of type %s, whose volumes are raw block devices; leave it empty or state copy", p.name, p.kind)})
	}
	if d := s.Disks[0]; s.Image == "" && d.Size == 0 && (d.IOPS != 0 || d.BPS != 0) {
		errs = append(errs, &provision.FieldError{Path: "disks[0].size", Problem: "is required: without an image there is no root disk to limit"})
	}
	if s.Image != "" {
		img, err := b.image(ctx, p, s.Image)
		if errors.Is(err, provision.ErrNotFound) {
			err = fmt.Errorf("%w (%w)", err, &provision.FieldError{Path: "image", Value: s.Image, Problem: "has to be imported first"})
		}
		if err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
		size := s.Disks[0].Size
		if size != 0 && int64(size) < img.Capacity {
			errs = append(errs, &provision.FieldError{Path: "disks[0].size", Value: size.String(),
				Problem: fmt.Sprintf("is less than the %s of image %s", provision.Bytes(img.Capacity), img.Name)})
		}
		if size == 0 {
			need += uint64(img.Capacity)
		}
	}
	if !p.block() {
		return errs, nil
	}
	free, err := b.free(ctx, p)
	if err == nil && need > free {
		errs = append(errs, fmt.Errorf("%w: the storage pool %q has %s left, and the disks take %s", syscall.ENOSPC, p.name, provision.Bytes(free), provision.Bytes(need)))
	}
	return errs, err
}
