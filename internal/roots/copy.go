//go:build linux

package roots

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Progress is told how many entries and bytes were copied so far, after each
// entry. Nil is told nothing.
type Progress func(entries, bytes int64)

// copyDepth limits how deep a tree that is copied may be: each level holds two
// descriptors. Deeper ones are of no use to anybody, as no path reaches there.
const copyDepth = 1000

// CopyTree copies all that is in the directory src into the empty directory dst,
// and its attributes: ids as they are, modes, times, extended attributes (not
// security.selinux), hard links, holes, devices. Where the file system can, files
// share their blocks. It follows no link and leaves no mount (ErrBusy). src must
// not change meanwhile, and nobody else may reach dst.
func CopyTree(ctx context.Context, src, dst string, progress Progress) error {
	from, err := os.Open(src)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Open(dst)
	if err != nil {
		return err
	}
	defer to.Close()
	if progress == nil {
		progress = func(int64, int64) {}
	}
	c := copier{ctx: ctx, top: to, progress: progress, links: map[fileID]string{}}
	if err := c.entries(from, to, "", 0); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}

type fileID struct{ dev, ino uint64 }

type copier struct {
	ctx            context.Context
	top            *os.File
	progress       Progress
	links          map[fileID]string // paths below top of files with more names
	noClone        bool              // the file system cannot
	entryN, bytesN int64
}

// entries copies what is in a directory, and then its attributes: times last.
func (c *copier) entries(src, dst *os.File, path string, depth int) error {
	if depth > copyDepth {
		return fmt.Errorf("%.200s...: more than %d directories deep: %w", src.Name(), copyDepth, ErrInvalid)
	}
	err := eachName(src, func(name string) error {
		return c.entry(src, dst, name, filepath.Join(path, name), depth)
	})
	if err != nil {
		return err
	}
	st, err := statAt(src, ".")
	if err != nil {
		return err
	}
	return copyAttributes(src, dst, ".", &st)
}

func (c *copier) entry(src, dst *os.File, name, path string, depth int) error {
	if err := ctxerr.Of(c.ctx); err != nil {
		return err
	}
	st, err := statAt(src, name)
	if err != nil {
		return err
	}
	c.entryN++
	defer func() { c.progress(c.entryN, c.bytesN) }()
	if kindOf(&st) == unix.S_IFDIR {
		return c.directory(src, dst, name, path, depth)
	}
	if st.Nlink > 1 {
		id := fileID{st.Dev, st.Ino}
		if first, ok := c.links[id]; ok {
			return pathError("link", dst, name, unix.Linkat(int(c.top.Fd()), first, int(dst.Fd()), name, 0))
		}
		c.links[id] = path
	}
	if err := c.make(src, dst, name, &st); err != nil {
		return err
	}
	return copyAttributes(src, dst, name, &st)
}

func (c *copier) directory(src, dst *os.File, name, path string, depth int) error {
	from, err := openDirAt(src, name)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := unix.Mkdirat(int(dst.Fd()), name, 0o700); err != nil {
		return pathError("mkdir", dst, name, err)
	}
	to, err := openDirAt(dst, name)
	if err != nil {
		return err
	}
	defer to.Close()
	return c.entries(from, to, path, depth+1)
}

// make makes what is no directory.
func (c *copier) make(src, dst *os.File, name string, st *unix.Stat_t) error {
	switch kindOf(st) {
	case unix.S_IFREG:
		return c.file(src, dst, name)
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(src.Fd()), name, target)
		if err != nil {
			return pathError("readlink", src, name, err)
		}
		return pathError("symlink", dst, name, unix.Symlinkat(string(target[:n]), int(dst.Fd()), name))
	}
	return pathError("mknod", dst, name, unix.Mknodat(int(dst.Fd()), name, kindOf(st)|0o600, int(st.Rdev)))
}

func (c *copier) file(src, dst *os.File, name string) error {
	from, err := openRegularAt(src, name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := openAt(dst, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = c.data(from, to)
	if err2 := to.Close(); err == nil {
		err = err2
	}
	return err
}

func pathError(op string, dir *os.File, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: filepath.Join(dir.Name(), name), Err: err}
}
