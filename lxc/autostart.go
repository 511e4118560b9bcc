//go:build linux

package lxc

import (
	"context"

	"github.com/guestforge/provision"
)

// SetAutostart implements [provision.Autostarter]. Guests start when the host runs
// lxc-autostart(1): lxc.service of Debian does.
func (b *Backend) SetAutostart(ctx context.Context, id provision.ID, on bool) error {
	return b.change(ctx, id, func(d *definition) error {
		d.Spec.Autostart = on
		return nil
	})
}

var _ provision.Autostarter = (*Backend)(nil)
