//go:build linux

package roots

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// copyChunk is how much is copied before the context is looked at again.
const copyChunk = 16 << 20

// copyFile copies a regular file to a new one, holes as holes.
func copyFile(ctx context.Context, src, dst string, progress Progress) error {
	from, err := os.OpenFile(src, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	c := copier{ctx: ctx, progress: progress}
	err = c.data(from, to)
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// data makes the empty file to as from is: shared blocks, or else the parts that
// are no holes.
func (c *copier) data(from, to *os.File) error {
	info, err := from.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	if !c.noClone {
		err := unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
		if err == nil {
			c.bytesN += info.Size()
			return nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
			return &os.PathError{Op: "clone", Path: from.Name(), Err: err}
		}
		c.noClone = true
	}
	if err := to.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		start, end, err := extent(from, at)
		if err != nil {
			return err
		}
		if end == 0 {
			return nil // nothing but a hole is left
		}
		if err := c.extent(from, to, start, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// extent returns where the next data is; an end of 0 means there is none.
func extent(f *os.File, at int64) (start, end int64, err error) {
	start, err = f.Seek(at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return 0, 0, nil
	}
	if err == nil {
		end, err = f.Seek(start, unix.SEEK_HOLE)
	}
	return start, end, err
}

func (c *copier) extent(from, to *os.File, start, end int64) error {
	if _, err := from.Seek(start, io.SeekStart); err != nil {
		return err
	}
	if _, err := to.Seek(start, io.SeekStart); err != nil {
		return err
	}
	for left := end - start; left > 0; {
		if err := ctxerr.Of(c.ctx); err != nil {
			return err
		}
		// Package os uses copy_file_range(2) where the kernel can.
		n, err := io.CopyN(to, from, min(left, copyChunk))
		left -= n
		c.bytesN += n
		c.progress(c.entryN, c.bytesN)
		if err != nil {
			return err
		}
	}
	return nil
}
