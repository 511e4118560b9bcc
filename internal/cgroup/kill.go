package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// patience is how long Kill tries to freeze a group first.
const patience = 500 * time.Millisecond

// Kill kills all processes of the group and of those below, and returns when they
// are gone or the context ends. A frozen group is thawed.
//
// Version 2 has a file for it (Linux 5.14). Elsewhere the group is frozen while the
// signals are sent, so that no process can outrun them by forking.
func (g *Group) Kill(ctx context.Context) error {
	err := poll(ctx, func() (bool, error) {
		pids, err := g.Procs()
		if err != nil || len(pids) == 0 {
			return true, err
		}
		return false, g.killOnce(ctx)
	})
	if err != nil {
		return fmt.Errorf("control group %s still has processes: %w", g.path, err)
	}
	return nil
}

// killOnce sends SIGKILL to what is there now.
func (g *Group) killOnce(ctx context.Context) error {
	if dir, err := g.coreDir(); err == nil && g.layout.Kind() == Pure {
		if err := write(dir+"/cgroup.kill", "1"); !gone(err) {
			return errors.Join(err, ignoreGone(g.freeze(false)))
		}
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = g.Freeze(short) // processes that cannot be frozen can still be killed
	return errors.Join(g.signal(), ignoreNone(g.thawAll()))
}

// thawAll thaws the group and those below, which a guest may have frozen itself: a
// frozen process of version 1 does not die.
func (g *Group) thawAll() error {
	if g.layout.version(Freezer) != 1 {
		return g.freeze(false)
	}
	file, err := g.file(Freezer, "freezer.state")
	if err != nil {
		return err
	}
	return descend(filepath.Dir(file), func(root *os.Root) error {
		return ignoreGone(root.WriteFile("freezer.state", []byte("THAWED"), 0))
	})
}

// signal kills the processes that are listed before and after a handle was made
// for them: a number that went to a process elsewhere in between is not hit.
func (g *Group) signal() error {
	before, err := g.Procs()
	if err != nil {
		return err
	}
	handles := make(map[int]*os.Process, len(before))
	for _, pid := range before {
		if p, err := os.FindProcess(pid); err == nil { // fails for those that are gone
			handles[pid] = p
		}
	}
	after, errs := g.Procs()
	for pid, p := range handles {
		if slices.Contains(after, pid) {
			if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				errs = errors.Join(errs, err)
			}
		}
		errs = errors.Join(errs, p.Release())
	}
	return errs
}

// ignoreNone passes over a group or a controller that is not there.
func ignoreNone(err error) error {
	if errors.Is(err, ErrNoController) {
		return nil
	}
	return ignoreGone(err)
}
