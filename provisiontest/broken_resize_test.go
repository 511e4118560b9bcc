package provisiontest

import (
	"context"

	"github.com/guestforge/provision"
)

// idleResize says that it has resized a guest.
type idleResize struct{ *Backend }

func (b idleResize) Resize(ctx context.Context, id provision.ID, _ *provision.Spec, s *provision.Steps) error {
	return s.Do(ctx, "nothing", func(context.Context) error { return nil })
}

// forgetful loses what waits for a restart.
type forgetful struct{ *Backend }

func (b forgetful) Stop(ctx context.Context, id provision.ID, how provision.StopMode) error {
	err := b.change(ctx, id, func(_ *machine, g *guest) error {
		g.Next = nil
		return nil
	})
	if err != nil {
		return err
	}
	return b.Backend.Stop(ctx, id, how)
}

// oneWay resizes a guest once: it cannot go back.
type oneWay struct{ *Backend }

func (b oneWay) Resize(ctx context.Context, id provision.ID, want *provision.Spec, s *provision.Steps) error {
	smaller := false
	err := b.view(ctx, func(m *machine) error {
		g, err := m.byID(id)
		smaller = err == nil && want.CPU.Limit < g.Spec.CPU.Limit
		return err
	})
	if err != nil || smaller {
		return err
	}
	return b.Backend.Resize(ctx, id, want, s)
}

// roomy never says that there is no room.
type roomy struct{ *Backend }

func (b roomy) FitResize(ctx context.Context, id provision.ID, want *provision.Spec) ([]provision.Limit, error) {
	limits, _ := b.Backend.FitResize(ctx, id, want)
	return limits, nil
}

// halfSeen lists snapshots that are not whole.
type halfSeen struct{ *Backend }

func (b halfSeen) Snapshots(ctx context.Context, id provision.ID) ([]provision.Snapshot, error) {
	var list []provision.Snapshot
	err := b.view(ctx, func(m *machine) error {
		for _, name := range m.snapshotsOf(id) {
			list = append(list, m.Snapshots[name].public())
		}
		return nil
	})
	return list, err
}

// stuck does not put the disks back.
type stuck struct{ *Backend }

func (b stuck) RestoreSnapshot(ctx context.Context, _ provision.ID, _ string, s *provision.Steps) error {
	return s.Do(ctx, "exchange", func(context.Context) error { return nil })
}

// hoarder keeps snapshots of guests that are gone.
type hoarder struct{ *Backend }

func (b hoarder) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	var kept map[string]snapshot
	err := b.update(ctx, func(m *machine) error {
		kept, m.Snapshots = m.Snapshots, nil
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.Backend.Delete(ctx, id, s); err != nil {
		return err
	}
	return b.update(ctx, func(m *machine) error {
		m.Snapshots = kept
		return nil
	})
}

// deafTerminal has terminals of one size.
type deafTerminal struct{ *Backend }

func (b deafTerminal) Exec(ctx context.Context, id provision.ID, argv []string, opts *provision.ExecOptions) (provision.ExecResult, error) {
	o := *opts
	if o.TTY != nil {
		o.TTY = &provision.Terminal{Size: provision.TerminalSize{Rows: 24, Cols: 80}, Sizes: opts.TTY.Sizes}
	}
	return b.Backend.Exec(ctx, id, argv, &o)
}
