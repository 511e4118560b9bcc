package unpack

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// place makes an entry in the tree.
func (t *tree) place(e *entry) error {
	if e.name == "." {
		if e.kind != directory {
			return fmt.Errorf("%w: the root of the tree is a directory", ErrName)
		}
		t.own(e)
		return t.postpone(*e)
	}
	dir, base := split(e.name)
	if e.kind == hardlink { // first: it looks around, and finds what is in the way
		return t.link(e)
	}
	fd, err := t.enter(dir, true)
	if err != nil {
		return err
	}
	err = t.make(fd, base, e)
	if err == unix.EEXIST {
		if err = t.clear(fd, base, e); err == nil {
			err = t.make(fd, base, e)
		}
	}
	if errors.Is(err, errStays) {
		err = nil
	}
	if err == nil {
		t.own(e)
	}
	return err
}

// own counts the numbers of an owner.
func (t *tree) own(e *entry) { t.report.HighestID = max(t.report.HighestID, e.uid, e.gid) }

// make returns a bare EEXIST if the name is taken.
func (t *tree) make(fd int, base string, e *entry) error {
	switch e.kind {
	case file:
		return t.makeFile(fd, base, e)
	case directory:
		if err := unix.Mkdirat(fd, base, 0o700); err != nil {
			return err
		}
		t.report.Directories++
		return t.postpone(*e)
	case symlink:
		if err := unix.Symlinkat(e.target, fd, base); err != nil {
			return err
		}
		t.report.Symlinks++
		return settle(fd, base, e, false)
	case fifo:
		return t.makeNode(fd, base, e, unix.S_IFIFO, 0)
	case charDevice:
		return t.makeNode(fd, base, e, unix.S_IFCHR, unix.Mkdev(e.major, e.minor))
	case blockDevice:
		return t.makeNode(fd, base, e, unix.S_IFBLK, unix.Mkdev(e.major, e.minor))
	}
	return fmt.Errorf("%w: kind %d", ErrEntry, e.kind)
}

func (t *tree) makeNode(fd int, base string, e *entry, mode uint32, dev uint64) error {
	if err := unix.Mknodat(fd, base, mode|0o600, int(dev)); err != nil {
		return err
	}
	t.report.Specials++
	return settle(fd, base, e, true)
}

// settle sets what needs a name instead of a descriptor. Setting the mode would
// follow a link; the caller has just made the name, and is alone here.
func settle(fd int, base string, e *entry, mode bool) error {
	if err := unix.Fchownat(fd, base, int(e.uid), int(e.gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set owner %d:%d: %w", e.uid, e.gid, err)
	}
	if mode {
		if err := unix.Fchmodat(fd, base, e.mode, 0); err != nil {
			return fmt.Errorf("set mode %o: %w", e.mode, err)
		}
	}
	return setTime(fd, base, e)
}

func setTime(fd int, base string, e *entry) error {
	if e.modified.IsZero() {
		return nil
	}
	at, err := unix.TimeToTimespec(e.modified)
	if err == nil {
		err = unix.UtimesNanoAt(fd, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return fmt.Errorf("set time: %w", err)
	}
	return nil
}
