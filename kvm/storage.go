package kvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// volume describes a volume to make. Its mode is 0600: seeds and disks are
// nobody's business but the hypervisor's.
type volume struct {
	name    string
	format  string // empty in pools of block devices, which have none
	size    uint64
	backing *backing
	// whole allocates all of it. In pools of type logical, libvirt makes of
	// anything less a snapshot that breaks when it is full.
	whole bool
}

type backing struct{ path, format string }

func (v volume) xml() (string, error) {
	doc := libvirtxml.StorageVolume{
		Name:       v.name,
		Capacity:   &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: v.size},
		Allocation: &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: 0},
		Target: &libvirtxml.StorageVolumeTarget{
			Permissions: &libvirtxml.StorageVolumeTargetPermissions{Mode: "0600"},
		},
	}
	if v.format != "" {
		doc.Target.Format = &libvirtxml.StorageVolumeTargetFormat{Type: v.format}
	}
	if v.whole {
		doc.Allocation.Value = v.size
	}
	if v.backing != nil {
		doc.BackingStore = &libvirtxml.StorageVolumeBackingStore{
			Path: v.backing.path, Format: &libvirtxml.StorageVolumeTargetFormat{Type: v.backing.format},
		}
	}
	return doc.Marshal()
}

// createVolume makes a volume, and looks at its size afterwards.
func (b *Backend) createVolume(ctx context.Context, p *pool, v volume) (ref libvirt.StorageVol, err error) {
	text, err := v.xml()
	if err != nil {
		return ref, fmt.Errorf("volume %s: %w", v.name, err)
	}
	err = b.whileBusy(ctx, func() error {
		return b.write(ctx, func(l *libvirt.Libvirt) (err error) {
			ref, err = l.StorageVolCreateXML(p.ref, text, 0)
			return err
		})
	})
	if err == nil {
		err = b.sized(ctx, ref, v.size, p.block())
	}
	if err != nil {
		return ref, fmt.Errorf("volume %s: %w", v.name, b.spaceless(ctx, p, v.size, err))
	}
	return ref, nil
}

// whileBusy repeats what libvirt refuses because of what others do with the pool
// at the time, which passes. It has no code of its own: it is an internal error,
// as failures of qemu-img are, so that it is repeated for a short time only.
func (b *Backend) whileBusy(ctx context.Context, f func() error) error {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		err := f()
		if !hasCode(err, libvirt.ErrInternalError) || pause > 2*time.Second {
			return err
		}
		if serr := ctxerr.Sleep(ctx, pause); serr != nil {
			return fmt.Errorf("%w: %w", serr, err)
		}
	}
}

// refresh makes libvirt look at all files of a pool, which disturbs others: it is
// for what cannot be had otherwise. While volumes are made or copied in the pool,
// libvirt refuses it; that may take as long as a copy does, so that it is tried
// for as long as the timeout.
func (b *Backend) refresh(ctx context.Context, p *pool) error {
	begin := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := b.write(ctx, func(l *libvirt.Libvirt) error { return l.StoragePoolRefresh(p.ref, 0) })
		if !hasCode(err, libvirt.ErrInternalError) {
			return err
		}
		if time.Since(begin) > b.opts.Timeout {
			return fmt.Errorf("%w: the storage pool %q could not be refreshed within %s: %w", provision.ErrBusy, p.name, b.opts.Timeout, err)
		}
		if serr := ctxerr.Sleep(ctx, pause); serr != nil {
			return fmt.Errorf("%w: %w", serr, err)
		}
	}
}

// store makes a volume that holds data.
func (b *Backend) store(ctx context.Context, p *pool, name string, data []byte) error {
	ref, err := b.createVolume(ctx, p, volume{name: name, format: "raw", size: uint64(len(data))})
	if err != nil {
		return err
	}
	err = b.write(ctx, func(l *libvirt.Libvirt) error {
		return l.StorageVolUpload(ref, bytes.NewReader(data), 0, uint64(len(data)), 0)
	})
	if err == nil {
		err = b.arrived(ctx, p, ref, ends{size: int64(len(data)), head: data[:min(len(data), endSize)], tail: data[max(0, len(data)-endSize):]})
	}
	if err != nil {
		return fmt.Errorf("volume %s: %w", name, b.spaceless(ctx, p, uint64(len(data)), err))
	}
	return nil
}

// volumes lists the volumes whose names begin with a prefix.
func (b *Backend) volumes(ctx context.Context, p *pool, prefix string) ([]libvirt.StorageVol, error) {
	var list []libvirt.StorageVol
	err := b.read(ctx, func(l *libvirt.Libvirt) error {
		all, _, err := l.StoragePoolListAllVolumes(p.ref, 1, 0)
		list = nil
		for _, v := range all {
			if strings.HasPrefix(v.Name, prefix) {
				list = append(list, v)
			}
		}
		return err
	})
	return list, err
}

// deleteVolume removes a volume; one that is gone is success. One that is still
// being made or copied, by a call that was given up, is waited for: libvirtd goes on
// with that, and nothing can stop it.
func (b *Backend) deleteVolume(ctx context.Context, v libvirt.StorageVol) error {
	var err error
	begin := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err = b.write(ctx, func(l *libvirt.Libvirt) error { return l.StorageVolDelete(v, 0) })
		err = b.settle(ctx, err, volumeGone(v))
		if !errors.Is(err, provision.ErrState) || time.Since(begin) > 10*b.opts.Timeout {
			break
		}
		if serr := ctxerr.Sleep(ctx, pause); serr != nil {
			return fmt.Errorf("volume %s: %w: %w", v.Name, serr, err)
		}
	}
	if errors.Is(err, provision.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return nil
}

// upload writes what r yields to a volume. r is read on this goroutine, so that
// progress is reported on the caller's; what libvirtd does not take within the
// timeout ends the transfer. It takes as long as the source of the data does,
// and only a few run at a time.
func (b *Backend) upload(ctx context.Context, v libvirt.StorageVol, r io.Reader, size int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	leave, err := b.conns.enterTransfer(ctx)
	if err != nil {
		return err
	}
	defer leave()
	pr, pw := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := b.conns.exchange(ctx, func(l *libvirt.Libvirt) error {
			return l.StorageVolUpload(v, pr, 0, uint64(size), 0)
		})
		pr.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		sent <- err
	}()
	rerr := b.feed(ctx, cancel, pw, r)
	if rerr != nil {
		cancel(rerr) // the volume is in doubt: give the connection up
	}
	pw.CloseWithError(rerr)
	last := time.AfterFunc(b.opts.Timeout, func() {
		cancel(fmt.Errorf("%w: libvirtd did not finish the transfer within %s", provision.ErrUnavailable, b.opts.Timeout))
	})
	defer last.Stop()
	err = <-sent
	if rerr == nil || err != nil && errors.Is(rerr, io.ErrClosedPipe) {
		return err
	}
	return rerr
}

// feed copies r into the pipe and gives libvirtd the timeout for each part.
func (b *Backend) feed(ctx context.Context, cancel context.CancelCauseFunc, pw *io.PipeWriter, r io.Reader) error {
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(ended(ctx)) })
	defer stop()
	buf := make([]byte, 1<<20)
	for {
		n, rerr := r.Read(buf)
		if n > 0 {
			timer := time.AfterFunc(b.opts.Timeout, func() {
				cancel(fmt.Errorf("%w: libvirtd took no data for %s", provision.ErrUnavailable, b.opts.Timeout))
			})
			_, werr := pw.Write(buf[:n])
			timer.Stop()
			if werr != nil {
				if ctx.Err() != nil {
					return ended(ctx)
				}
				return werr
			}
		}
		if errors.Is(rerr, io.EOF) {
			return nil
		}
		if rerr != nil {
			return rerr
		}
	}
}

// download reads a part of a volume: up to most bytes, fewer at its end.
func (b *Backend) download(ctx context.Context, v libvirt.StorageVol, offset, most uint64) ([]byte, error) {
	var buf bytes.Buffer
	err := b.stream(ctx, func(l *libvirt.Libvirt) error {
		buf.Reset()
		return l.StorageVolDownload(v, &buf, offset, most, 0)
	})
	return buf.Bytes(), err
}

// byName finds a volume of the pool, or ErrNotFound.
func (b *Backend) byName(ctx context.Context, p *pool, name string) (libvirt.StorageVol, error) {
	var v libvirt.StorageVol
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		v, err = l.StorageVolLookupByName(p.ref, name)
		return err
	})
	return v, err
}
