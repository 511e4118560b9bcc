//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/guestforge/provision"
)

// Delete implements [provision.Backend]. Everything is found by the ID alone; the
// directory with the record goes last.
func (b *Backend) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	d, err := b.find(ctx, id)
	if err != nil && !errors.Is(err, provision.ErrNotFound) {
		return err
	}
	if err != nil { // what is left of one that was never finished, or was removed before
		return s.Do(ctx, "remains", func(ctx context.Context) error { return b.removeRemains(ctx, id) })
	}
	if err := s.Do(ctx, "processes", func(ctx context.Context) error { return b.clear(ctx, d) }); err != nil {
		return err
	}
	if err := s.Do(ctx, "root disk", func(ctx context.Context) error { return b.removeRoot(ctx, d) }); err != nil {
		return err
	}
	return s.Do(ctx, "undefine", func(ctx context.Context) error {
		if err := os.Rename(b.at.guest(d.Spec.Name), b.at.removed(id)); err != nil {
			return err
		}
		b.known.Delete(id)
		return errors.Join(b.removeLock(d.Spec.Name), b.removeRemains(ctx, id), b.stock(ctx))
	})
}

// errStillRuns is about a guest that somebody has removed the configuration of while it
// was on: its ids are in use, and nobody knows its directory.
var errStillRuns = fmt.Errorf("%w: the guest is gone, and processes in its control groups are left; end them before", provision.ErrBusy)

// removeRemains removes what bears the guest's ID and not its name. Its user ids go
// last, when no file has them any more: what is left of a directory that lost its
// configuration keeps them, see [Backend.strays].
func (b *Backend) removeRemains(ctx context.Context, id provision.ID) error {
	switch runs, err := b.hasProcesses(id); {
	case err != nil:
		return err
	case runs:
		return errStillRuns
	}
	if err := errors.Join(os.RemoveAll(b.at.made(id)), os.RemoveAll(b.at.removed(id))); err != nil {
		return err
	}
	blocks, err := b.blocksOf(id)
	if err != nil {
		return err
	}
	used, err := b.groupsOfDirectories()
	if err != nil {
		return err
	}
	for _, base := range blocks {
		if used[base] {
			continue
		}
		if err := b.giveBlock(base, id); err != nil {
			return err
		}
	}
	err = os.Remove(filepath.Join(b.at.events(), string(id)))
	if missing(err) {
		return nil
	}
	return err
}

// removeLock removes the lock file that liblxc makes of every name and leaves: see
// lxc_new in lxclock.c.
func (b *Backend) removeLock(name string) error {
	err := os.Remove(filepath.Join("/run/lxc/lock", b.opts.LXCPath, "."+name))
	if missing(err) {
		return nil
	}
	return err
}
