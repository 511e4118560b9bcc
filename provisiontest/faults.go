package provisiontest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/guestforge/provision"
)

// Faults makes chosen calls of a backend fail, through Options.Around, and
// records all of them. It works with every backend and is safe for concurrent
// use; calls that match the same fault take it in the order in which they come.
type Faults struct {
	mu     sync.Mutex
	faults []*Fault
	calls  []provision.Call
}

// Fault is one scripted failure.
type Fault struct {
	owner    *Faults
	op, step string
	after    bool
	always   bool
	fired    bool
	err      error
}

// NewFaults returns a script without faults.
func NewFaults() *Faults { return new(Faults) }

// Before makes the next call of op fail with err at a step, which is not run:
// nothing happened. An empty step means the call as a whole. Names of ops and
// steps are those of [provision.Call].
func (f *Faults) Before(op, step string, err error) *Fault { return f.add(op, step, err, false) }

// After lets the step run and returns err instead of nil: what was asked for
// happened, and the answer got lost.
func (f *Faults) After(op, step string, err error) *Fault { return f.add(op, step, err, true) }

func (f *Faults) add(op, step string, err error, after bool) *Fault {
	if err == nil {
		panic("provisiontest: a fault needs an error")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &Fault{owner: f, op: op, step: step, err: err, after: after}
	f.faults = append(f.faults, t)
	return t
}

// Always makes the fault fire each time and not only once.
func (t *Fault) Always() *Fault {
	t.owner.mu.Lock()
	defer t.owner.mu.Unlock()
	t.always = true
	return t
}

// Around goes into [provision.Options].
func (f *Faults) Around(ctx context.Context, c provision.Call, next func(context.Context) error) error {
	t := f.take(c)
	if t == nil {
		return next(ctx)
	}
	if !t.after {
		return t.err
	}
	if err := next(ctx); err != nil {
		return err
	}
	return t.err
}

// take records the call and returns the fault that it meets, if any.
func (f *Faults) take(c provision.Call) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
	for _, t := range f.faults {
		if t.op == c.Op && t.step == c.Step && (t.always || !t.fired) {
			t.fired = true
			return t
		}
	}
	return nil
}

// Calls returns all calls so far, those that failed included, in the order in
// which they began.
func (f *Faults) Calls() []provision.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Pending lists the faults that no call has met yet. A test that expects none
// notices when a step it counts on has another name.
func (f *Faults) Pending() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, t := range f.faults {
		if !t.fired {
			list = append(list, fmt.Sprintf("%s %q: %v", t.op, t.step, t.err))
		}
	}
	return list
}
