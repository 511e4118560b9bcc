package provisiontest

import (
	"context"
	"encoding/json"

	"github.com/guestforge/provision"
)

// Render implements [provision.Renderer]: what the machine would keep of the
// guest, as JSON.
func (b *Backend) Render(ctx context.Context, n *provision.NewGuest) ([]byte, error) {
	if err := b.refuse(provision.FeatureRender); err != nil {
		return nil, err
	}
	if err := b.refuseSpec(n.Spec); err != nil {
		return nil, err
	}
	var text []byte
	err := b.view(ctx, func(*machine) (err error) {
		g := entry(n)
		g.Record = nil // it says the same
		text, err = json.MarshalIndent(g, "", "  ")
		return err
	})
	return append(text, '\n'), err
}
