package provision

import (
	"context"
	"errors"
	"time"
)

// Times that Host waits with.
const (
	pollInterval = 200 * time.Millisecond
	defaultGrace = time.Minute
	// askInterval is how often a guest is asked again: one that is still
	// booting does not hear the first request.
	askInterval = 5 * time.Second
)

// StopOptions of [Guest.Stop], [Guest.Restart] and [Guest.Suspend].
type StopOptions struct {
	// Grace is how long the guest has to shut down by itself before it is
	// killed. It is asked again every five seconds. Default: one minute.
	Grace time.Duration
	// Force kills at once, without asking.
	Force bool
}

// StopResult says what it took to stop a guest.
type StopResult string

// Values of [StopResult]. With an error it is empty, unless a Restart has stopped
// the guest and could not start it.
const (
	StopNone   StopResult = "was off"   // it did not run
	StopShut   StopResult = "shut down" // it went by itself when asked
	StopKilled StopResult = "killed"    // it had to be killed, or Force was set
)

// Stop asks the guest to shut down, waits, kills it if it is still there, and
// says which. A guest that is off is left alone. A paused guest is resumed so
// that it can hear the request. When the context ends first, the guest has been
// asked and may still go. opts may be nil.
func (g *Guest) Stop(ctx context.Context, opts *StopOptions) (StopResult, error) {
	var result StopResult
	opts, err := opts.complete()
	if err != nil {
		return "", g.wrap("stop", err)
	}
	err = g.changeFrom(ctx, "stop", g.looker(opts.Force), func(st Status, _ *record) (err error) {
		result, err = g.stop(ctx, st, opts)
		return err
	})
	return result, err
}

// Restart stops the guest as Stop does and starts it again, with all changes
// that waited for a restart. A guest that is off is ErrState.
func (g *Guest) Restart(ctx context.Context, opts *StopOptions) (StopResult, error) {
	var result StopResult
	opts, err := opts.complete()
	if err != nil {
		return "", g.wrap("restart", err)
	}
	err = g.changeFrom(ctx, "restart", g.looker(opts.Force), func(st Status, rec *record) (err error) {
		if rec.Suspended != nil {
			return suspendedError(rec)
		}
		if !st.State.Live() {
			return stateError("restart", st)
		}
		if result, err = g.stop(ctx, st, opts); err != nil {
			return err
		}
		st.State = StateStopped
		return g.start(ctx, st, rec)
	})
	return result, err
}

// complete checks the options and fills in what is left out.
func (o *StopOptions) complete() (*StopOptions, error) {
	var full StopOptions
	if o != nil {
		full = *o
	}
	if full.Grace < 0 {
		return nil, &FieldError{Path: "grace", Value: full.Grace.String(), Problem: "is negative; Force kills at once"}
	}
	if full.Grace == 0 {
		full.Grace = defaultGrace
	}
	return &full, nil
}

func (g *Guest) stop(ctx context.Context, st Status, opts *StopOptions) (StopResult, error) {
	switch {
	case st.State == StateUnknown && !opts.Force:
		return "", stateError("stop", st)
	case !st.State.Live() && st.State != StateUnknown:
		return StopNone, nil
	case opts.Force:
		return g.kill(ctx)
	}
	if asked, err := g.ask(ctx, st); err != nil {
		return "", err
	} else if !asked {
		return g.kill(ctx)
	}
	return g.awaitStop(ctx, opts.Grace)
}

// awaitStop waits for a guest that was asked to shut down, asks again now and
// then, and kills it in the end.
func (g *Guest) awaitStop(ctx context.Context, grace time.Duration) (StopResult, error) {
	clock := g.host.opts.Clock
	again := clock.Now().Add(askInterval)
	for end := clock.Now().Add(grace); clock.Now().Before(end); {
		if err := clock.Sleep(ctx, pollInterval); err != nil {
			return "", err
		}
		now, _, err := g.host.inspect(ctx, Ref{ID: g.id})
		if err != nil {
			return "", err
		}
		if !now.State.Live() {
			return StopShut, nil
		}
		if clock.Now().After(again) {
			again = clock.Now().Add(askInterval)
			if _, err := g.ask(ctx, now); err != nil {
				return "", err
			}
		}
	}
	return g.kill(ctx)
}

// ask asks the guest to shut down, and reports false where that cannot be done
// at all. Other failures may pass, and it will be asked again; a hypervisor that
// is away is an error. None of them is a reason to kill before the grace ends.
func (g *Guest) ask(ctx context.Context, st Status) (bool, error) {
	err := g.wake(ctx, st)
	if err == nil {
		err = g.call(ctx, "shutdown", func(ctx context.Context) error { return g.host.backend.Stop(ctx, g.id, Shutdown) })
	}
	if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
		return false, err
	}
	if err != nil {
		g.host.opts.Logger.WarnContext(ctx, "guest cannot be asked to shut down", "guest", g.name, "id", g.id, "err", err)
	}
	return !errors.Is(err, errors.ErrUnsupported), nil
}

// wake resumes a paused guest, which could not hear the request otherwise.
func (g *Guest) wake(ctx context.Context, st Status) error {
	if st.State != StatePaused {
		return nil
	}
	p, err := need[Pauser](g.host, FeaturePause)
	if err != nil {
		return err
	}
	return g.call(ctx, "resume", func(ctx context.Context) error { return p.Resume(ctx, g.id) })
}

func (g *Guest) kill(ctx context.Context) (StopResult, error) {
	err := g.call(ctx, "kill", func(ctx context.Context) error { return g.host.backend.Stop(ctx, g.id, Kill) })
	if err != nil {
		return "", err
	}
	return StopKilled, nil
}
