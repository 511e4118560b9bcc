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
// Elsewhere they can, and then Status, [Host.Events] and [Host.Check] say so, and
// the same Suspend again stops it.
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
		rec.suspend(&st)
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
		if err != nil || rec.Suspended.Off {
			return err
		}
		rec.Suspended.Off = true // if it is on from here on, that was not us
		return g.host.save(ctx, g.name, rec)
	})
	return result, err
}

// suspend remembers how the guest is, unless that is done. What an Unsuspend
// has not yet restored counts as it would be.
func (r *record) suspend(st *Status) {
	if r.Suspended != nil {
		return
	}
	s := &suspension{Running: st.State.Live(), Autostart: st.Autostart}
	s.Off = !s.Running && st.State != StateUnknown
	if l := r.Lifting; l != nil {
		s.Running, s.Autostart = s.Running || l.Running, l.Autostart
	}
	r.Suspended, r.Lifting = s, nil
}

// Unsuspend lifts one reason. When it was the last, the guest is as it was
// before: started if it ran, with its autostart; where that fails, it is still
// suspended. Lifting a reason that is not there is success and does nothing but
// finish what an interrupted Unsuspend began.
func (g *Guest) Unsuspend(ctx context.Context, reason string) error {
	if err := checkReason(reason); err != nil {
		return g.wrap("unsuspend", err)
	}
	return g.change(ctx, "unsuspend", func(st Status, rec *record) error {
		before := rec.Suspended
		switch {
		case before == nil && rec.Lifting == nil:
			return nil
		case before == nil: // a call that was killed has come this far
			return g.lift(ctx, st, rec, rec.Lifting.Running)
		case !slices.Contains(before.Reasons, reason):
			return nil
		case len(before.Reasons) > 1:
			before.Reasons = slices.DeleteFunc(before.Reasons, func(r string) bool { return r == reason })
			return g.host.save(ctx, g.name, rec)
		}
		// The record comes first: nothing that is called suspended may start with
		// its host, whenever this process dies. It says what is still to be done,
		// so that a customer who has paid is not left off.
		rec.Suspended = nil
		rec.Lifting = &lifting{Running: before.Running, Autostart: before.Autostart}
		if err := g.host.save(ctx, g.name, rec); err != nil {
			return err
		}
		if err := g.lift(ctx, st, rec, before.Running); err != nil {
			return errors.Join(err, g.sinkBack(ctx, st, rec, before))
		}
		return nil
	})
}

// lift does what is left of an Unsuspend, with the power state that is wanted by
// now.
func (g *Guest) lift(ctx context.Context, st Status, rec *record, run bool) error {
	todo := rec.Lifting
	if err := g.block(ctx, st, false, todo.Autostart); err != nil {
		return err
	}
	if run && !st.State.Live() {
		if err := g.start(ctx, st, rec); err != nil {
			return err
		}
	}
	rec.Lifting = nil
	if err := g.host.save(ctx, g.name, rec); err != nil {
		rec.Lifting = todo
		return err
	}
	return nil
}

// sinkBack suspends a guest again that could not be started: the record comes
// last, as the guest must not start with its host when it says so.
func (g *Guest) sinkBack(ctx context.Context, st Status, rec *record, before *suspension) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.host.opts.UndoTimeout)
	defer cancel()
	st.Autostart = before.Autostart
	if err := g.block(ctx, st, true, false); err != nil {
		return err
	}
	// The answer may have been lost, and the guest may be on.
	before.Off = false
	rec.Suspended, rec.Lifting = before, nil
	return g.host.save(ctx, g.name, rec)
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
