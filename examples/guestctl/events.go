package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/guestforge/provision"
)

// events prints until the user interrupts it, or its -timeout is over: that is
// its regular end.
func events(ctx context.Context, c *command) error {
	enc := json.NewEncoder(c.stdout) // one line an event
	for e, err := range c.host.Events(ctx, nil) {
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err == nil && c.json:
			err = enc.Encode(e)
		case err == nil:
			err = c.say("%s", eventLine(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func eventLine(e provision.Event) string {
	text := e.Time.Format(time.TimeOnly) + " " + string(e.Type)
	if e.Count > 0 {
		text += fmt.Sprintf(" %d", e.Count)
	}
	if e.Name != "" {
		text += fmt.Sprintf(" %s: %s", e.Name, e.State)
	}
	if e.Reason != "" {
		text += " (" + plain(e.Reason) + ")"
	}
	return text
}
