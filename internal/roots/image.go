//go:build linux

package roots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// What ext4 with blocks of 4 KiB takes, with room for a journal, and what it can
// grow to without the 64bit feature.
const (
	blockSize = 4096
	MinSize   = 16 << 20
	MaxSize   = 16<<40 - blockSize
)

// imageOptions of the mount: errors=remount-ro keeps a damaged file system from
// getting worse; discard gives the host back what the guest deletes. There is no
// e2fsck before it: the kernel replays the journal, and a tenant can damage only
// what is in its files, because it cannot write the block device.
const imageOptions = "errors=remount-ro,discard"

func (r Root) makeImage(ctx context.Context, path string, progress Progress) error {
	if err := format(ctx, path, r.Size, r.Inodes); err != nil {
		return err
	}
	// Mounted where the guest's root will be: Remove looks there.
	if err := mountImage(path, r.Path()); err != nil {
		return err
	}
	err := r.fill(ctx, progress)
	if err2 := unmount(context.WithoutCancel(ctx), r.Path()); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// fill copies the image's tree into the new file system. lost+found goes, as the
// tree may have its own; e2fsck makes one when it needs it.
func (r Root) fill(ctx context.Context, progress Progress) error {
	if err := os.Remove(filepath.Join(r.Path(), "lost+found")); err != nil {
		return err
	}
	err := CopyTree(ctx, r.Image, r.Path(), progress)
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the image does not fit into Size %d, Inodes %d (0: default): %w", r.Size, r.Inodes, err)
	}
	if err != nil {
		return err
	}
	return os.Chmod(r.Path(), 0o755)
}

// format makes the sparse file and its file system.
func format(ctx context.Context, path string, size int64, inodes uint64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate((size + blockSize - 1) / blockSize * blockSize)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// mkfs punches holes and sees that they read as zeros. So it has nothing to
	// write, and marks the inode tables as done: else the kernel would write them
	// in the background, and fill the sparse file.
	args := []string{"-q", "-F", "-b", strconv.Itoa(blockSize), "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=1"}
	if inodes > 0 {
		args = append(args, "-N", strconv.FormatUint(inodes, 10))
	}
	return run(ctx, "mkfs.ext4", append(args, path)...)
}

func mountImage(image, at string) error {
	dev, err := attach(image)
	if err != nil {
		return err
	}
	defer dev.Close()
	err = unix.Mount(dev.Name(), at, "ext4", unix.MS_NODEV, imageOptions)
	if errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EIO) {
		return fmt.Errorf("%s is damaged; run e2fsck -f on it: %w", image, err)
	}
	if err != nil {
		return fmt.Errorf("%s on %s (the kernel log says more): %w", image, dev.Name(), err)
	}
	return nil
}
