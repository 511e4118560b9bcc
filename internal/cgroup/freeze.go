package cgroup

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// State of a group's processes.
type State int

// States. Freezing takes as long as the slowest process needs to get to where it
// can be frozen.
const (
	Thawed State = iota
	Freezing
	Frozen
)

// String returns "thawed", "freezing" or "frozen".
func (s State) String() string { return [...]string{"thawed", "freezing", "frozen"}[s] }

// State tells whether the group is frozen, by itself or by one above it.
func (g *Group) State() (State, error) {
	if g.layout.version(Freezer) == 1 {
		text, err := g.Get(Freezer, "freezer.state")
		if err != nil {
			return 0, err
		}
		return parseState(text)
	}
	events, err := g.core("cgroup.events")
	if err != nil {
		return 0, err
	}
	asked, err := g.core("cgroup.freeze")
	if err != nil {
		return 0, err
	}
	frozen, err := field(events, "frozen")
	switch {
	case err != nil:
		return 0, err
	case frozen == 1:
		return Frozen, nil
	case strings.TrimSpace(asked) == "1":
		return Freezing, nil
	}
	return Thawed, nil
}

func parseState(text string) (State, error) {
	switch text {
	case "THAWED":
		return Thawed, nil
	case "FREEZING":
		return Freezing, nil
	case "FROZEN":
		return Frozen, nil
	}
	return 0, fmt.Errorf("freezer.state: %q is no state", clip(text))
}

// core reads a file that each group of version 2 has.
func (g *Group) core(name string) (string, error) {
	dir, err := g.coreDir()
	if err != nil {
		return "", err
	}
	return read(dir + "/" + name)
}

func (g *Group) coreDir() (string, error) {
	h, ok := g.layout.unified()
	if !ok {
		return "", fmt.Errorf("control group %s: %s: %w", g.path, Freezer, ErrNoController)
	}
	return h.Dir + "/" + g.path, nil
}

// retryEvery is after how many looks at a group of version 1 that stays FREEZING
// it is thawed for a moment and frozen again: a process that waits for one that is
// frozen already would never be (cgroup-v1/freezer-subsystem.rst; runc does the
// same).
const retryEvery = 30

// Freeze freezes all processes of the group and of those below, and returns when
// they are. If they are not before the context ends, they are thawed again.
func (g *Group) Freeze(ctx context.Context) error {
	if err := g.freeze(true); err != nil {
		return err
	}
	looks := 0
	err := poll(ctx, func() (bool, error) {
		state, err := g.State()
		if err != nil || state == Frozen {
			return true, err
		}
		if looks++; looks%retryEvery == 0 && g.layout.version(Freezer) == 1 {
			return false, errors.Join(g.freeze(false), g.freeze(true))
		}
		return false, nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("control group %s is not frozen: %w", g.path, err), ignoreGone(g.freeze(false)))
	}
	return nil
}

// Thaw lets the processes run again, and returns when they do. A group above that
// is frozen keeps this one so: the context bounds the wait.
func (g *Group) Thaw(ctx context.Context) error {
	if err := g.freeze(false); err != nil {
		return err
	}
	err := poll(ctx, func() (bool, error) {
		state, err := g.State()
		return state == Thawed, err
	})
	if err != nil {
		return fmt.Errorf("control group %s is not thawed: %w", g.path, err)
	}
	return nil
}

// freeze asks the kernel for it.
func (g *Group) freeze(on bool) error {
	if g.layout.version(Freezer) == 1 {
		value := "THAWED"
		if on {
			value = "FROZEN"
		}
		return g.Set(Freezer, "freezer.state", value)
	}
	dir, err := g.coreDir()
	if err != nil {
		return err
	}
	value := "0"
	if on {
		value = "1"
	}
	return write(dir+"/cgroup.freeze", value)
}
