package provision

import (
	"context"
	"errors"
	"time"
)

// request is one attempt to make a guest shut down by itself.
type request struct {
	g     *Guest
	grace time.Duration
	end   time.Time
	agent AgentStopper // nil where there is none, or no more
	alone time.Time    // until then the agent, which took the request, has the guest for itself
	// pressed counts the requests of the hypervisor, deaf says that it has none.
	pressed int
	deaf    bool
}

// hangs is how long an agent may take to fail: one that takes longer is not
// waited for twice.
const hangs = 2 * time.Second

func newRequest(g *Guest, grace time.Duration) *request {
	r := &request{g: g, grace: grace, end: g.host.opts.Clock.Now().Add(grace)}
	r.agent, _ = g.host.backend.(AgentStopper)
	return r
}

// run asks, waits, asks again now and then, and kills the guest in the end.
func (r *request) run(ctx context.Context, st Status) (StopResult, error) {
	clock := r.g.host.opts.Clock
	if err := r.ask(ctx, st); err != nil {
		return "", err
	}
	again := r.next()
	for !r.hopeless() && clock.Now().Before(r.end) {
		if err := clock.Sleep(ctx, pollInterval); err != nil {
			return "", err
		}
		now, _, err := r.g.host.inspect(ctx, Ref{ID: r.g.id})
		switch {
		case err != nil:
			return "", err
		case !now.State.Live() && r.pressed == 0:
			return StopAgent, nil
		case !now.State.Live():
			return StopShut, nil
		}
		if clock.Now().After(again) {
			if err := r.ask(ctx, now); err != nil {
				return "", err
			}
			again = r.next()
		}
	}
	r.g.host.opts.Logger.WarnContext(ctx, "guest is killed: it did not shut down", "guest", r.g.name, "id", r.g.id,
		"grace", r.grace, "agentAsked", !r.alone.IsZero(), "requests", r.pressed)
	return r.g.kill(ctx)
}

// next is when to ask again: when the agent has had its time the hypervisor has to
// ask once at least, also if the grace is short.
func (r *request) next() time.Time {
	now := r.g.host.opts.Clock.Now()
	if r.pressed == 0 && !r.deaf {
		return later(now, r.alone)
	}
	return now.Add(askInterval)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// hopeless reports that there is nobody who could ask the guest.
func (r *request) hopeless() bool { return r.deaf && r.alone.IsZero() }

// ask asks whoever is next. An error is one of a hypervisor that is away, or of
// the context; that a request failed may pass, and is no reason to kill before
// the grace ends.
func (r *request) ask(ctx context.Context, st Status) error {
	err := r.attempt(ctx, r.left(), func(ctx context.Context) error { return r.g.wake(ctx, st) })
	if fatal := r.away(ctx, err); fatal != nil {
		return fatal
	}
	if errors.Is(err, errors.ErrUnsupported) {
		r.agent, r.deaf = nil, true // it stays frozen
	}
	r.warn(ctx, "resumed", err)
	if !r.alone.IsZero() && r.g.host.opts.Clock.Now().Before(r.alone) {
		return nil
	}
	if took, err := r.askAgent(ctx); took || err != nil {
		return err
	}
	if r.deaf {
		return nil
	}
	err = r.attempt(ctx, r.left(), func(ctx context.Context) error {
		return r.g.call(ctx, "shutdown", func(ctx context.Context) error { return r.g.host.backend.Stop(ctx, r.g.id, Shutdown) })
	})
	if fatal := r.away(ctx, err); fatal != nil {
		return fatal
	}
	r.pressed++
	r.deaf = errors.Is(err, errors.ErrUnsupported)
	r.warn(ctx, "asked to shut down", err)
	return nil
}

// askAgent reports whether the agent has taken the request, for the first time:
// one that did and nothing happened is not asked again. It is asked under a
// deadline, as it belongs to the tenant and may just not answer.
func (r *request) askAgent(ctx context.Context) (took bool, err error) {
	if r.agent == nil {
		return false, nil
	}
	clock := r.g.host.opts.Clock
	begin := clock.Now()
	late := false
	err = r.attempt(ctx, min(r.grace/2, r.left()), func(short context.Context) error {
		err := r.g.call(short, "shutdown by agent", func(ctx context.Context) error { return r.agent.StopByAgent(ctx, r.g.id) })
		late = short.Err() != nil && ctx.Err() == nil
		return err
	})
	fatal := r.away(ctx, err)
	switch {
	case err == nil || late:
		// Which it is when it is late nobody knows; the guest may be on its way.
		r.agent, r.alone = nil, r.end.Add(-r.grace/2)
		return true, nil
	case fatal != nil:
		return false, fatal
	case errors.Is(err, errors.ErrUnsupported), clock.Now().Sub(begin) > hangs:
		r.agent = nil
	default: // it may not run yet
		r.g.host.opts.Logger.DebugContext(ctx, "agent of the guest does not answer", "guest", r.g.name, "id", r.g.id, "err", err)
	}
	return false, nil
}

// left is how much of the grace is left.
func (r *request) left() time.Duration { return r.end.Sub(r.g.host.opts.Clock.Now()) }

// shortest is what a call gets at least.
const shortest = 100 * time.Millisecond

// attempt bounds a call, because a guest that hangs may let it hang.
func (r *request) attempt(ctx context.Context, most time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, max(most, shortest))
	defer cancel()
	return do(ctx)
}

// away returns the error of a hypervisor that is away, or of a context that has
// ended. One that can still tell of the guest is not away: then it is the guest
// that hangs, and it will be killed in the end.
func (r *request) away(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return err
	case !errors.Is(err, ErrUnavailable):
		return nil
	}
	if _, _, gone := r.g.host.inspect(ctx, Ref{ID: r.g.id}); gone != nil && !errors.Is(gone, ErrNotFound) {
		return err
	}
	return nil
}

func (r *request) warn(ctx context.Context, what string, err error) {
	if err != nil {
		r.g.host.opts.Logger.WarnContext(ctx, "guest cannot be "+what, "guest", r.g.name, "id", r.g.id, "err", err)
	}
}
