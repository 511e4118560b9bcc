package provisiontest

import (
	"context"
	"fmt"

	"github.com/guestforge/provision"
)

// Start implements [provision.Backend]. With a BootTime it returns while the
// guest is starting.
func (b *Backend) Start(ctx context.Context, id provision.ID) error {
	return b.change(ctx, id, (*machine).start)
}

func (m *machine) start(g *guest) error {
	switch {
	case g.State == provision.StateRunning || g.State == provision.StateStarting:
		return nil
	case g.State.Live():
		return stateError("start", g)
	case g.Suspended:
		return fmt.Errorf("guest %q: %w", g.Name, provision.ErrSuspended)
	}
	g.Console = "" // the log begins anew
	g.Runs++
	g.Ran = 0
	if m.opts.BootTime > 0 {
		m.set(g, provision.StateStarting, "")
		g.Until = m.opts.Clock.Now().Add(m.opts.BootTime)
	} else {
		m.boot(g)
	}
	return nil
}

// Stop implements [provision.Backend]. A paused guest does not hear a request.
func (b *Backend) Stop(ctx context.Context, id provision.ID, how provision.StopMode) error {
	return b.change(ctx, id, func(m *machine, g *guest) error {
		switch {
		case !g.State.Live():
		case how == provision.Kill:
			m.set(g, provision.StateStopped, "killed")
		case g.State == provision.StatePaused || g.State == provision.StateStopping || m.opts.Deaf != nil && m.opts.Deaf(g.Name):
		default:
			m.shutDown(g)
		}
		return nil
	})
}

func (m *machine) shutDown(g *guest) {
	if m.opts.ShutdownTime <= 0 {
		m.set(g, provision.StateStopped, "shut down")
		return
	}
	m.set(g, provision.StateStopping, "")
	g.Until = m.opts.Clock.Now().Add(m.opts.ShutdownTime)
}

// Pause implements [provision.Pauser].
func (b *Backend) Pause(ctx context.Context, id provision.ID) error {
	return b.freeze(ctx, id, "pause", provision.StateRunning, provision.StatePaused)
}

// Resume implements [provision.Pauser].
func (b *Backend) Resume(ctx context.Context, id provision.ID) error {
	return b.freeze(ctx, id, "resume", provision.StatePaused, provision.StateRunning)
}

func (b *Backend) freeze(ctx context.Context, id provision.ID, verb string, from, to provision.State) error {
	if err := b.refuse(provision.FeaturePause); err != nil {
		return err
	}
	return b.change(ctx, id, func(m *machine, g *guest) error {
		switch g.State {
		case to:
		case from:
			m.set(g, to, "by request")
		default:
			return stateError(verb, g)
		}
		return nil
	})
}

// SetAutostart implements [provision.Autostarter].
func (b *Backend) SetAutostart(ctx context.Context, id provision.ID, on bool) error {
	if err := b.refuse(provision.FeatureAutostart); err != nil {
		return err
	}
	return b.change(ctx, id, func(m *machine, g *guest) error {
		if g.Autostart != on {
			g.Autostart = on
			m.note(provision.EventChanged, g)
		}
		return nil
	})
}

// SetSuspended implements [provision.Suspender]: [Backend.StartOutside] is
// refused too.
func (b *Backend) SetSuspended(ctx context.Context, id provision.ID, on bool) error {
	return b.change(ctx, id, func(_ *machine, g *guest) error {
		g.Suspended = on
		return nil
	})
}

// SetRecord implements [provision.Backend].
func (b *Backend) SetRecord(ctx context.Context, id provision.ID, r provision.Record) error {
	return b.change(ctx, id, func(m *machine, g *guest) error {
		g.Record = append(provision.Record(nil), r...)
		m.note(provision.EventChanged, g)
		return nil
	})
}

// change runs do on one guest.
func (b *Backend) change(ctx context.Context, id provision.ID, do func(*machine, *guest) error) error {
	return b.update(ctx, func(m *machine) error {
		g, err := m.byID(id)
		if err != nil {
			return err
		}
		return do(m, g)
	})
}

func stateError(verb string, g *guest) error {
	return fmt.Errorf("%w: cannot %s guest %q, which is %s", provision.ErrState, verb, g.Name, g.State)
}
