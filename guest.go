package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/guestforge/provision/internal/lock"
)

// Guest is a handle: a name and an ID, and no state. All methods are safe for
// concurrent use; those that change the guest run one after the other, across
// processes too, and wait for their turn until the context ends ([ErrBusy]).
//
// They answer [ErrNotFound] when this very guest is gone, [ErrState] when the
// guest is not managed or the verb means nothing in its state, and
// [ErrUnavailable] when the hypervisor does not answer.
type Guest struct {
	host *Host
	name string
	id   ID
}

// Name returns the name that the guest had when the handle was made.
func (g *Guest) Name() string { return g.name }

// ID returns the identity of the guest.
func (g *Guest) ID() ID { return g.id }

// Status asks the hypervisor. It never answers from memory.
func (g *Guest) Status(ctx context.Context) (Status, error) {
	st, _, err := g.host.inspect(ctx, Ref{ID: g.id})
	return st, g.wrap("inspect", err)
}

// Start starts the guest and returns when the hypervisor runs it; it does not
// wait for what is inside ([Guest.Wait] does). A running guest is left alone. A paused one is
// ErrState: Resume it. opts may be nil.
func (g *Guest) Start(ctx context.Context, opts *StartOptions) error {
	return g.change(ctx, "start", func(st Status, rec *record) error {
		if rec.Lifting != nil {
			return g.lift(ctx, st, rec, true)
		}
		return g.start(ctx, st, rec)
	})
}

// StartOptions of [Guest.Start]: none yet.
type StartOptions struct{}

func (g *Guest) start(ctx context.Context, st Status, rec *record) error {
	switch {
	case rec.Suspended != nil:
		return suspendedError(rec)
	case st.State == StateRunning:
		return nil
	case st.State == StatePaused || st.State == StateUnknown || rec.Restoring != "":
		return stateError("start", st)
	}
	if rec.Waiting != nil { // no more: all of it holds from this start on
		rec.Waiting = nil
		if err := g.host.save(ctx, g.name, rec); err != nil {
			return err
		}
	}
	unlock, err := g.host.lockMemory(ctx, &rec.Spec)
	if err != nil {
		return err
	}
	defer unlock()
	return g.call(ctx, "start", func(ctx context.Context) error { return g.host.backend.Start(ctx, g.id) })
}

// Pause freezes the guest's processors; its memory stays in use. A paused guest
// is left alone, one that does not run is ErrState.
func (g *Guest) Pause(ctx context.Context) error {
	p, err := need[Pauser](g.host, FeaturePause)
	if err != nil {
		return g.wrap("pause", err)
	}
	return g.change(ctx, "pause", func(st Status, _ *record) error {
		switch st.State {
		case StatePaused:
			return nil
		case StateRunning:
			return g.call(ctx, "pause", func(ctx context.Context) error { return p.Pause(ctx, g.id) })
		}
		return stateError("pause", st)
	})
}

// Resume lets a paused guest go on. A running guest is left alone, one that is
// off is ErrState.
func (g *Guest) Resume(ctx context.Context) error {
	p, err := need[Pauser](g.host, FeaturePause)
	if err != nil {
		return g.wrap("resume", err)
	}
	return g.change(ctx, "resume", func(st Status, rec *record) error {
		switch {
		case rec.Suspended != nil:
			return suspendedError(rec)
		case st.State == StateRunning:
			return nil
		case st.State == StatePaused:
			return g.call(ctx, "resume", func(ctx context.Context) error { return p.Resume(ctx, g.id) })
		}
		return stateError("resume", st)
	})
}

// SetLabels replaces all labels of the guest.
func (g *Guest) SetLabels(ctx context.Context, labels map[string]string) error {
	f := &fields{}
	f.labels(labels)
	if err := errors.Join(f.errs...); err != nil {
		return g.wrap("label", err)
	}
	return g.change(ctx, "label", func(_ Status, rec *record) error {
		if maps.Equal(rec.Spec.Labels, labels) {
			return nil
		}
		rec.Spec.Labels = maps.Clone(labels)
		return g.host.save(ctx, g.name, rec)
	})
}

// SetAutostart says whether the guest starts when its host boots. On a
// suspended guest that takes effect when the suspension ends.
func (g *Guest) SetAutostart(ctx context.Context, on bool) error {
	if err := g.host.Supports(FeatureAutostart); err != nil {
		return g.wrap("autostart", err)
	}
	return g.change(ctx, "autostart", func(_ Status, rec *record) error {
		rec.Spec.Autostart = on
		if rec.Lifting != nil {
			rec.Lifting.Autostart = on
		}
		if rec.Suspended != nil {
			rec.Suspended.Autostart = on
			return g.host.save(ctx, g.name, rec)
		}
		if err := g.host.setAutostart(ctx, g.name, g.id, on); err != nil {
			return err
		}
		return g.host.save(ctx, g.name, rec)
	})
}

func (h *Host) setAutostart(ctx context.Context, name string, id ID, on bool) error {
	a, err := need[Autostarter](h, FeatureAutostart)
	if err != nil {
		return err
	}
	return h.call(ctx, Call{Op: "autostart", Guest: name, ID: id}, func(ctx context.Context) error {
		return a.SetAutostart(ctx, id, on)
	})
}

// ConsoleLog returns a part of what the guest wrote to its serial console since
// it was last started, beginning at offset; empty where nothing has been written
// there yet: to read all of it, ask again from where the part ended until one is
// empty. A hypervisor may begin the log anew when it grows large. The bytes are the tenant's:
// terminals should not see them as they are.
func (g *Guest) ConsoleLog(ctx context.Context, offset int64) ([]byte, error) {
	c, err := need[ConsoleLogger](g.host, FeatureConsoleLog)
	if err != nil {
		return nil, g.wrap("read the console of", err)
	}
	if offset < 0 {
		return nil, g.wrap("read the console of", &FieldError{Path: "offset", Value: fmt.Sprint(offset), Problem: "is negative"})
	}
	var text []byte
	err = g.call(ctx, "console", func(ctx context.Context) (err error) {
		text, err = c.ConsoleLog(ctx, g.id, offset)
		return err
	})
	return text, g.wrap("read the console of", err)
}

func (g *Guest) wrap(op string, err error) error { return g.host.wrap(op, g.name, err) }

func (g *Guest) call(ctx context.Context, op string, do func(context.Context) error) error {
	return g.host.call(ctx, Call{Op: op, Guest: g.name, ID: g.id}, do)
}

// change runs a verb under the guest's lock, on a managed guest whose create
// has finished and whose state has settled.
func (g *Guest) change(ctx context.Context, verb string, do func(Status, *record) error) error {
	return g.changeFrom(ctx, verb, g.settle, do)
}

// looker finds out how a guest is, before a verb.
type looker func(context.Context) (Status, *record, error)

// changeFrom is change with another way to look at the guest first.
func (g *Guest) changeFrom(ctx context.Context, verb string, look looker, do func(Status, *record) error) error {
	return g.wrap(verb, g.locked(ctx, look, func(st Status, rec *record) error {
		switch {
		case rec == nil:
			return foreignError(st)
		case rec.Phase != complete:
			return stateError(verb, st)
		}
		return do(st, rec)
	}))
}

// locked holds the lock of the name that the guest has now, which may have been
// changed by other means.
func (g *Guest) locked(ctx context.Context, look looker, do func(Status, *record) error) error {
	for name := g.name; ; {
		unlock, err := g.host.lock(ctx, lockGuest, name, lock.Exclusive)
		if err != nil {
			return err
		}
		st, rec, err := look(ctx)
		if err == nil && st.Name != name {
			unlock()
			name = st.Name
			continue
		}
		defer unlock()
		if err != nil {
			return err
		}
		return do(st, rec)
	}
}

// look returns the guest as it is now.
func (g *Guest) look(ctx context.Context) (Status, *record, error) {
	return g.host.inspect(ctx, Ref{ID: g.id})
}

// looker settles, unless force is set: a guest may hang in its shutdown.
func (g *Guest) looker(force bool) looker {
	if force {
		return g.look
	}
	return g.settle
}

// settle waits until a guest that somebody else is starting or stopping has
// come to rest.
func (g *Guest) settle(ctx context.Context) (Status, *record, error) {
	for {
		st, rec, err := g.look(ctx)
		if err != nil || st.State.settled() {
			return st, rec, err
		}
		if err := g.host.opts.Clock.Sleep(ctx, pollInterval); err != nil {
			return st, rec, fmt.Errorf("%w: the guest is %s: %w", ErrBusy, st.State, err)
		}
	}
}

func suspendedError(rec *record) error {
	return fmt.Errorf("%w: %s", ErrSuspended, strings.Join(rec.Suspended.Reasons, ", "))
}

func foreignError(st Status) error {
	why := ""
	if st.Reason != "" {
		why = " (" + st.Reason + ")"
	}
	return fmt.Errorf("%w: it is not managed by this library and will not be changed%s", ErrState, why)
}
