//go:build linux

package lxc

import (
	"context"
	"errors"
	"os"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/roots"
	"golang.org/x/sys/unix"
)

// rootOf is the root file system of a guest.
func (b *Backend) rootOf(d *definition) roots.Root {
	r := roots.Root{Dir: b.at.guest(d.Spec.Name), Kind: roots.Kind(d.Root), Base: d.Base, Image: b.tree(d.Spec.Image)}
	if d.Root == RootImage {
		r.Size, r.Inodes = int64(d.Spec.Disks[0].Size), d.Spec.Disks[0].Inodes
		if r.Size == 0 {
			r.Size = d.Room
		}
	}
	return r
}

func (b *Backend) makeRoot(ctx context.Context, d *definition, s *provision.Steps) error {
	r := b.rootOf(d)
	var total int64
	if m, err := b.image(d.Spec.Image); err == nil {
		total = m.Bytes
	}
	if err := r.Make(ctx, func(_, bytes int64) { s.Progress(min(bytes, total), total) }); err != nil {
		return err
	}
	return r.Mount(ctx)
}

// mountRoot mounts the root if it is not: after a restart of the host it is not.
// One that was to be larger when the guest is started is.
func (b *Backend) mountRoot(ctx context.Context, d *definition) error {
	err := b.growRoot(ctx, d, false)
	if errors.Is(err, roots.ErrBusy) { // with the old size it can do its work all the same
		b.opts.Logger.WarnContext(ctx, "the root of the guest could not be made larger", "guest", d.Spec.Name, "error", err)
	} else if err != nil {
		return err
	}
	return b.rootOf(d).Mount(ctx)
}

func (b *Backend) removeRoot(ctx context.Context, d *definition) error {
	return b.rootOf(d).Remove(ctx)
}

// rootSource is what holds the guest's own data.
func (b *Backend) rootSource(d *definition) string { return b.rootOf(d).Store() }

// room is the size of the file system that guests are on, in whole GiB.
func (b *Backend) room() (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(b.opts.LXCPath, &fs); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: b.opts.LXCPath, Err: err}
	}
	total := int64(fs.Blocks) * int64(fs.Bsize)
	return min(max(total, 1<<30), 15<<40) >> 30 << 30, nil
}
