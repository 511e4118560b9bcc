package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/guestforge/provision/internal/lock"
)

// CreateOptions of [Host.Create].
type CreateOptions struct {
	// Progress is called as the work goes on, on the goroutine of the call.
	Progress func(Progress)
}

// Create makes a guest, stopped, and returns when all of it is there. It is all
// or nothing: when it fails, what was made is removed again, and what a process
// left that was killed in between is a guest in [StateIncomplete], which a
// repeated Create of the same name and Key replaces and [Guest.Delete] removes.
//
// With a Key seen before it returns the guest that is there, whatever its state
// is now; if that was made from another Spec, the error matches [ErrConflict].
// Without a Key, or with another one, a name that is taken is [ErrExists]. All
// that is wrong with the Spec ([ErrInvalid]) or cannot be had here
// ([errors.ErrUnsupported]) is reported before anything is made. opts may be
// nil.
func (h *Host) Create(ctx context.Context, s Spec, opts *CreateOptions) (*Guest, error) {
	if opts == nil {
		opts = new(CreateOptions)
	}
	g, err := h.create(ctx, s.Copy(), opts)
	if err != nil {
		return nil, h.wrap("create", s.Name, err)
	}
	return g, nil
}

func (h *Host) create(ctx context.Context, s Spec, opts *CreateOptions) (*Guest, error) {
	if err := h.accept(ctx, &s); err != nil {
		return nil, err
	}
	unlock, err := h.lockForCreate(ctx, &s)
	if err != nil {
		return nil, err
	}
	defer unlock()

	for try := 1; ; try++ {
		g, err := h.createOnce(ctx, &s, opts)
		// A hypervisor that hung carries out later what an earlier attempt asked
		// for, perhaps between our look and our own attempt: look again.
		if !errors.Is(err, ErrExists) || errors.Is(err, errTaken) || try == 3 {
			return g, err
		}
	}
}

// lockMemory keeps two guests from being promised the same memory of the host. It
// is the last lock that is taken, and Create has it until the guest counts: images
// take long to copy. It may be unlocked twice.
func (h *Host) lockMemory(ctx context.Context, s *Spec) (unlock func(), err error) {
	if !s.Memory.Guaranteed {
		return func() {}, nil
	}
	unlock, err = h.lock(ctx, lockMemory, "memory", lock.Exclusive)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(unlock), nil
}

// errTaken marks an ErrExists that another look would not change.
var errTaken = fmt.Errorf("%w", ErrExists)

func (h *Host) createOnce(ctx context.Context, s *Spec, opts *CreateOptions) (*Guest, error) {
	st, rec, err := h.existing(ctx, s)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return nil, err
	case err == nil && rec.Phase == complete:
		return h.resumeCreate(ctx, st, rec)
	}
	id := newID()
	full := s.withDefaults(id)
	if rec != nil {
		if _, err := h.preflight(ctx, &full); err != nil {
			return nil, err // and leave what is there
		}
		h.opts.Logger.WarnContext(ctx, "replacing an incomplete guest", "guest", st.Name, "id", st.ID, "phase", string(rec.Phase))
		if err := h.remove(ctx, "undo", st.Name, st.ID, opts.Progress); err != nil {
			return nil, fmt.Errorf("remove what an earlier attempt left: %w", err)
		}
	}
	unlock, err := h.lockMemory(ctx, &full)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := h.preflight(ctx, &full); err != nil {
		return nil, err
	}
	if err := h.build(ctx, &full, newRecord(id, s, &full, h.opts.Clock.Now()), opts, unlock); err != nil {
		return nil, err
	}
	return &Guest{host: h, name: s.Name, id: id}, nil
}

// accept refuses what is wrong with a Spec whatever is on the machine now.
func (h *Host) accept(ctx context.Context, s *Spec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return errors.Join(h.supportsSpec(ctx, s)...)
}

// lockForCreate takes Key, name and image, always in this order.
func (h *Host) lockForCreate(ctx context.Context, s *Spec) (unlock func(), err error) {
	var held []func()
	unlock = func() {
		for i := len(held) - 1; i >= 0; i-- {
			held[i]()
		}
	}
	for _, l := range []struct {
		space uint8
		name  string
		mode  lock.Mode
	}{{lockKey, s.Key, lock.Exclusive}, {lockGuest, s.Name, lock.Exclusive}, {lockImage, s.Image, lock.Shared}} {
		if l.name == "" {
			continue
		}
		u, err := h.lock(ctx, l.space, l.name, l.mode)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, u)
	}
	return unlock, nil
}

// existing returns the guest that the Spec stands for, complete or not;
// ErrNotFound means that it is to be made.
func (h *Host) existing(ctx context.Context, s *Spec) (Status, *record, error) {
	if s.Key != "" {
		st, rec, err := h.byKey(ctx, s.Key)
		if err == nil && rec.Request != requestDigest(rec.ID, s) {
			return st, rec, conflictError(s, st)
		}
		if err == nil || !errors.Is(err, ErrNotFound) {
			return st, rec, err
		}
	}
	st, rec, err := h.inspect(ctx, Ref{Name: s.Name})
	switch {
	case err != nil:
		return st, nil, err
	case rec == nil:
		return st, nil, fmt.Errorf("%w: a guest that is not managed has this name", errTaken)
	case rec.Phase == complete:
		return st, nil, fmt.Errorf("%w: %s", errTaken, takenBy(s))
	case rec.Spec.Key != s.Key:
		return st, nil, fmt.Errorf("%w: %s, and it has another key; Delete removes what is left of it", errTaken, st.Reason)
	}
	return st, rec, nil
}

// takenBy says to whom a name belongs that s was to get.
func takenBy(s *Spec) string {
	if s.Key == "" {
		return "another guest has this name; a Spec with a key can be created repeatedly"
	}
	return "another guest has this name, made with another key or with none"
}

func conflictError(s *Spec, st Status) error {
	if st.Name != s.Name {
		return fmt.Errorf("%w: key %q belongs to guest %q, and this Spec is for %q", ErrConflict, s.Key, st.Name, s.Name)
	}
	return fmt.Errorf("%w: key %q belongs to a guest that was made from another Spec (Plan says what differs)", ErrConflict, s.Key)
}

// preflight asks the backend to judge the Spec against the machine. Limits of
// features that are on by default but not to be had are added here.
func (h *Host) preflight(ctx context.Context, s *Spec) ([]Limit, error) {
	var limits []Limit
	if p, ok := h.backend.(Preflighter); ok {
		err := h.call(ctx, Call{Op: "preflight", Guest: s.Name}, func(ctx context.Context) (err error) {
			limits, err = p.Preflight(ctx, s)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	asked := askedLimits(s)
	for i, l := range limits {
		if j := slices.IndexFunc(asked, func(a Limit) bool { return a.Path == l.Path }); j >= 0 && l.Want == "" {
			limits[i].Want = asked[j].Want
		}
	}
	limits = append(limits, h.defaultLimits(s)...)
	return limits, h.strict(s, limits)
}

// strict refuses limits that would not hold, where the Spec wants all or nothing.
func (h *Host) strict(s *Spec, limits []Limit) error {
	if !s.Needs.Strict {
		return nil
	}
	var errs []error
	for _, l := range limits {
		if l.Enforcement != Enforced {
			errs = append(errs, h.unsupported(l.feature(), fmt.Sprintf("%s would be %s (%s), and needs.strict is set", l.Path, l.Enforcement, l.Reason)))
		}
	}
	return errors.Join(errs...)
}

// defaultLimits are those that hold by default only where the backend can.
func (h *Host) defaultLimits(s *Spec) []Limit {
	err := h.Supports(FeatureNICAntiSpoof)
	var no *UnsupportedError
	if !errors.As(err, &no) {
		return nil
	}
	var limits []Limit
	for i, n := range s.NICs {
		if n.AntiSpoof == Default {
			limits = append(limits, Limit{
				Path: fmt.Sprintf("nics[%d].antiSpoof", i), Want: "true", Enforcement: NotEnforced, Reason: no.Reason,
			})
		}
	}
	return limits
}

// build makes the guest between the two writes of its record, or nothing. It calls
// begun when the first step is over, after which the backend counts the guest.
func (h *Host) build(ctx context.Context, s *Spec, r *record, opts *CreateOptions, begun func()) error {
	err := h.buildSteps(ctx, s, r, opts, begun)
	begun()
	if err == nil {
		return nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.opts.UndoTimeout)
	defer cancel()
	if uerr := h.undo(undo, s.Name, r); uerr != nil {
		return errors.Join(err, fmt.Errorf("undo failed, the guest may be left incomplete and Delete removes it: %w", uerr))
	}
	return err
}

func (h *Host) buildSteps(ctx context.Context, s *Spec, r *record, opts *CreateOptions, begun func()) error {
	text, err := r.encode()
	if err != nil {
		return err
	}
	c := Call{Op: "create", Guest: s.Name, ID: r.ID}
	err = h.call(ctx, c, func(ctx context.Context) error {
		steps := h.steps(c, opts.Progress)
		steps.after = begun
		return h.backend.Create(ctx, &NewGuest{ID: r.ID, Spec: s, Record: text}, steps)
	})
	if err != nil {
		return err
	}
	r.Phase = complete
	if err := h.save(ctx, s.Name, r); err != nil || !s.Autostart {
		return err
	}
	// Last: what a killed process leaves half-made must not start with its host.
	// A guest that is whole but for this gets it from the same Create again.
	return h.setAutostart(ctx, s.Name, r.ID, true)
}

// undo removes what was made, and tries again while the hypervisor is away.
func (h *Host) undo(ctx context.Context, name string, r *record) error {
	return h.insist(ctx, func(ctx context.Context) error {
		if err := h.unmake(ctx, name, r); err != nil {
			return err
		}
		return h.remove(ctx, "undo", name, r.ID, nil)
	})
}

// insist does something again while the hypervisor is away, until the context ends.
func (h *Host) insist(ctx context.Context, do func(context.Context) error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := do(ctx)
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		if serr := h.opts.Clock.Sleep(ctx, pause); serr != nil {
			return err
		}
	}
}

// unmake marks a guest as incomplete again whose last write may have taken
// effect, and keeps it from starting with its host.
func (h *Host) unmake(ctx context.Context, name string, r *record) (err error) {
	if r.Phase != complete {
		return nil
	}
	if r.Spec.Autostart {
		err = h.setAutostart(ctx, name, r.ID, false)
	}
	if err == nil {
		again := *r
		again.Phase = creating
		err = h.save(ctx, name, &again)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// resumeCreate finishes a Create that was killed after the guest was whole: only
// its autostart can be missing. One that was switched off by SetAutostart is not
// wanted in the record either, and that of a suspended guest is off for now.
func (h *Host) resumeCreate(ctx context.Context, st Status, rec *record) (*Guest, error) {
	if rec.Spec.Autostart && !st.Autostart && rec.Suspended == nil && rec.Lifting == nil {
		if err := h.setAutostart(ctx, st.Name, st.ID, true); err != nil {
			return nil, err
		}
	}
	return &Guest{host: h, name: st.Name, id: st.ID}, nil
}

// remove calls the backend's Delete.
func (h *Host) remove(ctx context.Context, op, name string, id ID, progress func(Progress)) error {
	c := Call{Op: op, Guest: name, ID: id}
	return h.call(ctx, c, func(ctx context.Context) error {
		return h.backend.Delete(ctx, id, h.steps(c, progress))
	})
}
