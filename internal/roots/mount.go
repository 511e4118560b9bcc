//go:build linux

package roots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/mountinfo"
)

// Mount mounts the root at Path. It does nothing when it is mounted, and fails
// with ErrForeign when something else is; with os.ErrNotExist when the root was
// never made to the end. The context ends only the wait before the mount: the
// kernel does not stop once it began, as when it replays a journal.
//
// The guest must not run: it holds a mount of its own, and a second overlay over
// the same upper directory would damage both.
func (r Root) Mount(ctx context.Context) error {
	mounted, err := r.Mounted()
	if err != nil {
		return err
	}
	if mounted {
		return r.Thaw()
	}
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	if _, err := os.Lstat(r.Store()); err != nil {
		return fmt.Errorf("mount %s: %w", r.Path(), err)
	}
	switch {
	case r.Kind == Overlay:
		err = r.mountOverlay()
	case r.Kind == ImageFile && r.Base == 0:
		err = mountImage(r.Store(), r.Path())
	case r.Kind == ImageFile:
		err = r.mountShifted()
	case r.Base == 0:
		err = bind(r.Store(), r.Path(), &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV})
	default:
		err = r.shift(r.Store(), r.Path(), 0)
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", r.Path(), err)
	}
	return nil
}

// Mounted tells whether the root is mounted. It fails with ErrForeign when
// something else is mounted at Path.
func (r Root) Mounted() (bool, error) {
	if err := r.check(); err != nil {
		return false, err
	}
	m, err := mountAt(r.Path())
	if err != nil || m == nil {
		return false, err
	}
	ours, err := r.isOurs(m)
	shifted := r.Kind == Overlay || r.Base == 0 || slices.Contains(m.Options, "idmapped")
	if err == nil && !(ours && shifted && slices.Contains(m.Options, "nodev")) {
		err = fmt.Errorf("%s: %s of type %s (%v) is mounted there: %w", r.Path(), m.Source, m.Type, m.Options, ErrForeign)
	}
	return err == nil, err
}

func (r Root) isOurs(m *mountinfo.Mount) (bool, error) {
	switch r.Kind {
	case Overlay:
		return m.Type == "overlay" && slices.Contains(m.Super, "upperdir="+r.at("upper")), nil
	case ImageFile:
		dev, err := attachedTo(r.Store())
		return m.Type == "ext4" && dev == m.Source, ignore(err, os.ErrNotExist)
	}
	a, err := os.Lstat(r.Path())
	if err != nil {
		return false, err
	}
	b, err := os.Lstat(r.Store())
	return err == nil && os.SameFile(a, b), ignore(err, os.ErrNotExist)
}

// Unmount unmounts what is mounted at Path, and does nothing when nothing is.
// While something uses it, it fails with ErrBusy.
func (r Root) Unmount(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := r.Thaw(); err != nil {
		return err
	}
	// A process that was killed while it mounted leaves lower.
	for _, path := range []string{r.Path(), r.at("lower")} {
		if err := unmount(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// How long a mount may be in use by those who only look, such as udev and
// updatedb, until Unmount says that it is busy.
const (
	unmountTries = 20
	unmountPause = 25 * time.Millisecond
)

func unmount(ctx context.Context, path string) error {
	for busy := 0; ; {
		m, err := mountAt(path)
		if err != nil || m == nil {
			return err
		}
		switch err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); {
		case err == nil || errors.Is(err, unix.EINVAL): // EINVAL: somebody else was faster
		case !errors.Is(err, unix.EBUSY):
			return &os.PathError{Op: "umount", Path: path, Err: err}
		default:
			if busy++; busy == unmountTries {
				return fmt.Errorf("%s: a process or a mount in it uses it; stop the guest, see fuser -vm: %w", path, ErrBusy)
			}
			select {
			case <-ctx.Done():
				return ctxerr.Of(ctx)
			case <-time.After(unmountPause):
			}
		}
	}
}
