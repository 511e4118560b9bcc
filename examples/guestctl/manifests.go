package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/guestforge/provision"
)

// specs reads the file that -f names.
func (c *command) specs() (list []provision.Spec, err error) {
	var r io.Reader = c.stdin
	if c.file != "-" {
		f, err := os.Open(c.file)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read
		r = f
	}
	list, err = provision.ReadManifest(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.source(), err)
	}
	return list, c.distinct(list)
}

// source is what -f names.
func (c *command) source() string {
	if c.file == "-" {
		return "standard input"
	}
	return c.file
}

// distinct refuses two documents for one guest, of which the second could only
// fail after the first was made.
func (c *command) distinct(list []provision.Spec) error {
	seen := map[string]int{}
	for i, s := range list {
		for field, value := range map[string]string{"name": s.Name, "key": s.Key} {
			id := field + "\x00" + value
			if first, dup := seen[id]; dup && value != "" {
				return c.inDocument(i, len(list), &provision.FieldError{Path: field, Value: value, Problem: fmt.Sprintf("stands in document %d too", first+1)})
			}
			seen[id] = i
		}
	}
	return nil
}

// plans plans all Specs and reports what is wrong with any of them.
func (c *command) plans(ctx context.Context, specs []provision.Spec) ([]*provision.Plan, error) {
	list := make([]*provision.Plan, len(specs))
	var errs []error
	for i, s := range specs {
		p, err := c.host.Plan(ctx, s)
		if err != nil {
			errs = append(errs, c.inDocument(i, len(specs), err))
		}
		list[i] = p
	}
	return list, errors.Join(errs...)
}

// inDocument says in which of several documents a mistake is.
func (c *command) inDocument(i, n int, err error) error {
	if n == 1 {
		return err
	}
	return fmt.Errorf("%s: document %d: %w", c.source(), i+1, err)
}

func plan(ctx context.Context, c *command) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	list, err := c.plans(ctx, specs)
	if err != nil {
		return err
	}
	var text strings.Builder
	drift := false
	for _, p := range list {
		text.WriteString(p.String())
		drift = drift || p.Action == provision.ActionChange
	}
	if c.json {
		err = c.document(list)
	} else {
		_, err = io.WriteString(c.stdout, text.String())
	}
	if err == nil && drift && c.drift {
		return errFindings
	}
	return err
}

// create makes guests one after the other and stops at the first that cannot be
// made; those made before stay and are printed.
func create(ctx context.Context, c *command) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	if len(specs) > 1 { // a mistake in the last must not show when the first is made
		if _, err := c.plans(ctx, specs); err != nil {
			return err
		}
	}
	var made []provision.Status
	for i, s := range specs {
		st, err := c.createOne(ctx, s)
		if err != nil {
			return errors.Join(c.inDocument(i, len(specs), err), c.created(made))
		}
		made = append(made, st)
	}
	return c.created(made)
}

func (c *command) createOne(ctx context.Context, s provision.Spec) (provision.Status, error) {
	g, err := c.host.Create(ctx, s, nil)
	if err == nil && c.start {
		err = g.Start(ctx, nil)
	}
	if err != nil {
		return provision.Status{}, err
	}
	return g.Status(ctx)
}

func (c *command) created(made []provision.Status) error {
	if c.json && len(made) > 0 {
		return c.document(made)
	}
	for _, st := range made {
		if err := c.say("%s: %s, id %s", st.Name, st.State, st.ID); err != nil {
			return err
		}
	}
	return nil
}
