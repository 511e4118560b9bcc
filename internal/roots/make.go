//go:build linux

package roots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Make makes the root from the image's tree. It does not mount it. "/" of the
// guest has mode 0755, as that of the image's tree may be closed to keep users of
// the host out. When something of a root is there already, it fails with
// os.ErrExist. After any other error it removes what it made; after a kill, Remove
// does.
func (r Root) Make(ctx context.Context, progress Progress) error {
	if err := r.check(); err != nil {
		return err
	}
	if info, err := os.Stat(r.Image); err != nil {
		return fmt.Errorf("the image's tree: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("the image's tree %s is no directory: %w", r.Image, ErrInvalid)
	}
	for _, name := range names() {
		there, err := exists(r.at(name))
		if err == nil && there {
			err = &os.PathError{Op: "make root", Path: r.at(name), Err: os.ErrExist}
		}
		if err != nil {
			return err
		}
	}
	if err := r.make(ctx, progress); err != nil {
		return errors.Join(fmt.Errorf("make root in %s: %w", r.Dir, err), r.Remove(context.WithoutCancel(ctx)))
	}
	return nil
}

// make makes the root under another name, and gives it its own when it is
// complete and on the disk.
func (r Root) make(ctx context.Context, progress Progress) error {
	if err := os.Mkdir(r.Path(), 0o700); err != nil {
		return err
	}
	fresh := r.Store() + ".new"
	var err error
	switch r.Kind {
	case Overlay:
		err = r.makeUpper(fresh)
	case ImageFile:
		err = r.makeImage(ctx, fresh, progress)
	case Copy:
		err = os.Mkdir(fresh, 0o700)
		if err == nil {
			err = CopyTree(ctx, r.Image, fresh, progress)
		}
	case Subvolume:
		err = cloneSubvolume(ctx, r.Image, fresh, progress)
	}
	if err == nil && r.Kind != ImageFile {
		err = os.Chmod(fresh, 0o755)
	}
	if err == nil {
		err = r.settle(fresh)
	}
	return err
}

func (r Root) makeUpper(upper string) error {
	if err := os.Mkdir(r.at("lower"), 0o700); err != nil {
		return err
	}
	for _, dir := range []string{r.at("work"), upper} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chown(dir, int(r.Base), int(r.Base)); err != nil {
			return err
		}
	}
	return nil
}

// settle gives a store its name, after its content is on the disk: else a host
// that loses power could have the name and not the content.
func (r Root) settle(fresh string) error {
	if r.Kind == Copy || r.Kind == Subvolume {
		if err := SyncFS(fresh); err != nil {
			return err
		}
	}
	if err := os.Rename(fresh, r.Store()); err != nil || r.Kind == Overlay { // which is empty
		return err
	}
	return syncDir(filepath.Dir(fresh))
}

// SyncFS writes the file system that a path is on to its disk: syncfs(2).
func SyncFS(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
