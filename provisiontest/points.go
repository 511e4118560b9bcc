package provisiontest

import (
	"slices"

	"github.com/guestforge/provision"
)

// points returns the places, before and after each call of some ops, at which
// something can go wrong; all ops if none are named. Each place comes once, in
// the order of the calls.
func points(calls []provision.Call, ops []string) []point {
	var list []point
	for _, c := range calls {
		p := point{Op: c.Op, Step: c.Step}
		if ops != nil && !slices.Contains(ops, c.Op) || slices.Contains(list, p) {
			continue
		}
		list = append(list, p, point{Op: c.Op, Step: c.Step, After: true})
	}
	return list
}

// fail scripts a fault at the point.
func (p point) fail(f *Faults, err error) {
	if p.After {
		f.After(p.Op, p.Step, err)
	} else {
		f.Before(p.Op, p.Step, err)
	}
}

// createOps are what Create changes something with; createPoints learns the
// steps from a create that succeeds.
func (e *env) createPoints() []point {
	learn := NewFaults()
	e.learned(learn, "learn")
	return points(learn.Calls(), []string{"create", "autostart", "record"})
}

// deletePoints learns the steps of a delete, which begins with a record too.
func (e *env) deletePoints() []point {
	learn := NewFaults()
	e.learned(learn, "learn")
	return points(learn.Calls(), []string{"record", "autostart", "delete"})
}

// learned runs a create and a delete under a recorder.
func (e *env) learned(f *Faults, suffix string) {
	e.t.Helper()
	g, err := e.open(f.Around).Create(e.ctx, e.keyed(suffix), nil)
	if err == nil {
		err = g.Delete(e.ctx, nil)
	}
	if err != nil {
		e.t.Fatalf("create and delete without a fault: %v", err)
	}
}
