package cgroup

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Protect gives each group above this one as much guaranteed memory as those below
// it have together: a group has no more than what the one above it has
// (cgroup-v2.rst, memory.min). [Group.Apply] does so itself; who has had limits set
// by other means, or has removed a group, calls it. Two processes may do so at once:
// the sum is looked at again after it is written.
func (g *Group) Protect() error {
	return g.aboveWithMin(func(dir string) error { return ignoreGone(protect(dir)) })
}

// unprotected returns the first group above that guarantees less than is guaranteed
// below it, so that nobody there has all of it; "" is none.
func (g *Group) unprotected() (at string, err error) {
	err = g.aboveWithMin(func(dir string) error {
		sum, have, err := guaranteed(dir)
		if err == nil && have < sum && at == "" {
			at = dir
		}
		return ignoreGone(err)
	})
	return at, err
}

// aboveWithMin calls f with the directories of the groups above, from below, where
// there is memory.min.
func (g *Group) aboveWithMin(f func(dir string) error) error {
	h, ok := g.layout.Find(Memory)
	if !ok || h.Version == 1 || !g.layout.MemoryMin {
		return nil
	}
	for up := path.Dir(g.path); up != "."; up = path.Dir(up) {
		if err := f(filepath.Join(h.Dir, up)); err != nil {
			return fmt.Errorf("guaranteed memory above control group %s: %w", g.path, err)
		}
	}
	return nil
}

const (
	protectTries = 10
	minFile      = "memory.min"
)

func protect(dir string) error {
	for range protectTries {
		sum, have, err := guaranteed(dir)
		if err != nil || have == sum {
			return err
		}
		if err := write(filepath.Join(dir, minFile), strconv.FormatUint(sum, 10)); err != nil {
			return err
		}
	}
	return errors.New("that of the groups in it keeps changing; try again")
}

// guaranteed reads what the groups just below have together, and what this one has.
func guaranteed(dir string) (sum, have uint64, err error) {
	if sum, err = sumBelow(dir); err != nil {
		return 0, 0, err
	}
	text, err := read(filepath.Join(dir, minFile))
	if err != nil {
		return 0, 0, err
	}
	have, err = parseMax(strings.TrimSpace(text))
	return sum, have, err
}

// sumBelow adds the guaranteed memory of the groups just below.
func sumBelow(dir string) (sum uint64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", minFile))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		text, err := read(file)
		if gone(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		n, err := parseMax(strings.TrimSpace(text))
		if err != nil {
			return 0, err
		}
		if sum += n; sum < n {
			return NoLimit, nil
		}
	}
	return sum, nil
}
