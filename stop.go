package provision

import (
	"context"
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
	// killed. Default: one minute.
	Grace time.Duration
	// Force kills at once, without asking.
	Force bool
}

// StopResult says what it took to stop a guest.
type StopResult string

// Values of [StopResult]. With an error it is empty, unless a Restart has stopped
// the guest and could not start it.
const (
	StopNone   StopResult = "was off"                // it did not run
	StopAgent  StopResult = "shut down by its agent" // its agent was asked, and nobody else
	StopShut   StopResult = "shut down"              // it went by itself when the hypervisor asked
	StopKilled StopResult = "killed"                 // it had to be killed, or Force was set
)

// Killed reports whether the guest was switched off while it ran, so that what
// it had not yet written to its disks is lost.
func (r StopResult) Killed() bool { return r == StopKilled }

// Stop asks the guest to shut down, waits, kills it if it is still there, and
// says which. Where an agent inside of the guest listens it is asked first, and
// has half of the grace for itself; then the hypervisor asks (ACPI), again and
// again, because a guest that is booting does not hear it, and one may reboot
// instead. A guest that has no ear for either is killed when the grace ends.
//
// A guest that is off is left alone. A paused guest, or one that has suspended
// itself to memory, is resumed so that it can hear the request; one that cannot
// be, as after an error of its disk, is killed in the end. When the context
// ends first, the guest has been asked and may still go. opts may be nil.
func (g *Guest) Stop(ctx context.Context, opts *StopOptions) (StopResult, error) {
	var result StopResult
	opts, err := opts.complete()
	if err != nil {
		return "", g.wrap("stop", err)
	}
	err = g.changeFrom(ctx, "stop", g.looker(opts.Force), func(st Status, rec *record) (err error) {
		if rec.Lifting != nil { // what an Unsuspend left to do is not to start it
			if err := g.lift(ctx, st, rec, false); err != nil {
				return err
			}
		}
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
	return newRequest(g, opts.Grace).run(ctx, st)
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
