package main

import (
	"bytes"
	"context"
	"errors"
)

// rendered is one guest of render -json.
type rendered struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// render prints the texts of all guests or, if one cannot be made, none.
func render(ctx context.Context, c *command) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	list := make([]rendered, len(specs))
	var text bytes.Buffer
	var errs []error
	for i, s := range specs {
		one, err := c.host.Render(ctx, s)
		if err != nil {
			errs = append(errs, c.inDocument(i, len(specs), err))
		}
		list[i] = rendered{s.Name, string(one)}
		text.Write(one)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if c.json {
		return c.document(list)
	}
	_, err = c.stdout.Write(text.Bytes())
	return err
}
