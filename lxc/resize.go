//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
	"github.com/guestforge/provision/internal/roots"
)

// FitResize implements [provision.Resizer].
func (b *Backend) FitResize(ctx context.Context, id provision.ID, want *provision.Spec) ([]provision.Limit, error) {
	d, err := b.find(ctx, id)
	if err != nil {
		return nil, err
	}
	next := d.resized(want)
	var errs problems
	b.judgeGrowth(d, next, &errs)
	b.judgeCPU(&next.Spec, &errs)
	b.judgeMemory(&next.Spec, &errs)
	judgeRates(&next.Spec, &errs)
	if err := b.admit(ctx, &next.Spec); err != nil {
		errs.add(err)
	}
	if err := b.judgeUse(d, next); err != nil {
		errs.add(err)
	}
	limits, err := b.foretell(next)
	if err != nil {
		return nil, err
	}
	for i := range limits {
		limits[i].Have = "" // nothing has been read
	}
	return limits, errors.Join(errs...)
}

// resized is the definition with the sizes and limits of a Spec. The processors that
// the guest sees are to be chosen again where another number is asked for.
func (d *definition) resized(want *provision.Spec) *definition {
	n := *d
	n.Spec = d.Spec.Copy()
	s := want.Copy()
	n.Spec.CPU, n.Spec.Limits, n.Spec.Needs = s.CPU, s.Limits, s.Needs
	n.Spec.Memory.Size, n.Spec.Memory.Swap, n.Spec.Memory.Guaranteed = s.Memory.Size, s.Memory.Swap, s.Memory.Guaranteed
	have, disk := &n.Spec.Disks[0], s.Disks[0]
	have.IOPS, have.BPS, have.Inodes = disk.IOPS, disk.BPS, disk.Inodes
	if disk.Size != 0 {
		have.Size = disk.Size
	}
	for i := range min(len(n.Spec.NICs), len(s.NICs)) {
		n.Spec.NICs[i].Rate = s.NICs[i].Rate
	}
	return &n
}

// judgeGrowth reports what a root that is there cannot become.
func (b *Backend) judgeGrowth(d, next *definition, errs *problems) {
	have, want := d.Spec.Disks[0], next.Spec.Disks[0]
	if have.Size != want.Size && d.Root != RootImage {
		errs.field("disks[0].size", want.Size.String(), sizeless)
	}
	if have.Inodes != want.Inodes {
		errs.field("disks[0].inodes", fmt.Sprint(want.Inodes), inodesFixed)
	}
	if d.Root != RootImage || want.Size == 0 {
		return
	}
	if info, err := os.Stat(b.rootOf(d).Store()); err == nil && int64(want.Size) < info.Size() {
		errs.field("disks[0].size", want.Size.String(), fmt.Sprintf("is less than the %s of the disk, which is never made smaller", provision.Bytes(info.Size())))
	}
}

// judgeUse refuses to give a guest that is on less memory than it uses: version 1 of
// control groups would not do it, and version 2 would kill programs of the guest.
func (b *Backend) judgeUse(d, next *definition) error {
	l, err := b.lifeOf(d)
	if err != nil || l.init == 0 || next.Spec.Memory.Size >= d.Spec.Memory.Size {
		return err
	}
	g, err := b.group(d, groupGuest)
	if err != nil {
		return err
	}
	if used := g.Stats().Memory; used.Known() && used.N > uint64(next.Spec.Memory.Size) {
		return memoryInUse(provision.Bytes(used.N), next.Spec.Memory.Size)
	}
	return nil
}

func memoryInUse(used, size provision.Bytes) error {
	return fmt.Errorf("%w: memory.size: the guest is on and uses %s, which is more than %s; end programs in it, or stop it before", provision.ErrState, used/provision.MiB*provision.MiB, size)
}

// Resize implements [provision.Resizer]. The definition comes first, so that the next
// start, also one of the guest's own, has all of it.
func (b *Backend) Resize(ctx context.Context, id provision.ID, want *provision.Spec, s *provision.Steps) error {
	if err := s.Do(ctx, "define", func(ctx context.Context) error {
		return b.change(ctx, id, func(d *definition) error { return b.resizeDefinition(d, want) })
	}); err != nil {
		return err
	}
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	l, err := b.lifeOf(d)
	if err != nil {
		return err
	}
	if l.init != 0 {
		if err := s.Do(ctx, "limits", func(ctx context.Context) error { return b.applyLimits(d) }); err != nil {
			return err
		}
		if err := s.Do(ctx, "network", func(ctx context.Context) error { return b.applyRates(ctx, d) }); err != nil {
			return err
		}
	}
	return s.Do(ctx, "root disk", func(ctx context.Context) error { return b.growRoot(ctx, d, l.init != 0) })
}

func (b *Backend) resizeDefinition(d *definition, want *provision.Spec) (err error) {
	next := d.resized(want)
	if next.Spec.CPU.Count != d.Spec.CPU.Count || !slices.Equal(next.Spec.CPU.Pin, d.Spec.CPU.Pin) {
		if next.Pin, err = b.choosePin(&next.Spec); err != nil {
			return err
		}
	}
	*d = *next
	return nil
}

// applyLimits brings the control group of a guest that is on to its definition.
func (b *Backend) applyLimits(d *definition) error {
	g, err := b.group(d, groupGuest)
	if err != nil {
		return err
	}
	want, err := b.allLimits(d)
	if err != nil {
		return err
	}
	err = g.Apply(want)
	if errors.Is(err, syscall.EBUSY) {
		if used := g.Stats().Memory; used.Known() && used.N > want.Memory {
			return errors.Join(memoryInUse(provision.Bytes(used.N), d.Spec.Memory.Size), err)
		}
		return fmt.Errorf("%w: %w", provision.ErrBusy, err)
	}
	return err
}

// applyRates runs the hook once more for the cards of a guest that is on, as liblxc
// did: it replaces what it made before.
func (b *Backend) applyRates(ctx context.Context, d *definition) error {
	for i := range d.Spec.NICs {
		if err := b.runHook(ctx, d, "LXC_HOOK_TYPE=up", "LXC_NET_PEER="+hostnet.Device(string(d.ID), i)); err != nil {
			return fmt.Errorf("nics[%d]: %w", i, err)
		}
	}
	return nil
}

// growRoot grows the file system of a root that has a size. That of a guest that is
// on and cannot be grown now waits for its next start.
func (b *Backend) growRoot(ctx context.Context, d *definition, on bool) error {
	if d.Root != RootImage || d.Spec.Disks[0].Size == 0 {
		return nil
	}
	r := b.rootOf(d)
	if done, err := r.Grown(); err != nil || done {
		return err // as it is never made smaller
	}
	info, err := os.Stat(r.Store())
	if err != nil {
		return err
	}
	size := max(r.Size, info.Size())
	if on && !roots.CanGrowMounted() {
		return nil
	}
	if on {
		return r.Grow(ctx, size)
	}
	if err := r.Unmount(ctx); err != nil {
		return err
	}
	return errors.Join(r.Grow(ctx, size), r.Mount(context.WithoutCancel(ctx)))
}

var _ provision.Resizer = (*Backend)(nil)
