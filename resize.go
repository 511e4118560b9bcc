package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/guestforge/provision/internal/lock"
)

// ResizeOptions of [Guest.Resize].
type ResizeOptions struct {
	// AtRestart takes changes, too, that a guest that is on has only from its next
	// start. Until then its Status says so of each.
	AtRestart bool
	// Progress is called as the work goes on, on the goroutine of the call.
	Progress func(Progress)
}

// Resize gives the guest the sizes and limits of another Spec: processors, memory,
// the sizes of its disks, which can only grow, and all of [Limits], rates and the
// like. The Spec is the whole one, as for Create; where it differs in anything else
// but Needs, that is [ErrInvalid], and nothing is changed. The plan that is returned
// lists what was changed, and in Limits what holds now, as read back.
//
// What the backend can change in a guest that is on takes effect at once; [Host.Plan]
// says beforehand what that is. What waits for a restart is [ErrState], unless
// AtRestart is set or the guest is off. [ErrCapacity] and what Needs.Strict refuses
// come before anything is changed.
//
// It is all or nothing: when it fails, the old sizes are put back as the guest was
// asked to have them, but for disks that have grown, which the error then names. When
// the process is killed in between, the Limits of Status say that a resize did not
// finish, and the same Resize again finishes it. From then on the guest is one that
// was made from this Spec: Create with its Key wants the same. opts may be nil.
func (g *Guest) Resize(ctx context.Context, s Spec, opts *ResizeOptions) (*Plan, error) {
	r := &resizing{g: g, asked: s.Copy()}
	if opts != nil {
		r.opts = *opts
	}
	if err := r.run(ctx); err != nil {
		return nil, g.wrap("resize", err)
	}
	return r.plan, nil
}

// resizing is one Resize.
type resizing struct {
	g       *Guest
	backend Resizer
	asked   Spec // as the caller wrote it
	opts    ResizeOptions
	st      Status  // before
	old     *record // before
	next    record  // after
	plan    *Plan
}

func (r *resizing) run(ctx context.Context) (err error) {
	r.backend, err = need[Resizer](r.g.host, FeatureResize)
	if err := errors.Join(err, r.g.host.accept(ctx, &r.asked)); err != nil {
		return err
	}
	return r.g.change(ctx, "resize", func(st Status, rec *record) error {
		if st.State == StateUnknown {
			return stateError("resize", st)
		}
		r.st, r.old = st, rec
		if err := r.prepare(); err != nil {
			return err
		}
		if r.plan.Action == ActionNone {
			return r.adopt(ctx)
		}
		unlock, err := r.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		if err := r.fit(ctx); err != nil {
			return err
		}
		if err := r.apply(ctx); err != nil {
			return errors.Join(err, r.undo(ctx))
		}
		return nil
	})
}

// prepare finds out what is to be changed, and refuses what is not.
func (r *resizing) prepare() error {
	h := r.g.host
	full := r.asked.withDefaults(r.old.ID)
	r.plan = h.compare(r.st, r.old, &r.asked)
	// What somebody changed elsewhere is not what the caller asks for.
	r.plan.Changes = slices.DeleteFunc(r.plan.Changes, func(c Change) bool { return !resizable(c.Path) })
	r.plan.Action = ActionNone
	if len(r.plan.Changes) > 0 || r.old.Resizing != nil {
		r.plan.Action = ActionChange
	}
	r.next = *r.old
	r.next.Resizing, r.next.Waiting = nil, r.waiting()
	r.next.Spec, r.next.Request = resized(&r.old.Spec, &full), requestDigest(r.old.ID, &r.asked)
	errs := append(r.strays(&full), r.hopeless(&full)...)
	if len(errs) == 0 {
		errs = r.early()
	}
	return errors.Join(errs...)
}

// waiting lists what a guest that is on gets with its next start.
func (r *resizing) waiting() []string {
	if !r.st.State.Live() {
		return nil
	}
	list := slices.Clone(r.old.Waiting)
	for _, c := range r.plan.Changes {
		if c.Impact == ImpactRestart && !slices.Contains(list, c.Path) {
			list = append(list, c.Path)
		}
	}
	return list
}

// adopt keeps the Spec where nothing is to be done, as it may be written otherwise.
func (r *resizing) adopt(ctx context.Context) error {
	if r.next.Request == r.old.Request && len(differences(r.old, &r.old.Spec, &r.next.Spec)) == 0 {
		return nil
	}
	return r.g.host.save(ctx, r.g.name, &r.next)
}

// lock is held while guaranteed memory is counted and changed.
func (r *resizing) lock(ctx context.Context) (func(), error) {
	if !r.next.Spec.Memory.Guaranteed {
		return func() {}, nil
	}
	return r.g.host.lock(ctx, lockMemory, "memory", lock.Exclusive)
}

// fit asks the backend whether there is room.
func (r *resizing) fit(ctx context.Context) error {
	var limits []Limit
	err := r.g.call(ctx, "fit resize", func(ctx context.Context) (err error) {
		limits, err = r.backend.FitResize(ctx, r.g.id, &r.next.Spec)
		return err
	})
	if err != nil {
		return err
	}
	return r.g.host.strict(&r.next.Spec, limits)
}

// apply writes down what is meant, does it, looks whether it is so, and writes that
// down.
func (r *resizing) apply(ctx context.Context) error {
	h := r.g.host
	intent := *r.old
	intent.Resizing = &r.next.Spec
	if err := h.save(ctx, r.g.name, &intent); err != nil {
		return err
	}
	if err := r.set(ctx, "resize", &r.next.Spec); err != nil {
		return err
	}
	st, err := r.readBack(ctx, &r.next)
	if err != nil {
		return err
	}
	r.plan.Limits = st.Limits
	return h.save(ctx, r.g.name, &r.next)
}

func (r *resizing) set(ctx context.Context, op string, want *Spec) error {
	return r.g.steps(ctx, op, r.opts.Progress, func(ctx context.Context, s *Steps) error {
		return r.backend.Resize(ctx, r.g.id, want, s)
	})
}

// readBack fails unless what was changed is as the record says, or waits.
func (r *resizing) readBack(ctx context.Context, rec *record) (Status, error) {
	f, err := r.g.host.native(ctx, Ref{ID: r.g.id})
	if err != nil {
		return Status{}, err
	}
	if f.Record, err = rec.encode(); err != nil {
		return Status{}, err
	}
	st, _ := r.g.host.guestOf(f)
	var errs []error
	for _, l := range st.Limits {
		changed := slices.ContainsFunc(r.plan.Changes, func(c Change) bool { return c.Path == l.Path })
		if changed && l.Reason == changedByOthers {
			errs = append(errs, fmt.Errorf("%s was set to %s, and is %s when it is read back", l.Path, orNone(l.Want), orNone(l.Have)))
		}
	}
	return st, errors.Join(errs...)
}

// undo puts back what was asked for before, and says what does not hold of that.
func (r *resizing) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.g.host.opts.UndoTimeout)
	defer cancel()
	back := *r.old
	back.Resizing = nil
	var grown []error
	err := r.g.host.insist(ctx, func(ctx context.Context) error {
		st, _, err := r.g.host.inspect(ctx, Ref{ID: r.g.id})
		if err != nil {
			return err
		}
		back.Spec, grown = keepGrown(&r.old.Spec, &r.st, &st)
		if err := r.set(ctx, "undo", &back.Spec); err != nil {
			return err
		}
		if _, err := r.readBack(ctx, &back); err != nil {
			return err
		}
		return r.g.host.save(ctx, r.g.name, &back)
	})
	if err != nil {
		return fmt.Errorf("undo failed, so some of the new sizes may hold, and the same Resize again sets all of them: %w", err)
	}
	return errors.Join(grown...)
}
