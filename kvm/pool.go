package kvm

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// pool is the storage pool that disks are in.
type pool struct {
	ref   libvirt.StoragePool
	name  string
	kind  string // the pool's type: "dir", "fs", "netfs" or "logical"
	dir   string // as libvirtd sees it
	files *pool  // the pool of files, where it is another one
	fit   fit
}

func (p *pool) path(volume string) string { return path.Join(p.dir, volume) }

// block reports whether volumes are block devices.
func (p *pool) block() bool { return p.kind == "logical" }

// ofFiles is the pool that images, seeds and console logs are in.
func (p *pool) ofFiles() *pool {
	if p.files != nil {
		return p.files
	}
	return p
}

// each returns the pools that a guest has something in.
func (p *pool) each() []*pool {
	if p.files != nil {
		return []*pool{p, p.files}
	}
	return []*pool{p}
}

// poolTypes are libvirt's, https://libvirt.org/storage.html: "" for those that
// are supported, and for the others why they are not and what to do.
var poolTypes = map[string]string{
	"dir": "", "fs": "", "netfs": "", "logical": "",
	"disk":         "its volumes are partitions, which change their names when one is deleted; use the disk as the physical volume of a volume group, in a pool of type logical",
	"iscsi":        "its volumes are units of a target that libvirt cannot make; use one as the physical volume of a volume group, in a pool of type logical",
	"iscsi-direct": "its volumes are units of a target that libvirt cannot make; attach the target to the host and use a unit in a pool of type logical",
	"scsi":         "its volumes are units of a host adapter that libvirt cannot make; use one as the physical volume of a volume group, in a pool of type logical",
	"mpath":        "its volumes are devices that libvirt cannot make; use one as the physical volume of a volume group, in a pool of type logical",
	"rbd":          "its volumes are neither files nor devices of the host, and this package has disks of these two only; use a pool of another type",
	"sheepdog":     "its volumes are neither files nor devices of the host, and libvirt has dropped it; use another store",
	"gluster":      "its volumes are neither files nor devices of the host; use a pool of type dir or netfs where the volume is mounted",
	"zfs":          "this package is not tested with it; use a pool of type dir on a data set",
	"vstorage":     "this package is not tested with it; use a pool of type dir where it is mounted",
}

// pool finds the pools and makes sure that they can be used.
func (b *Backend) pool(ctx context.Context) (*pool, error) {
	p, err := b.onePool(ctx, "Options.Pool", b.opts.Pool)
	if err != nil {
		return nil, err
	}
	switch other := b.opts.FilePool; {
	case other != "" && other != p.name:
		p.files, err = b.onePool(ctx, "Options.FilePool", other)
		if err != nil {
			return nil, err
		}
	case p.block() && other == "":
		return nil, &provision.FieldError{Path: "Options.FilePool",
			Problem: fmt.Sprintf("is required, because the pool %q is of type %s: name a pool of files, such as one of type dir, for images, seeds and console logs", p.name, p.kind)}
	}
	if f := p.ofFiles(); f.block() {
		return nil, &provision.FieldError{Path: "Options.FilePool", Value: f.name,
			Problem: fmt.Sprintf("is of type %s; images, seeds and console logs are files, so it takes one of type dir, fs or netfs", f.kind)}
	}
	return p, nil
}

func (b *Backend) onePool(ctx context.Context, option, name string) (*pool, error) {
	p := &pool{name: name}
	var doc libvirtxml.StoragePool
	var off bool
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		if p.ref, err = l.StoragePoolLookupByName(name); err != nil {
			return err
		}
		text, err := l.StoragePoolGetXMLDesc(p.ref, 0)
		if err != nil {
			return err
		}
		if err := doc.Unmarshal(text); err != nil {
			return fmt.Errorf("storage pool: %w", err)
		}
		active, err := l.StoragePoolIsActive(p.ref)
		off = active == 0
		return err
	})
	if hasCode(err, libvirt.ErrNoStoragePool) {
		return nil, &provision.FieldError{Path: option, Value: name,
			Problem: "is not a storage pool here; make it with virsh pool-define-as NAME dir --target /var/lib/libvirt/images and pool-start"}
	}
	if err != nil {
		return nil, err
	}
	why, known := poolTypes[doc.Type]
	if !known {
		why = "this package does not know it; use a pool of type dir, fs, netfs or logical"
	}
	if why != "" {
		return nil, &provision.UnsupportedError{Feature: provision.Feature("a storage pool of type " + doc.Type), Kind: "kvm",
			Reason: fmt.Sprintf("%s is %q: %s", option, name, why)}
	}
	if off {
		return nil, &provision.FieldError{Path: option, Value: name, Problem: "is a storage pool that is not active; virsh pool-start starts it"}
	}
	if doc.Target == nil || doc.Target.Path == "" {
		return nil, fmt.Errorf("%w: the storage pool %q has no path", errors.ErrUnsupported, name)
	}
	p.kind, p.dir = doc.Type, doc.Target.Path
	var capacity uint64
	if doc.Capacity != nil {
		capacity = doc.Capacity.Value // libvirt writes bytes
	}
	p.fit = fitFor(p.kind, fileSystem(p.dir, capacity))
	return p, nil
}
