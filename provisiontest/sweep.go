package provisiontest

import (
	"context"
	"strings"

	"github.com/guestforge/provision"
)

// sweep removes what the case may have left on purpose or in failing.
func (e *env) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), e.Timeout)
	defer cancel()
	h, err := e.suite.open(ctx, e.t, nil)
	if err != nil {
		e.t.Errorf("open to clean up: %v", err)
		return
	}
	defer h.Close()
	for st, err := range h.Guests(ctx, &provision.ListOptions{ManagedOnly: true}) {
		if err != nil {
			e.t.Errorf("list to clean up: %v", err)
			return
		}
		if !strings.HasPrefix(st.Name, e.prefix) {
			continue
		}
		g, err := h.Guest(ctx, st.Name)
		if err == nil {
			err = g.Delete(ctx, &provision.DeleteOptions{Force: true})
		}
		if err != nil {
			e.t.Errorf("clean up: %v", err)
		}
	}
	e.sweepImages(ctx, h)
}

func (e *env) sweepImages(ctx context.Context, h *provision.Host) {
	if h.Supports(provision.FeatureImages) != nil {
		return
	}
	list, err := h.Images(ctx)
	if err != nil {
		e.t.Errorf("list images to clean up: %v", err)
	}
	for _, img := range list {
		if strings.HasPrefix(img.Name, e.prefix) {
			if err := h.RemoveImage(ctx, img.Name); err != nil {
				e.t.Errorf("clean up: %v", err)
			}
		}
	}
}
