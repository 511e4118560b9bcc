//go:build linux

package lxc

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/guestforge/provision"
)

// SetSuspended implements [provision.Suspender]. The guest's hook, without which
// liblxc does not start it, refuses every start while the file is there: also those by
// lxc-start(1) and lxc-autostart(1), and that of a guest that reboots itself.
func (b *Backend) SetSuspended(ctx context.Context, id provision.ID, on bool) error {
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	path := b.at.file(d.Spec.Name, fileSuspended)
	if on {
		err = b.keep(path, nil, 0o600)
	} else if err = os.Remove(path); missing(err) {
		err = nil
	} else if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return errors.Join(err, b.announce(id))
}

var (
	_ provision.Suspender = (*Backend)(nil)
	_ provision.Pauser    = (*Backend)(nil)
)
