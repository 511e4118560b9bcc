package kvm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// copyPoll is how often the progress of a full copy is looked at.
const copyPoll = 500 * time.Millisecond

// rootDisk makes the root disk: an overlay on the image, a full copy of it or,
// without an image, an empty disk.
func (b *Backend) rootDisk(ctx context.Context, p *pool, g *provision.NewGuest, s *provision.Steps) error {
	v := volume{name: diskName(p, g.ID, 0), format: diskFormat, size: uint64(g.Spec.Disks[0].Size), whole: p.block()}
	if p.block() {
		v.format = ""
	}
	if g.Spec.Image == "" {
		_, err := b.createVolume(ctx, p, v)
		return err
	}
	img, err := b.image(ctx, p, g.Spec.Image)
	if err != nil {
		return err
	}
	if v.size == 0 {
		v.size = uint64(img.Capacity)
	}
	if copies(p, g.Spec) {
		return b.copyImage(ctx, p, &img, v, s)
	}
	v.backing = &backing{path: p.imagePath(&img), format: img.Format}
	_, err = b.createVolume(ctx, p, v)
	return err
}

// copies says whether the root disk is a full copy of its image.
func copies(p *pool, s *provision.Spec) bool {
	return p.block() || nativeOf(s).RootDisk == RootCopy
}

// copyImage makes a volume that is a full copy of an image. libvirtd does it all in
// one call, which takes as long as it takes: the context ends it, and a libvirtd
// that does not answer on other connections within the timeout. Then libvirtd
// still goes on with the copy; deleteVolume waits for that.
func (b *Backend) copyImage(ctx context.Context, p *pool, img *provision.Image, v volume, s *provision.Steps) error {
	from, err := b.copySource(ctx, p.ofFiles(), img)
	if err != nil {
		return err
	}
	text, err := v.xml()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	leave, err := b.conns.enterTransfer(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var ref libvirt.StorageVol
	done := make(chan error, 1)
	go func() {
		done <- b.conns.exchange(ctx, func(l *libvirt.Libvirt) (err error) {
			ref, err = l.StorageVolCreateXMLFrom(p.ref, text, from, 0)
			return err
		})
	}()
	if err := b.awaitCopy(ctx, cancel, p, v, img, s, done); err != nil {
		return fmt.Errorf("volume %s: copy of image %s: %w", v.name, img.Name, b.spaceless(ctx, p, v.size, err))
	}
	return b.grow(ctx, p, ref, v.size)
}

// awaitCopy waits for the end of a copy, and reports its progress meanwhile.
func (b *Backend) awaitCopy(ctx context.Context, cancel context.CancelCauseFunc, p *pool, v volume, img *provision.Image, s *provision.Steps, done chan error) error {
	tick := time.NewTicker(copyPoll)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
		var allocated uint64
		err := b.read(ctx, func(l *libvirt.Libvirt) error {
			ref, err := l.StorageVolLookupByName(p.ref, v.name)
			if err == nil {
				_, _, allocated, err = l.StorageVolGetInfo(ref)
			}
			return err
		})
		switch {
		case err == nil && !p.block(): // a block device has all of it from the beginning
			s.Progress(min(int64(allocated), img.Size), img.Size)
		case errors.Is(err, provision.ErrUnavailable):
			cancel(err)
		}
	}
}

// copySource finds the content of an image. Of copies libvirt decides by what it
// believes the format of the source to be: by what an import made it as, and after
// a refresh by what it has found in it. Anything but what was stated at the import
// is not copied.
func (b *Backend) copySource(ctx context.Context, p *pool, img *provision.Image) (libvirt.StorageVol, error) {
	for try := 1; ; try++ {
		ref, format, err := b.formatOf(ctx, p, contentName(img.Name, img.Format))
		switch {
		case err != nil:
			return ref, err
		case format == img.Format || format == "iso" && img.Format == "raw":
			return ref, nil
		case try == 2:
			return ref, fmt.Errorf("%w: image %s is %s, and libvirt takes it for %s", errors.ErrUnsupported, img.Name, img.Format, format)
		}
		if err := b.refresh(ctx, p); err != nil {
			return ref, err
		}
	}
}

func (b *Backend) formatOf(ctx context.Context, p *pool, name string) (ref libvirt.StorageVol, format string, err error) {
	var doc libvirtxml.StorageVolume
	err = b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		if ref, err = l.StorageVolLookupByName(p.ref, name); err != nil {
			return err
		}
		text, err := l.StorageVolGetXMLDesc(ref, 0)
		if err != nil {
			return err
		}
		return doc.Unmarshal(text)
	})
	if err == nil && doc.Target != nil && doc.Target.Format != nil {
		format = doc.Target.Format.Type
	}
	return ref, format, err
}

// grow gives a copy its size; those on block devices were made with it, and
// libvirt cannot resize them.
func (b *Backend) grow(ctx context.Context, p *pool, v libvirt.StorageVol, size uint64) error {
	if !p.block() {
		if err := b.write(ctx, func(l *libvirt.Libvirt) error {
			_, have, _, err := l.StorageVolGetInfo(v)
			if err != nil || have >= size {
				return err
			}
			return l.StorageVolResize(v, size, 0)
		}); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, b.spaceless(ctx, p, size, err))
		}
	}
	if err := b.sized(ctx, v, size, p.block()); err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return nil
}

// NeedsImage implements [provision.ImageReleaser]: a guest stands on an image for as
// long as a disk of it has something behind it, whatever that is, or cannot be
// looked at.
func (b *Backend) NeedsImage(ctx context.Context, id provision.ID, _ string) (bool, error) {
	f, err := b.Inspect(ctx, provision.Ref{ID: id})
	if errors.Is(err, provision.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	needs := false
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		for _, d := range f.Status.Disks {
			v, err := l.StorageVolLookupByPath(d.Source)
			if hasCode(err, libvirt.ErrNoStorageVol) {
				needs = true
				continue
			}
			if err != nil {
				return err
			}
			text, err := l.StorageVolGetXMLDesc(v, 0)
			if err != nil {
				return err
			}
			var doc libvirtxml.StorageVolume
			if err := doc.Unmarshal(text); err != nil {
				return err
			}
			needs = needs || doc.BackingStore != nil
		}
		return nil
	})
	return needs || err != nil, err
}
