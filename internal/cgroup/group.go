package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Inner is the name of the group, in the one that has the limits, that a guest
// gets as its root (lxc.cgroup.dir.container.inner).
const Inner = "ns"

// ErrNoController is wrapped by errors about a controller that the host lacks.
var ErrNoController = errors.New("the host does not have this controller")

// pathRE is what a path of a group may be made of.
var pathRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@-]*(/[A-Za-z0-9_][A-Za-z0-9_.:@-]*)*$`)

// Group is the group of one path in all hierarchies of a host. It need not exist.
type Group struct {
	layout *Layout
	path   string
}

// Group returns the group of a path below the roots: "provision.lxc/ID/guest".
func (l *Layout) Group(path string) (*Group, error) {
	if !pathRE.MatchString(path) || len(path) > 512 {
		return nil, fmt.Errorf("%q is not a path of a control group: write names of [A-Za-z0-9_.:@-] with slashes between them", clip(path))
	}
	return &Group{l, path}, nil
}

// Path returns what the group was made of.
func (g *Group) Path() string { return g.path }

// dirs lists the group's directories, whether they exist or not.
func (g *Group) dirs() []string {
	var list []string
	for _, h := range g.layout.Hierarchies {
		list = append(list, filepath.Join(h.Dir, g.path))
	}
	return list
}

// file returns where a controller's file is.
func (g *Group) file(c Controller, name string) (string, error) {
	h, ok := g.layout.Find(c)
	if !ok {
		return "", fmt.Errorf("control group %s: %s: %w", g.path, c, ErrNoController)
	}
	return filepath.Join(h.Dir, g.path, name), nil
}

// Exists says whether it is there, in any hierarchy.
func (g *Group) Exists() bool { return slices.ContainsFunc(g.dirs(), exists) }

// Get reads a file of a controller, without its final newline. A file that is not
// there is [fs.ErrNotExist], a controller that is not, [ErrNoController].
func (g *Group) Get(c Controller, name string) (string, error) {
	path, err := g.file(c, name)
	if err != nil {
		return "", err
	}
	text, err := read(path)
	return strings.TrimSuffix(text, "\n"), err
}

// Set writes a file of a controller; errors as for [Group.Get], and the kernel's
// own: EBUSY for memory that is in use, EINVAL for what it does not take.
func (g *Group) Set(c Controller, name, value string) error {
	path, err := g.file(c, name)
	if err != nil {
		return err
	}
	return write(path, value)
}

// List returns the names of the groups just below it, sorted, over all hierarchies.
// One that does not exist has none.
func (g *Group) List() ([]string, error) {
	var names []string
	for _, dir := range g.dirs() {
		entries, err := os.ReadDir(dir)
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("control group %s: %w", g.path, err)
		}
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// write writes to a file of the kernel's that is there, in one piece.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %q: %w", clip(value), err)
	}
	return nil
}

// gone says that a file or group is not, or no longer, there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) }

// clip shortens foreign text for an error.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
