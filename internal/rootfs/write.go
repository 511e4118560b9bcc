package rootfs

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Attr is the owner and mode of what is written.
type Attr struct {
	// UID and GID in the guest, 0 to 65535: a guest has no more, and what comes
	// behind them belongs to another guest.
	UID, GID int
	// Mode is its permissions; set-id and sticky bits are fs.ModeSetuid and so on.
	Mode fs.FileMode
	// Keep keeps the owner and mode of a regular file that is there already, its
	// set-id bits apart, and what it gives to others where Mode gives them nothing.
	Keep bool
}

// maxID is the last id of a guest's block of 65536.
const maxID = 65535

func (a *Attr) check() error {
	if a.UID < 0 || a.UID > maxID || a.GID < 0 || a.GID > maxID {
		return fmt.Errorf("%w: owner %d:%d is outside of the guest's ids, 0 to %d", ErrUnsafe, a.UID, a.GID, maxID)
	}
	return nil
}

// temporary is the beginning of names of files that are being written. One that
// a host's crash left is of no use to anybody.
const temporary = ".provision-"

// WriteFile makes data the content of a file, at once and on the disk (see NoSync),
// and reports whether that changed anything: a file that is as wanted stays untouched, its times included.
// What else stands there is replaced, whatever it is, but a directory: [ErrUnsafe].
// The directory must exist. Extended attributes of a replaced file are lost.
func (t *Tree) WriteFile(name string, data []byte, a Attr) (bool, error) {
	dir, base, err := t.parent(name)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	changed, err := t.writeAt(dir, base, data, a)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, cause(err))
	}
	return changed, nil
}

func (t *Tree) writeAt(dir *os.Root, base string, data []byte, a Attr) (bool, error) {
	if err := a.check(); err != nil {
		return false, err
	}
	uid, gid, mode := t.uid+a.UID, t.gid+a.GID, a.Mode
	old, info, err := t.readAt(dir, base, int64(len(data)))
	switch {
	case info == nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case info != nil && info.IsDir():
		return false, fmt.Errorf("%w: it is a directory, and a file is to be there", ErrUnsafe)
	case info != nil && info.Mode().IsRegular():
		have := ownerOf(info)
		if kept := (&Attr{UID: have.uid - t.uid, GID: have.gid - t.gid}); a.Keep && kept.check() == nil {
			uid, gid, mode = have.uid, have.gid, info.Mode().Perm()
			if a.Mode&0o007 == 0 {
				mode &^= 0o007
			}
		}
		same := have.uid == uid && have.gid == gid && have.links == 1 && info.Mode() == mode
		if same && err == nil && bytes.Equal(old, data) {
			return false, nil
		}
	}
	temp := temporary + rand.Text()
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	// The owner comes first: to change it takes the set-id bits away.
	err = errors.Join(err, f.Chown(uid, gid), f.Chmod(mode))
	if err == nil && !t.NoSync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = dir.Rename(temp, base)
	}
	if err != nil {
		return false, errors.Join(err, dir.Remove(temp))
	}
	return true, nil
}

// MkdirAll makes a directory, and those above it that are missing (mode 0755, owner
// root), and reports whether it made any. One that is there keeps owner and mode.
// It may be reached by links, which lead where they do in the guest.
func (t *Tree) MkdirAll(name string, a Attr) (bool, error) {
	if name = path.Clean("/" + name); name == "/" {
		return false, nil
	}
	if err := a.check(); err != nil {
		return false, at(name, err)
	}
	_, err := t.resolve(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return false, at(name, err)
	}
	if _, err := t.MkdirAll(path.Dir(name), Attr{Mode: 0o755}); err != nil {
		return false, err
	}
	dir, base, err := t.parent(name)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := dir.Mkdir(base, 0o700); errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("%s: %w: it is a symbolic link to nothing, and a directory is to be there", name, ErrUnsafe)
	} else if err != nil {
		return false, fmt.Errorf("%s: %w", name, cause(err))
	}
	err = errors.Join(dir.Lchown(base, t.uid+a.UID, t.gid+a.GID), dir.Chmod(base, a.Mode))
	return true, at(name, err)
}

func at(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, cause(err))
}

// Symlink makes name a symbolic link of the guest's root, and reports whether
// that changed anything. It replaces what WriteFile does. Target is as the
// guest is to read it.
func (t *Tree) Symlink(target, name string) (bool, error) {
	dir, base, err := t.parent(name)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if have, err := dir.Readlink(base); err == nil && have == target {
		return false, nil
	}
	if info, err := dir.Lstat(base); err == nil && info.IsDir() {
		return false, fmt.Errorf("%s: %w: it is a directory, and a link is to be there", name, ErrUnsafe)
	}
	temp := temporary + rand.Text()
	if err := dir.Symlink(target, temp); err != nil {
		return false, fmt.Errorf("%s: %w", name, cause(err))
	}
	err = dir.Lchown(temp, t.uid, t.gid)
	if err == nil {
		err = dir.Rename(temp, base)
	}
	if err != nil {
		return false, errors.Join(at(name, err), dir.Remove(temp))
	}
	return true, nil
}

// Remove removes a file, a link itself, or an empty directory, and reports
// whether there was one.
func (t *Tree) Remove(name string) (bool, error) {
	dir, base, err := t.parent(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := dir.Remove(base); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("%s: %w", name, cause(err))
	}
	return true, nil
}
