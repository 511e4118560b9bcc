//go:build linux

package lxc

import (
	"context"

	"github.com/guestforge/provision"
)

// Render implements [provision.Renderer]: the text is liblxc's configuration, see
// lxc.container.conf(5). The block of user ids is the first that Create would try, and
// of processors the lowest stand for those that Create would choose by what other
// guests have.
func (b *Backend) Render(_ context.Context, g *provision.NewGuest) ([]byte, error) {
	d := newDefinition(g)
	d.Spec.Autostart = g.Spec.Autostart
	if !d.Native.Privileged {
		d.Base = b.block(d.ID, 0)
	}
	d.Pin = g.Spec.CPU.Pin
	if len(d.Pin) == 0 && g.Spec.CPU.Count < len(b.host.cpus) {
		d.Pin = b.host.cpus[:g.Spec.CPU.Count]
	}
	img, err := b.image(d.Spec.Image)
	if err != nil {
		return nil, err
	}
	if d.Halt == "" {
		d.Halt = img.Halt
	}
	h, err := b.hostFor(d)
	if err != nil {
		return nil, err
	}
	return render(d.items(h))
}

var _ provision.Renderer = (*Backend)(nil)
