//go:build linux

package roots

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Grow makes the file system of an ImageFile larger, to size bytes. The number of
// inodes grows in proportion. It never shrinks: a smaller size fails with
// ErrInvalid. Other kinds fail with errors.ErrUnsupported.
//
// While it is mounted, also in a guest that runs, the kernel grows it, and a call
// that was interrupted can be repeated. Our process needs CAP_SYS_RESOURCE for that, and os.ErrPermission says so. While it is not,
// resize2fs does it: a kill in the middle of that can damage the file system, which
// the next call then refuses (EUCLEAN), as any in which an error was noted.
func (r Root) Grow(ctx context.Context, size int64) error {
	if r.Kind != ImageFile {
		return fmt.Errorf("grow: kind %s has no size: %w", r.Kind, errors.ErrUnsupported)
	}
	mounted, err := r.Mounted()
	if err != nil {
		return err
	}
	if err := r.grow(ctx, size, mounted); err != nil {
		return fmt.Errorf("grow %s: %w", r.Store(), err)
	}
	return nil
}

func (r Root) grow(ctx context.Context, size int64, mounted bool) error {
	f, err := os.OpenFile(r.Store(), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size = (size + blockSize - 1) / blockSize * blockSize
	if size < info.Size() || size > MaxSize {
		return fmt.Errorf("size %d is %w: it has %d, and can have up to %d", size, ErrInvalid, info.Size(), int64(MaxSize))
	}
	dev, err := findLoop(f)
	if err != nil {
		return err
	}
	if dev != nil {
		defer dev.Close()
	}
	switch {
	case mounted && !CanGrowMounted():
		return fmt.Errorf("a mounted file system needs CAP_SYS_RESOURCE: %w", os.ErrPermission)
	case mounted && dev != nil:
		return growOnline(ctx, f, dev, size)
	case dev != nil:
		return fmt.Errorf("%s has it, in another mount namespace: %w", dev.Name(), ErrBusy)
	}
	return r.growOffline(ctx, f, size)
}

// Grown tells whether the file system of an ImageFile has Size, or more. That its file
// has does not say so: a Grow that was killed may have come no further.
func (r Root) Grown() (bool, error) {
	if err := r.check(); err != nil || r.Kind != ImageFile {
		return false, err
	}
	f, err := os.OpenFile(r.Store(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const blocks = 1024 + 4 // s_blocks_count_lo of the superblock
	var count [4]byte
	if _, err := f.ReadAt(count[:], blocks); err != nil {
		return false, err
	}
	return int64(binary.LittleEndian.Uint32(count[:]))*blockSize >= r.Size, nil
}

// CanGrowMounted tells whether the kernel lets this process grow a mounted ext4, for
// which it wants CAP_SYS_RESOURCE (ext4_resize_begin); resize2fs would say only that
// it has no permission.
func CanGrowMounted() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

func growOnline(ctx context.Context, f, dev *os.File, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(int(dev.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return &os.PathError{Op: "set capacity", Path: dev.Name(), Err: err}
	}
	return run(ctx, "resize2fs", dev.Name())
}

// growOffline does without the whole check that resize2fs asks for: that fails on a
// full file system whose tenant removed lost+found. The kernel, which replays the
// journal, is asked instead, and it notes what it finds damaged.
func (r Root) growOffline(ctx context.Context, f *os.File, size int64) error {
	if err := r.Mount(ctx); err != nil {
		return err
	}
	if err := r.Unmount(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if clean, err := isClean(f); err != nil {
		return err
	} else if !clean {
		return fmt.Errorf("it is damaged; run e2fsck -f on it: %w", unix.EUCLEAN)
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	// To kill it half way would damage what it works on.
	if err := run(context.WithoutCancel(ctx), "resize2fs", "-f", f.Name()); err != nil {
		return err
	}
	return f.Sync()
}

// isClean reads s_state and s_feature_incompat of an ext4 superblock: unmounted as
// it should be, no error noted, no journal to replay.
func isClean(f *os.File) (bool, error) {
	const state, incompat, needsRecovery = 58, 96, 4
	var super [1024]byte
	if _, err := f.ReadAt(super[:], 1024); err != nil {
		return false, err
	}
	return binary.LittleEndian.Uint16(super[state:]) == 1 &&
		binary.LittleEndian.Uint32(super[incompat:])&needsRecovery == 0, nil
}
