//go:build linux

package roots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Remove unmounts the root and removes all of it from the guest's directory, also
// what an interrupted Make, Grow or Restore left, and its snapshots. What is not
// there is no error, and after an error it can be called again. Files that are not
// of the root stay. While something uses the mount, it fails with ErrBusy and
// removes nothing.
func (r Root) Remove(ctx context.Context) error {
	if err := r.Unmount(ctx); err != nil {
		return err
	}
	for _, name := range names() {
		if err := RemoveTree(ctx, r.at(name)); err != nil {
			return err
		}
	}
	return nil
}

// RemoveTree removes a path and all below it, whatever a tenant left there: trees
// of any depth, names of any bytes, files that chattr(1) made immutable, btrfs
// subvolumes. It follows no link and leaves no mount: what has something mounted
// in it fails with ErrBusy. A path that is not there is no error.
func RemoveTree(ctx context.Context, path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	return (&remover{ctx: ctx}).remove(parent, filepath.Base(path), 0)
}

// Below this depth directories are moved up before they are emptied, so that a
// tree of any depth needs few descriptors.
const removeDepth = 64

type remover struct {
	ctx   context.Context
	top   *os.File // the directory that is being removed
	moved int
}

func (r *remover) remove(dir *os.File, name string, depth int) error {
	if err := ctxerr.Of(r.ctx); err != nil {
		return err
	}
	err := r.unlink(dir, name, 0)
	if errors.Is(err, unix.EISDIR) {
		return r.removeDir(dir, name, depth)
	}
	return ignore(err, unix.ENOENT)
}

func (r *remover) removeDir(dir *os.File, name string, depth int) error {
	if depth > removeDepth && r.moveUp(dir, name) {
		return nil
	}
	child, err := openDirAt(dir, name)
	if err != nil {
		return err
	}
	defer child.Close()
	if destroySubvolume(dir, name, child) {
		return nil
	}
	if depth == 0 {
		r.top = child
	}
	for {
		found := 0
		err := eachName(child, func(n string) error {
			found++
			return r.remove(child, n, depth+1)
		})
		if err != nil {
			return err
		}
		err = r.unlink(dir, name, unix.AT_REMOVEDIR)
		// Again for what was moved up meanwhile. The loop ends, because each turn
		// removes all that it finds.
		if !errors.Is(err, unix.ENOTEMPTY) || found == 0 {
			return ignore(err, unix.ENOENT)
		}
		if _, err := child.Seek(0, 0); err != nil {
			return err
		}
	}
}

// moveUp moves a directory into the top one, where the names of a tenant may
// already be.
func (r *remover) moveUp(dir *os.File, name string) bool {
	for range 1000 {
		r.moved++
		to := fmt.Sprintf(".deep.%d", r.moved)
		err := unix.Renameat2(int(dir.Fd()), name, int(r.top.Fd()), to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EPERM) {
			unlock(dir, name)
			err = unix.Renameat2(int(dir.Fd()), name, int(r.top.Fd()), to, unix.RENAME_NOREPLACE)
		}
		if !errors.Is(err, unix.EEXIST) {
			return err == nil // else, as between subvolumes, go down after all
		}
	}
	return false
}

func (r *remover) unlink(dir *os.File, name string, flags int) error {
	err := unix.Unlinkat(int(dir.Fd()), name, flags)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
		unlock(dir, name)
		err = unix.Unlinkat(int(dir.Fd()), name, flags)
	}
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%s: something is mounted there: %w", filepath.Join(dir.Name(), name), ErrBusy)
	}
	return pathError("unlink", dir, name, err)
}

// unlock takes what keeps a name from being removed: immutable and append-only
// flags of it and of its directory, and a read-only subvolume around it. When it
// cannot, the next attempt says why.
func unlock(dir *os.File, name string) {
	unlockFile(dir)
	st, err := statAt(dir, name)
	if err != nil || kindOf(&st) != unix.S_IFREG && kindOf(&st) != unix.S_IFDIR {
		return // nothing else can be locked, and opening it could do something
	}
	if f, err := openAt(dir, name, unix.O_RDONLY, 0); err == nil {
		unlockFile(f)
		f.Close()
	}
}

func unlockFile(f *os.File) {
	writeSubvolume(f)
	fd := int(f.Fd())
	const locks = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND // the same bits as FS_IMMUTABLE_FL, FS_APPEND_FL
	if flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil && flags&locks != 0 {
		_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags&^locks)
	}
}
