package cgroup

import (
	"errors"
	"io/fs"
	"os"
)

// descend calls fn for a group's directory and all below it, what is below first.
// A guest may nest groups until no path reaches them: so it goes from directory to
// directory, and holds one descriptor for each level. Groups that vanish meanwhile are passed
// over.
func descend(dir string, fn func(*os.Root) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ignoreGone(err)
	}
	defer root.Close()
	return descendRoot(root, fn)
}

func descendRoot(root *os.Root, fn func(*os.Root) error) error {
	names, err := below(root)
	if err != nil {
		return ignoreGone(err)
	}
	var errs []error
	for _, name := range names {
		sub, err := root.OpenRoot(name)
		if err != nil {
			errs = append(errs, ignoreGone(err))
			continue
		}
		errs = append(errs, descendRoot(sub, fn), sub.Close())
	}
	return errors.Join(append(errs, fn(root))...)
}

// below lists the directories in a directory.
func below(root *os.Root) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	var names []string
	for _, e := range entries {
		if e.Type() == fs.ModeDir {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

// ascend is descend the other way round: a group comes before those below it.
func ascend(dir string, fn func(*os.Root) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ignoreGone(err)
	}
	defer root.Close()
	return ascendRoot(root, fn)
}

func ascendRoot(root *os.Root, fn func(*os.Root) error) error {
	if err := fn(root); err != nil {
		return err
	}
	names, err := below(root)
	if err != nil {
		return ignoreGone(err)
	}
	for _, name := range names {
		sub, err := root.OpenRoot(name)
		if err == nil {
			err = errors.Join(ascendRoot(sub, fn), sub.Close())
		}
		if ignoreGone(err) != nil {
			return err
		}
	}
	return nil
}
