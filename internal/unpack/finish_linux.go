package unpack

import (
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// finish sets what was postponed and looks whether the tree is what was wanted.
func (t *tree) finish() error {
	for _, name := range slices.Sorted(maps.Keys(t.dirs)) {
		if err := ctxerr.Of(t.ctx); err != nil {
			return err
		}
		e := t.dirs[name]
		fd, err := t.enter(name, false)
		if err == nil {
			err = t.dress(fd, &e)
		}
		if err != nil {
			return &EntryError{name, err}
		}
	}
	t.progress(0, 0)
	if t.opts.AnyTree {
		return nil
	}
	return t.prove()
}

// prove looks for one of the proofs, without following links: /sbin/init may
// well be one itself, to an absolute path.
func (t *tree) prove() error {
	for _, name := range proofs {
		dir, base := split(name)
		var st unix.Stat_t
		fd, err := t.enter(dir, false)
		if err == nil {
			err = unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
		kind := st.Mode & unix.S_IFMT
		switch {
		case err == nil && (kind == unix.S_IFREG || kind == unix.S_IFLNK):
			return nil
		case err != nil && err != unix.ENOENT && !errors.Is(err, ErrLink):
			return err
		}
	}
	names, more, err := t.top(maxNames)
	if err != nil {
		return err
	}
	slices.Sort(names)
	return &NotRootError{Top: names, More: more}
}
