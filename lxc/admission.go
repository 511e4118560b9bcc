//go:build linux

package lxc

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// admit returns an ErrCapacity unless the host has the memory that a guest is to be
// guaranteed, beside what others were promised. The guest itself does not count
// where it is there already.
func (b *Backend) admit(ctx context.Context, s *provision.Spec) error {
	if !s.Memory.Guaranteed {
		return nil
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return err
	}
	total := provision.Bytes(info.Totalram) * provision.Bytes(info.Unit)
	reserve := b.opts.MemoryReserve
	if reserve == 0 {
		reserve = max(total/20, 512*provision.MiB)
	}
	names, err := b.names()
	if err != nil {
		return err
	}
	var promised provision.Bytes
	for _, name := range names {
		d, err := b.load(name)
		if err != nil {
			return err
		}
		if d != nil && d.Spec.Name != s.Name && d.Spec.Memory.Guaranteed {
			promised += d.Spec.Memory.Size
		}
	}
	if reserve+promised+s.Memory.Size > total {
		return fmt.Errorf("%w: the guest is to be guaranteed %s; of the %s that the host has, %s are kept for itself and %s are promised to others",
			provision.ErrCapacity, s.Memory.Size, total/provision.MiB*provision.MiB, reserve/provision.MiB*provision.MiB, promised)
	}
	return ctxerr.Of(ctx)
}
