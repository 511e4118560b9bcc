package main

import (
	"context"
	"strings"

	"github.com/guestforge/provision"
)

func labels(ctx context.Context, c *command) error {
	wanted := map[string]string{}
	for _, arg := range c.args[1:] {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return usageError{arg + " is not KEY=VALUE", c.verb.seeHelp()}
		}
		wanted[name] = value
	}
	if c.clear == (len(wanted) > 0) {
		if c.clear {
			return usageError{"-clear removes all labels; it takes none to set", c.verb.seeHelp()}
		}
		return c.showLabels(ctx)
	}
	return c.change(ctx, func(g *provision.Guest) error { return g.SetLabels(ctx, wanted) })
}

func (c *command) showLabels(ctx context.Context) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	st, err := g.Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.document(outcome{Name: g.Name(), Status: st})
	}
	return c.table(labelRows(st.Labels)...)
}

func autostart(ctx context.Context, c *command) error {
	on := c.args[1] == "on"
	if !on && c.args[1] != "off" {
		return usageError{c.args[1] + " is neither on nor off", c.verb.seeHelp()}
	}
	return c.change(ctx, func(g *provision.Guest) error { return g.SetAutostart(ctx, on) })
}
