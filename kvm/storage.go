package kvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// pool is the storage pool that images and disks are in.
type pool struct {
	ref libvirt.StoragePool
	dir string // as libvirtd sees it
}

func (p *pool) path(volume string) string { return path.Join(p.dir, volume) }

// pool finds the pool and makes sure that it can be used.
func (b *Backend) pool(ctx context.Context) (*pool, error) {
	var p pool
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		p.ref, err = l.StoragePoolLookupByName(b.opts.Pool)
		if err != nil {
			return err
		}
		if active, err := l.StoragePoolIsActive(p.ref); err != nil {
			return err
		} else if active == 0 {
			return errPoolOff
		}
		text, err := l.StoragePoolGetXMLDesc(p.ref, 0)
		if err != nil {
			return err
		}
		var doc libvirtxml.StoragePool
		if err := doc.Unmarshal(text); err != nil {
			return fmt.Errorf("storage pool: %w", err)
		}
		if doc.Type != "dir" || doc.Target == nil {
			return fmt.Errorf("%w: the storage pool %q is of type %s; only dir is supported yet", errors.ErrUnsupported, b.opts.Pool, doc.Type)
		}
		p.dir = doc.Target.Path
		return nil
	})
	switch {
	case hasCode(err, libvirt.ErrNoStoragePool):
		return nil, &provision.FieldError{Path: "Options.Pool", Value: b.opts.Pool,
			Problem: "is not a storage pool here; make it with virsh pool-define-as NAME dir --target /var/lib/libvirt/images and pool-start"}
	case errors.Is(err, errPoolOff):
		return nil, &provision.FieldError{Path: "Options.Pool", Value: b.opts.Pool, Problem: "is a storage pool that is not active; virsh pool-start starts it"}
	case err != nil:
		return nil, err
	}
	return &p, nil
}

var errPoolOff = errors.New("the pool is not active")

// volume describes a volume to make. Its mode is 0600: seeds and disks are
// nobody's business but the hypervisor's.
type volume struct {
	name    string
	format  string
	size    uint64
	backing *backing
}

type backing struct{ path, format string }

func (v volume) xml() (string, error) {
	doc := libvirtxml.StorageVolume{
		Name:       v.name,
		Capacity:   &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: v.size},
		Allocation: &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: 0},
		Target: &libvirtxml.StorageVolumeTarget{
			Format:      &libvirtxml.StorageVolumeTargetFormat{Type: v.format},
			Permissions: &libvirtxml.StorageVolumeTargetPermissions{Mode: "0600"},
		},
	}
	if v.backing != nil {
		doc.BackingStore = &libvirtxml.StorageVolumeBackingStore{
			Path: v.backing.path, Format: &libvirtxml.StorageVolumeTargetFormat{Type: v.backing.format},
		}
	}
	return doc.Marshal()
}

// createVolume makes a volume. libvirt refuses while another client has the
// pool refreshed, with an error that has no code of its own; that passes.
func (b *Backend) createVolume(ctx context.Context, p *pool, v volume) (ref libvirt.StorageVol, err error) {
	text, err := v.xml()
	for pause := 20 * time.Millisecond; err == nil; pause *= 2 {
		err = b.write(ctx, func(l *libvirt.Libvirt) (err error) {
			ref, err = l.StorageVolCreateXML(p.ref, text, 0)
			return err
		})
		if !hasCode(err, libvirt.ErrInternalError) || pause > time.Second {
			break
		}
		err = ctxerr.Sleep(ctx, pause)
	}
	if err != nil {
		return ref, fmt.Errorf("volume %s: %w", v.name, err)
	}
	return ref, nil
}

// store makes a volume that holds data.
func (b *Backend) store(ctx context.Context, p *pool, name string, data []byte) error {
	ref, err := b.createVolume(ctx, p, volume{name: name, format: "raw", size: uint64(len(data))})
	if err != nil {
		return err
	}
	return b.write(ctx, func(l *libvirt.Libvirt) error {
		return l.StorageVolUpload(ref, bytes.NewReader(data), 0, uint64(len(data)), 0)
	})
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
// being made, by a call that was given up, is waited for.
func (b *Backend) deleteVolume(ctx context.Context, v libvirt.StorageVol) error {
	var err error
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		err = b.write(ctx, func(l *libvirt.Libvirt) error { return l.StorageVolDelete(v, 0) })
		if !errors.Is(err, provision.ErrState) || pause > 2*time.Second {
			break
		}
		if err := ctxerr.Sleep(ctx, pause); err != nil {
			return err
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
	select {
	case b.conns.transfers <- struct{}{}:
		defer func() { <-b.conns.transfers }()
	case <-ctx.Done():
		return ended(ctx)
	}
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
	err := <-sent
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
	err := b.conns.do(ctx, b.opts.Timeout, func(l *libvirt.Libvirt) error {
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
