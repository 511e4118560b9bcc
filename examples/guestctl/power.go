package main

import (
	"context"

	"github.com/guestforge/provision"
)

func start(ctx context.Context, c *command) error {
	return c.change(ctx, func(g *provision.Guest) error { return g.Start(ctx, nil) })
}

func pause(ctx context.Context, c *command) error {
	return c.change(ctx, func(g *provision.Guest) error { return g.Pause(ctx) })
}

func resume(ctx context.Context, c *command) error {
	return c.change(ctx, func(g *provision.Guest) error { return g.Resume(ctx) })
}

func unsuspend(ctx context.Context, c *command) error {
	return c.change(ctx, func(g *provision.Guest) error { return g.Unsuspend(ctx, c.reason) })
}

func stop(ctx context.Context, c *command) error {
	return c.halt(ctx, func(g *provision.Guest, o *provision.StopOptions) (provision.StopResult, error) {
		return g.Stop(ctx, o)
	})
}

func restart(ctx context.Context, c *command) error {
	return c.halt(ctx, func(g *provision.Guest, o *provision.StopOptions) (provision.StopResult, error) {
		return g.Restart(ctx, o)
	})
}

func suspend(ctx context.Context, c *command) error {
	return c.halt(ctx, func(g *provision.Guest, o *provision.StopOptions) (provision.StopResult, error) {
		return g.Suspend(ctx, c.reason, o)
	})
}

// outcome is what changed a guest and what became of it, in JSON.
type outcome struct {
	Name   string               `json:"name"`
	Result provision.StopResult `json:"result,omitempty"` // what it took to stop the guest
	Status provision.Status     `json:"status"`
}

// change runs a verb on a guest and prints its new state.
func (c *command) change(ctx context.Context, do func(*provision.Guest) error) error {
	return c.halt(ctx, func(g *provision.Guest, _ *provision.StopOptions) (provision.StopResult, error) {
		return "", do(g)
	})
}

// halt is change for verbs that stop a guest.
func (c *command) halt(ctx context.Context, do func(*provision.Guest, *provision.StopOptions) (provision.StopResult, error)) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	result, err := do(g, &provision.StopOptions{Grace: c.grace, Force: c.force})
	if err != nil {
		return err
	}
	st, err := g.Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(outcome{Name: g.Name(), Result: result, Status: st})
	}
	text := string(st.State)
	if result != "" {
		text += ", it " + map[provision.StopResult]string{
			provision.StopNone: "was off", provision.StopAgent: "was shut down by its agent", provision.StopShut: "shut down", provision.StopKilled: "was killed",
		}[result]
	}
	if len(st.Suspended) > 0 {
		text += " (suspended for " + joined(st.Suspended) + ")"
	}
	return c.say("%s: %s", g.Name(), text)
}
