package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Create makes the group and those above it, in all hierarchies, so that processes
// can be put into it and limits be written. What is there already is kept.
func (g *Group) Create() error {
	if err := g.Enable(); err != nil {
		return err
	}
	for _, h := range g.layout.Hierarchies {
		if err := h.create(g.path); err != nil {
			return fmt.Errorf("control group %s: %w", g.path, err)
		}
	}
	return nil
}

// create makes a group and what is above it in one hierarchy.
func (h Hierarchy) create(group string) error {
	dir := h.Dir
	for name := range strings.SplitSeq(group, "/") {
		parent := dir
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
		if h.Version == 1 {
			if err := h.prepare(parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare gives a new group of version 1 what it needs for taking processes, and
// for its limits to hold for the groups below.
func (h Hierarchy) prepare(parent, dir string) error {
	if slices.Contains(h.Controllers, CPUSet) {
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} { // empty in a new group
			have, err := read(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			if strings.TrimSpace(have) != "" {
				continue
			}
			text, err := read(filepath.Join(parent, name))
			if err == nil {
				err = write(filepath.Join(dir, name), strings.TrimSpace(text))
			}
			if err != nil {
				return err
			}
		}
	}
	if slices.Contains(h.Controllers, Memory) { // always 1, or absent, since Linux 5.11
		file := filepath.Join(dir, "memory.use_hierarchy")
		if text, err := read(file); err == nil && strings.TrimSpace(text) == "0" {
			return write(file, "1")
		}
	}
	return nil
}

// Enable makes the groups above this one in version 2, and has each hand the
// controllers that limits take down to the next. Without it the files of limits are
// not there; where systemd runs it has done so for the root only. A controller
// that a group does not have itself is left out: see [Group.Judge].
func (g *Group) Enable() error {
	h, ok := g.layout.unified()
	if !ok {
		return nil
	}
	above := []string{h.Dir}
	for dir := path.Dir(g.path); dir != "."; dir = path.Dir(dir) {
		above = slices.Insert(above, 1, filepath.Join(h.Dir, dir))
	}
	for _, dir := range above {
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
			return fmt.Errorf("control group %s: %w", g.path, err)
		}
		if err := enable(dir); err != nil {
			return fmt.Errorf("controllers for control group %s: %w", g.path, err)
		}
	}
	return nil
}

// enable hands controllers to the groups below a directory.
func enable(dir string) error {
	have, err := read(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	given, err := read(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range limiting { // one by one: a write is all or nothing
		if slices.Contains(strings.Fields(have), string(c)) && !slices.Contains(strings.Fields(given), string(c)) {
			errs = append(errs, write(filepath.Join(dir, "cgroup.subtree_control"), "+"+string(c)))
		}
	}
	return errors.Join(errs...)
}
