//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/guestforge/provision"
)

// Create implements [provision.Backend]. The guest's directory comes first, with the
// record in it, and at once: it is made elsewhere and gets its name in the end.
func (b *Backend) Create(ctx context.Context, g *provision.NewGuest, s *provision.Steps) error {
	d := newDefinition(g)
	if err := s.Do(ctx, "define", func(ctx context.Context) error { return noRoom(b.define(ctx, d, g)) }); err != nil {
		return err
	}
	if err := s.Do(ctx, "root disk", func(ctx context.Context) error { return noRoom(b.makeRoot(ctx, d, s)) }); err != nil {
		return err
	}
	return s.Do(ctx, "first boot", func(ctx context.Context) error { return noRoom(b.firstBoot(ctx, d, g.Spec)) })
}

// define makes the guest's directory with all that it is made from.
func (b *Backend) define(ctx context.Context, d *definition, g *provision.NewGuest) error {
	if err := b.settleDefinition(d); err != nil {
		return err
	}
	dir := b.at.made(d.ID)
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	if d.Base != 0 { // the guest's first process looks its root up by the path
		if err := errors.Join(os.Chown(dir, 0, int(d.Base)), os.Chmod(dir, 0o710)); err != nil {
			return err
		}
	}
	if err := b.writeDefinition(dir, d); err != nil {
		return err
	}
	if err := b.lib.check(d.Spec.Name, b.opts.LXCPath, dir+"/"+fileConfig); err != nil {
		return err
	}
	if err := makeFile(dir+"/"+fileRecord, g.Record, 0o600); err != nil {
		return err
	}
	if err := syncAll(dir); err != nil {
		return err
	}
	err := renameNew(dir, b.at.guest(d.Spec.Name))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", provision.ErrExists, err)
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDir(b.opts.LXCPath), b.announce(d.ID))
}

// settleDefinition chooses what the Spec leaves to the backend.
func (b *Backend) settleDefinition(d *definition) (err error) {
	if !d.Native.Privileged {
		if d.Base, err = b.takeBlock(d.ID); err != nil {
			return err
		}
	}
	if d.Pin, err = b.choosePin(&d.Spec); err != nil {
		return err
	}
	img, err := b.image(d.Spec.Image)
	if err != nil {
		return err
	}
	d.OwnNetwork = img.OwnNetwork
	if d.Halt == "" {
		d.Halt = img.Halt
	}
	if d.Root == RootImage && d.Spec.Disks[0].Size == 0 {
		d.Room, err = b.room()
		return err
	}
	return nil
}

// hostFor is what the guest's configuration takes from the host.
func (b *Backend) hostFor(d *definition) (*host, error) {
	h := &host{lxcPath: b.opts.LXCPath, dir: b.at.guest(d.Spec.Name), seccomp: b.host.seccomp, appArmor: b.host.appArmor}
	knobs, err := b.knobs(d)
	for _, k := range knobs {
		h.limits = append(h.limits, item{k.Key(), k.Value})
	}
	if err != nil || d.Base != 0 {
		return h, err
	}
	allowed, err := b.groups.DeviceKnobs(devicesOf(d))
	for _, k := range allowed {
		h.limits = append(h.limits, item{k.Key(), k.Value})
	}
	return h, err
}
