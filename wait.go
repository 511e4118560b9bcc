package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// awayTimeout is how long Wait goes on while the hypervisor does not answer.
const awayTimeout = 30 * time.Second

// Condition is something to wait for; see [UntilState], [UntilGone],
// [UntilConsole], [UntilAddress] and [UntilExec]. It may be used for many Waits.
type Condition struct {
	what string
	// wrong says why it can never be met; Wait refuses it.
	wrong *FieldError
	// begin returns the test for one Wait.
	begin func() test
}

type test func(ctx context.Context, g *Guest, st Status) (bool, error)

// String says what is waited for.
func (c Condition) String() string { return c.what }

// UntilState waits for one of some states. Without any it is the zero Condition;
// that, StateAbsent, for which there is [UntilGone], and what is no state are
// [ErrInvalid] when it is waited for.
func UntilState(states ...State) Condition {
	if len(states) == 0 {
		return Condition{}
	}
	c := untilState("state "+anyOf(states), states...)
	for _, s := range states {
		switch {
		case s == StateAbsent:
			c.wrong = &FieldError{Path: "until", Value: string(s), Problem: "is not a state that a guest can have; use UntilGone"}
		case !slices.Contains(guestStates, s):
			c.wrong = &FieldError{Path: "until", Value: clip(string(s)), Problem: "is not a state that a guest can have; those are " + anyOf(guestStates)}
		}
	}
	return c
}

// guestStates are the states of guests that are there.
var guestStates = []State{
	StateIncomplete, StateStopped, StateStarting, StateRunning, StatePaused, StateStopping, StateCrashed, StateUnknown,
}

func untilState(what string, states ...State) Condition {
	states = slices.Clone(states)
	met := func(_ context.Context, _ *Guest, st Status) (bool, error) {
		return slices.Contains(states, st.State), nil
	}
	return Condition{what: what, begin: func() test { return met }}
}

// anyOf is a list in words: "running, paused or stopped".
func anyOf[T ~string](list []T) string {
	var b strings.Builder
	for i, e := range list {
		switch i {
		case 0:
		case len(list) - 1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(e))
	}
	return b.String()
}

// UntilGone waits until the guest is not there any more.
func UntilGone() Condition { return untilState("that it is gone", StateAbsent) }

// UntilConsole waits until the guest has written text to its serial console, at
// or after offset from in [Guest.ConsoleLog]. A guest that is off and has not
// written it is ErrState.
func UntilConsole(text string, from int64) Condition {
	return Condition{
		what:  fmt.Sprintf("%q on the console", clip(text)),
		begin: func() test { return (&console{want: []byte(text), at: from}).met },
	}
}

// console looks for a text in a log that grows.
type console struct {
	want []byte
	at   int64
	tail []byte // what was read last, for a text that comes in two parts
}

func (c *console) met(ctx context.Context, g *Guest, st Status) (bool, error) {
	for {
		part, err := g.ConsoleLog(ctx, c.at)
		if err != nil {
			return false, err
		}
		c.at += int64(len(part))
		c.tail = append(c.tail, part...)
		if bytes.Contains(c.tail, c.want) {
			return true, nil
		}
		c.tail = slices.Clone(c.tail[max(0, len(c.tail)-len(c.want)):])
		if len(part) > 0 {
			continue
		}
		if !st.State.Live() {
			return false, stateError("wait for the console of", st)
		}
		return false, nil
	}
}

// Wait returns when the condition is met, with the status of that moment. It
// goes on until the context ends; a hypervisor that does not answer for half a
// minute ends it with [ErrUnavailable], a shorter absence is waited out. A guest
// that is gone is [ErrNotFound], unless that was waited for; a Condition that can
// never be met is [ErrInvalid].
func (g *Guest) Wait(ctx context.Context, until Condition) (Status, error) {
	if until.begin == nil {
		until.wrong = &FieldError{Path: "until", Problem: "is the zero Condition; use UntilState, UntilGone, UntilConsole, UntilAddress or UntilExec"}
	}
	if until.wrong != nil {
		return Status{}, g.wrap("wait for", until.wrong)
	}
	st, err := g.wait(ctx, until)
	if err != nil {
		return st, g.wrap("wait for", fmt.Errorf("%s: %w", until.what, err))
	}
	return st, nil
}

func (g *Guest) wait(ctx context.Context, until Condition) (st Status, err error) {
	clock := g.host.opts.Clock
	seen := clock.Now()
	met := until.begin()
	var why *pendingError
	defer func() {
		if err != nil && why != nil {
			err = fmt.Errorf("%w; so far: %w", err, why)
		}
	}()
	for {
		var ok bool
		st, ok, err = g.poll(ctx, met)
		if errors.As(err, &why) {
			err = nil
		}
		switch {
		case ok:
			return st, nil
		case err == nil:
			seen = clock.Now()
		case !errors.Is(err, ErrUnavailable) || clock.Now().Sub(seen) > awayTimeout:
			return st, err
		}
		if serr := clock.Sleep(ctx, pollInterval); serr != nil {
			return st, errors.Join(serr, err)
		}
	}
}

func (g *Guest) poll(ctx context.Context, met test) (Status, bool, error) {
	st, _, err := g.host.inspect(ctx, Ref{ID: g.id})
	if errors.Is(err, ErrNotFound) {
		gone := Status{Name: g.name, ID: g.id, State: StateAbsent}
		if ok, _ := met(ctx, g, gone); ok {
			return gone, true, nil
		}
	}
	if err != nil {
		return st, false, err
	}
	ok, err := met(ctx, g, st)
	return st, ok, err
}
