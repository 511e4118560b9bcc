package provision

import (
	"context"
	"errors"
)

// DeleteOptions of [Guest.Delete].
type DeleteOptions struct {
	// Force kills a guest that is on. Without it that is ErrState.
	Force bool
	// Progress is called as the work goes on, on the goroutine of the call.
	Progress func(Progress)
}

// Delete removes the guest with its disks and all else that was made for it. A
// guest that is gone is success, one that is incomplete is removed too. When a
// Delete fails or is killed half-way, the guest is [StateIncomplete] and the
// next Delete goes on. opts may be nil.
func (g *Guest) Delete(ctx context.Context, opts *DeleteOptions) error {
	if opts == nil {
		opts = new(DeleteOptions)
	}
	err := g.locked(ctx, g.looker(opts.Force), func(st Status, rec *record) error { return g.delete(ctx, st, rec, opts) })
	if !errors.Is(err, ErrNotFound) {
		return g.wrap("delete", err)
	}
	return nil
}

func (g *Guest) delete(ctx context.Context, st Status, rec *record, opts *DeleteOptions) error {
	switch {
	case rec == nil:
		return foreignError(st)
	case rec.Phase != complete:
	case (st.State.Live() || st.State == StateUnknown) && !opts.Force:
		return stateError("delete (without force)", st)
	default:
		if st.State.Live() || st.State == StateUnknown {
			if _, err := g.kill(ctx); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		rec.Phase = deleting
		// A domain without persistent configuration is gone by now; what
		// belongs to it is not.
		if err := g.host.save(ctx, g.name, rec); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		// What a killed process leaves of it must not start with its host.
		if st.Autostart {
			if err := g.host.setAutostart(ctx, g.name, g.id, false); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	}
	return g.host.remove(ctx, "delete", g.name, g.id, opts.Progress)
}
