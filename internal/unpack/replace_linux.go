package unpack

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errStays is no error: the directory is there already.
var errStays = errors.New("directory stays")

// clear takes away what has the name of an entry.
func (t *tree) clear(fd int, base string, e *entry) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if e.kind == directory {
			if err := t.postpone(*e); err != nil {
				return err
			}
			return errStays
		}
		err := unix.Unlinkat(fd, base, unix.AT_REMOVEDIR)
		if err == unix.ENOTEMPTY || err == unix.EEXIST {
			return ErrOccupied
		}
		if err != nil {
			return err
		}
		delete(t.dirs, e.name)
		t.report.Directories--
		t.report.Replaced++
		return nil
	}
	if err := unix.Unlinkat(fd, base, 0); err != nil {
		return err
	}
	t.forget(&st)
	return nil
}

// forget undoes what was counted for a name.
func (t *tree) forget(st *unix.Stat_t) {
	t.report.Replaced++
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		t.report.Symlinks--
	case kind != unix.S_IFREG:
		t.report.Specials--
	case st.Nlink > 1:
		t.report.Hardlinks--
	default:
		t.report.Files--
		t.report.Bytes -= st.Size
		t.report.DiskBytes -= st.Blocks * 512
	}
}

// link makes a hard link.
func (t *tree) link(e *entry) error {
	if e.target == e.name {
		return fmt.Errorf("%w: it is a hard link to itself", ErrLink)
	}
	targetDir, targetBase := split(e.target)
	fd, err := t.enter(targetDir, false)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstatat(fd, targetBase, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	switch {
	case err == unix.ENOENT:
		return fmt.Errorf("%w: %.100q, to which it is a hard link, is not there yet", ErrLink, e.target)
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%w: %.100q, to which it is a hard link, is not a regular file", ErrLink, e.target)
	}
	from, err := unix.Dup(fd) // enter may close it
	if err != nil {
		return err
	}
	defer unix.Close(from)
	dir, base := split(e.name)
	if fd, err = t.enter(dir, true); err != nil {
		return err
	}
	err = unix.Linkat(from, targetBase, fd, base, 0)
	if err == unix.EEXIST {
		if err = t.clear(fd, base, e); err == nil {
			err = unix.Linkat(from, targetBase, fd, base, 0)
		}
	}
	if err == nil {
		t.report.Hardlinks++
	}
	return err
}
