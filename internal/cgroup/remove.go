package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Remove removes the group and all below it from all hierarchies, and then those
// above that are empty, up to the path stop, which stays ("" removes all of them).
// Groups that are busy are tried again until the context ends: the kernel holds on
// to one for a moment when its last process has ended. A group with processes is
// not removed: see [Group.Kill]. Nothing there is no error.
func (g *Group) Remove(ctx context.Context, stop string) error {
	if stop != "" && !strings.HasPrefix(g.path, stop+"/") {
		return fmt.Errorf("control group %s is not below %q", g.path, stop)
	}
	for _, h := range g.layout.Hierarchies {
		var last error
		err := poll(ctx, func() (bool, error) {
			last = removeAll(filepath.Join(h.Dir, g.path))
			if errors.Is(last, syscall.EBUSY) {
				return false, nil
			}
			return true, last
		})
		if err != nil && last != nil {
			err = errors.Join(err, last)
		}
		if err != nil {
			return fmt.Errorf("removing control group %s: %w", g.path, err)
		}
		for up := path.Dir(g.path); up != "." && up != stop; up = path.Dir(up) {
			if syscall.Rmdir(filepath.Join(h.Dir, up)) != nil { // others use it
				break
			}
		}
	}
	return nil
}

// removeAll removes one group and all below it.
func removeAll(dir string) error {
	err := descend(dir, func(d *os.Root) error {
		names, err := below(d)
		for _, name := range names {
			err = errors.Join(err, ignoreGone(d.Remove(name)))
		}
		return ignoreGone(err)
	})
	if rm := syscall.Rmdir(dir); !gone(rm) && rm != nil {
		err = errors.Join(err, &os.PathError{Op: "rmdir", Path: dir, Err: rm})
	}
	return err
}
