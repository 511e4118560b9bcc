package main

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// waitOptions are the flags of wait.
type waitOptions struct {
	what  string
	until provision.Condition
}

func (o *options) waitFlags(f *flag.FlagSet) {
	f.Func("for", "`WHAT` to wait for (required): exec (programs can be run inside), address, gone, console=TEXT, "+
		"or a state: stopped, starting, running, paused, stopping, crashed, incomplete, unknown", func(text string) error {
		o.wait.what = text
		var known bool
		if o.wait.until, known = condition(text); !known {
			return errors.New("it is none of exec, address, gone, console=TEXT and the states of a guest")
		}
		return nil
	})
}

// condition reads what -for names.
func condition(text string) (until provision.Condition, known bool) {
	if want, ok := strings.CutPrefix(text, "console="); ok {
		return provision.UntilConsole(want, 0), want != ""
	}
	switch text {
	case "exec":
		return provision.UntilExec(), true
	case "address":
		return provision.UntilAddress(), true
	case "gone":
		return provision.UntilGone(), true
	}
	states := []provision.State{
		provision.StateStopped, provision.StateStarting, provision.StateRunning, provision.StatePaused,
		provision.StateStopping, provision.StateCrashed, provision.StateIncomplete, provision.StateUnknown,
	}
	state := provision.State(text)
	return provision.UntilState(state), slices.Contains(states, state)
}

// wait returns when a guest is as it is waited for. The handle does not exist
// without the guest, so that it is gone already shows at the look-up.
func wait(ctx context.Context, c *command) error {
	st := provision.Status{Name: c.args[0], State: provision.StateAbsent}
	g, err := c.guest(ctx)
	switch {
	case err == nil:
		st, err = g.Wait(ctx, c.wait.until)
	case c.wait.what == "gone" && errors.Is(err, provision.ErrNotFound):
		err = nil
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.document(outcome{Name: st.Name, Status: st})
	}
	return c.say("%s: %s", st.Name, st.State)
}
