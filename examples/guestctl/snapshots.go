package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

// resize gives guests the sizes of a file, one after the other, and stops at the
// first that cannot have them.
func resize(ctx context.Context, c *command) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	var done []*provision.Plan
	for i, s := range specs {
		p, err := c.resizeOne(ctx, s)
		if err != nil {
			return c.inDocument(i, len(specs), err)
		}
		done = append(done, p)
		if c.json {
			continue
		}
		if err := c.say("%s: %d changed\n%s", p.Guest, len(p.Changes), strings.TrimRight(p.String(), "\n")); err != nil {
			return err
		}
	}
	if c.json {
		return c.document(done)
	}
	return nil
}

func (c *command) resizeOne(ctx context.Context, s provision.Spec) (*provision.Plan, error) {
	g, err := c.host.Guest(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	p, err := g.Resize(ctx, s, &provision.ResizeOptions{AtRestart: c.atRestart})
	if errors.Is(err, provision.ErrState) && !c.atRestart && c.waits(ctx, s) {
		err = errors.Join(err, errors.New("-at-restart takes what has to wait for the next start"))
	}
	return p, err
}

// waits reports whether a guest that is there has some of a Spec only from its next
// start on.
func (c *command) waits(ctx context.Context, s provision.Spec) bool {
	p, err := c.host.Plan(ctx, s)
	return err == nil && p.Action == provision.ActionChange &&
		slices.ContainsFunc(p.Changes, func(ch provision.Change) bool { return ch.Impact == provision.ImpactRestart })
}

func snapshotCreate(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	s, err := g.Snapshot(ctx, c.args[1], nil)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(s)
	}
	return c.say("%s: snapshot %s taken, the guest was %s", g.Name(), s.Name, s.Consistency)
}

func snapshotList(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	list, err := g.Snapshots(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(append([]provision.Snapshot{}, list...))
	}
	rows := [][]string{{"NAME", "CREATED", "SIZE", "GUEST WAS"}}
	for _, s := range list {
		rows = append(rows, []string{s.Name, s.Created.Format(time.DateTime), orDash(s.Size, human), string(s.Consistency)})
	}
	return c.table(rows...)
}

func snapshotRestore(ctx context.Context, c *command) error {
	return c.snapshotDone(ctx, "restored", func(g *provision.Guest) error { return g.RestoreSnapshot(ctx, c.args[1], nil) })
}

func snapshotDelete(ctx context.Context, c *command) error {
	return c.snapshotDone(ctx, "deleted", func(g *provision.Guest) error { return g.DeleteSnapshot(ctx, c.args[1]) })
}

func (c *command) snapshotDone(ctx context.Context, what string, do func(*provision.Guest) error) error {
	g, err := c.guest(ctx)
	if err == nil {
		err = do(g)
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.document(map[string]string{"name": g.Name(), "snapshot": c.args[1], "result": what})
	}
	return c.say("%s: snapshot %s %s", g.Name(), c.args[1], what)
}
