package provision

import (
	"context"
	"time"
)

// placeholderID is the ID of guests that are only rendered.
const placeholderID ID = "00000000-0000-4000-8000-000000000000"

// Render returns the hypervisor's own configuration of a guest as [Host.Create]
// would make it, as text to be read, compared and kept: the XML of a domain, for
// example. Like [Host.Plan] it changes no guest, and the same Spec gives the same text on the same
// machine.
//
// What depends on the ID of the guest, which is made at Create, has placeholders:
// names of files, MAC addresses that the Spec does not state, and the record of the
// library. No secret is in it. What Create would refuse Render refuses with the same
// error, except that the name or the Key may be taken. Without a backend that
// implements [Renderer] it is [errors.ErrUnsupported].
func (h *Host) Render(ctx context.Context, s Spec) ([]byte, error) {
	text, err := h.render(ctx, s.Copy())
	if err != nil {
		return nil, h.wrap("render", s.Name, err)
	}
	return text, nil
}

func (h *Host) render(ctx context.Context, s Spec) ([]byte, error) {
	r, err := need[Renderer](h, FeatureRender)
	if err != nil {
		return nil, err
	}
	if err := h.accept(ctx, &s); err != nil {
		return nil, err
	}
	full := s.withDefaults(placeholderID)
	if _, err := h.preflight(ctx, &full); err != nil {
		return nil, err
	}
	rec := newRecord(placeholderID, &s, &full, time.Unix(0, 0))
	// With an ID that everybody knows, digests would give short secrets away.
	rec.Phase, rec.Request, rec.Secrets = complete, "", nil
	line, err := rec.encode()
	if err != nil {
		return nil, err
	}
	var text []byte
	err = h.call(ctx, Call{Op: "render", Guest: s.Name, ID: placeholderID}, func(ctx context.Context) (err error) {
		text, err = r.Render(ctx, &NewGuest{ID: placeholderID, Spec: &full, Record: line})
		return err
	})
	return text, err
}
