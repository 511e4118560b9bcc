package provision

import (
	"context"
	"errors"
	"regexp"
	"slices"
)

var reasonRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Suspend is the billing verb: the guest is stopped as [Guest.Stop] does, it
// does not start with its host, and every start is refused with [ErrSuspended]
// until all reasons are lifted; disks, addresses and labels stay. Reasons are a
// set of words of a-z, 0-9 and hyphen, up to 63 characters each, such as "payment",
// "bandwidth" and "abuse". Adding one that is
// there already is success, and finishes what an interrupted call began. A paused
// guest counts as one that runs. opts may be nil.
//
// Where the backend is a [Suspender], others cannot start the guest either.
func (g *Guest) Suspend(ctx context.Context, reason string, opts *StopOptions) (StopResult, error) {
	if err := checkReason(reason); err != nil {
		return "", g.wrap("suspend", err)
	}
	var result StopResult
	opts, err := opts.complete()
	if err != nil {
		return "", g.wrap("suspend", err)
	}
	err = g.changeFrom(ctx, "suspend", g.looker(opts.Force), func(st Status, rec *record) (err error) {
		if rec.Suspended == nil {
			rec.Suspended = &suspension{Running: st.State.Live(), Autostart: st.Autostart}
		}
		if !slices.Contains(rec.Suspended.Reasons, reason) {
			rec.Suspended.Reasons = append(rec.Suspended.Reasons, reason)
			slices.Sort(rec.Suspended.Reasons)
			// From here on our own starts are refused, whatever fails below.
			if err := g.host.save(ctx, g.name, rec); err != nil {
				return err
			}
		}
		if err := g.block(ctx, st, true, false); err != nil {
			return err
		}
		result, err = g.stop(ctx, st, opts)
		return err
	})
	return result, err
}

// Unsuspend lifts one reason. When it was the last, the guest is as it was
// before: started if it ran, with its autostart. Lifting a reason that is not
// there is success and does nothing.
func (g *Guest) Unsuspend(ctx context.Context, reason string) error {
	if err := checkReason(reason); err != nil {
		return g.wrap("unsuspend", err)
	}
	return g.change(ctx, "unsuspend", func(st Status, rec *record) error {
		if rec.Suspended == nil || !slices.Contains(rec.Suspended.Reasons, reason) {
			return nil
		}
		before := rec.Suspended
		if len(before.Reasons) > 1 {
			before.Reasons = slices.DeleteFunc(before.Reasons, func(r string) bool { return r == reason })
			return g.host.save(ctx, g.name, rec)
		}
		if err := g.block(ctx, st, false, before.Autostart); err != nil {
			return err
		}
		// Started before the record is cleared: a call that dies in between
		// can be repeated, and a customer who has paid is never left off.
		rec.Suspended = nil
		if before.Running && !st.State.Live() {
			if err := g.start(ctx, st, rec); err != nil {
				undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.host.opts.UndoTimeout)
				defer cancel()
				st.Autostart = before.Autostart
				return errors.Join(err, g.block(undo, st, true, false))
			}
		}
		return g.host.save(ctx, g.name, rec)
	})
}

// block sets what keeps others from starting the guest, as far as the backend
// has it.
func (g *Guest) block(ctx context.Context, st Status, suspended, autostart bool) error {
	if st.Autostart != autostart && g.host.Supports(FeatureAutostart) == nil {
		if err := g.host.setAutostart(ctx, g.name, g.id, autostart); err != nil {
			return err
		}
	}
	s, ok := g.host.backend.(Suspender)
	if !ok {
		return nil
	}
	return g.call(ctx, "block", func(ctx context.Context) error { return s.SetSuspended(ctx, g.id, suspended) })
}

func checkReason(reason string) error {
	if reasonRE.MatchString(reason) {
		return nil
	}
	return &FieldError{Path: "reason", Value: clip(reason),
		Problem: `is not a reason: 1 to 63 characters of a-z, 0-9 and hyphen, as "payment"`}
}
