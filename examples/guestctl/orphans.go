package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

// orphanOptions are the flags of the verb orphans.
type orphanOptions struct {
	remove bool
	all    bool
	age    time.Duration
}

func (o *options) orphanFlags(f *flag.FlagSet) {
	f.BoolVar(&o.orphan.remove, "remove", false, "remove those that are named, or all with -all")
	f.BoolVar(&o.orphan.all, "all", false, "with -remove and no names: remove all that are listed")
	f.DurationVar(&o.orphan.age, "age", 10*time.Minute, "least `TIME` since an orphan was last written to; 0 for none")
}

// check refuses to remove what nobody has named.
func (o *orphanOptions) check(names []string) error {
	switch {
	case o.age < 0:
		return errors.New("-age is negative")
	case o.all && !o.remove:
		return errors.New("-all is for -remove")
	case o.all && len(names) > 0:
		return errors.New("-all is instead of names")
	case o.remove && !o.all && len(names) == 0:
		return errors.New("-remove needs names, or -all")
	}
	return nil
}

func orphans(ctx context.Context, c *command) error {
	opts := &provision.OrphanOptions{MinAge: c.orphan.age}
	if opts.MinAge == 0 {
		opts.MinAge = -1
	}
	list, err := c.host.Orphans(ctx, opts)
	if err != nil {
		return err
	}
	list, missing := named(list, c.args)
	if missing != "" {
		return c.missing(ctx, missing)
	}
	if c.orphan.remove {
		for i, o := range list {
			if err := c.host.RemoveOrphan(ctx, o, opts); err != nil {
				return errors.Join(err, c.orphanTable(list[:i]))
			}
		}
	}
	if c.json {
		return c.document(append([]provision.Orphan{}, list...))
	}
	return errors.Join(c.orphanTable(list), c.younger(ctx, opts))
}

// younger says how many orphans the least age hides: who has just seen a guest go
// would take an empty list for none.
func (c *command) younger(ctx context.Context, opts *provision.OrphanOptions) error {
	if opts.MinAge < 0 || len(c.args) > 0 {
		return nil
	}
	all, err := c.host.Orphans(ctx, &provision.OrphanOptions{MinAge: -1})
	if err != nil {
		return err
	}
	since := time.Now().Add(-opts.MinAge)
	n := len(slices.DeleteFunc(all, func(o provision.Orphan) bool { return !o.Modified.After(since) }))
	if n == 0 {
		return nil
	}
	return c.say("%d younger than %s not shown; -age 0 shows all", n, opts.MinAge)
}

// missing says why there is no orphan of a name: there may be one that is too young.
func (c *command) missing(ctx context.Context, name string) error {
	all, err := c.host.Orphans(ctx, &provision.OrphanOptions{MinAge: -1})
	if err != nil {
		return err
	}
	if list, _ := named(all, []string{name}); len(list) > 0 {
		age := max(0, time.Since(list[0].Modified)).Round(time.Second)
		return fmt.Errorf("%w: orphan %q was written to %s ago, less than -age %s", provision.ErrConflict, name, age, c.orphan.age)
	}
	return fmt.Errorf("orphan %q: %w", name, provision.ErrNotFound)
}

// named chooses orphans by name, and returns the first name that none has. No
// names choose all.
func named(list []provision.Orphan, names []string) (chosen []provision.Orphan, missing string) {
	for _, name := range names {
		if !slices.ContainsFunc(list, func(o provision.Orphan) bool { return o.Name == name }) {
			return nil, name
		}
	}
	return slices.DeleteFunc(list, func(o provision.Orphan) bool {
		return len(names) > 0 && !slices.Contains(names, o.Name)
	}), ""
}

func (c *command) orphanTable(list []provision.Orphan) error {
	last := "EVIDENCE"
	if c.orphan.remove {
		last = "REMOVED BECAUSE"
	}
	rows := [][]string{{"KIND", "NAME", "SIZE", "MODIFIED", last}}
	for _, o := range list {
		modified := ""
		if !o.Modified.IsZero() {
			modified = o.Modified.Format(time.DateTime)
		}
		size := ""
		if o.Size != 0 {
			size = human(o.Size)
		}
		rows = append(rows, []string{string(o.Kind), o.Name, size, modified, strings.Join(o.Evidence, "; ")})
	}
	return c.table(rows...)
}
