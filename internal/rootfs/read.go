package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// maxEntries is more than any directory has that is read here.
const maxEntries = 1000

// ReadFile reads a regular file of at most limit bytes. A last part that is a link is
// not followed: [ErrUnsafe], as for all else that is no file, and for a file with
// more than one hard link. A larger one is [ErrTooLarge].
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	data, _, err := t.readFile(name, limit)
	return data, err
}

func (t *Tree) readFile(name string, limit int64) ([]byte, fs.FileInfo, error) {
	dir, base, err := t.parent(name)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	data, info, err := t.readAt(dir, base, limit)
	if err != nil {
		return nil, info, fmt.Errorf("%s: %w", name, cause(err))
	}
	return data, info, nil
}

// readAt looks before it opens, because to open a device may do something, and
// again at what it has opened.
func (t *Tree) readAt(dir *os.Root, base string, limit int64) ([]byte, fs.FileInfo, error) {
	info, err := dir.Lstat(base)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, fmt.Errorf("%w: it is %s, no file", ErrUnsafe, kind(info))
	}
	f, err := dir.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, info, err
	}
	defer f.Close()
	switch info, err = f.Stat(); {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, info, fmt.Errorf("%w: it is %s, no file", ErrUnsafe, kind(info))
	case ownerOf(info).links > 1:
		// Another name of it may be a file that is not the tenant's to read.
		return nil, info, fmt.Errorf("%w: it has %d hard links", ErrUnsafe, ownerOf(info).links)
	case info.Size() > limit:
		return nil, info, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, info.Size(), limit)
	}
	if m, err := mountOfFile(f, info); err != nil || !t.mount.covers(m) {
		return nil, info, errors.Join(err, fmt.Errorf("%w: a mount is on it; unmount it", ErrUnsafe))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: it grows, at most %d bytes are read", ErrTooLarge, limit)
	}
	return data, info, err
}

// Lstat says what stands at name, a link itself and not what it leads to. It looks
// into mounts too, which all that reads and writes refuses.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	name = path.Clean("/" + name)
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return nil, at(name, err)
	}
	info, err := t.root.Lstat(path.Join(dir, last(name)))
	return info, at(name, err)
}

// last is the last part of a clean path, below the directory that it is in.
func last(name string) string { return strings.TrimPrefix(path.Base(name), "/") }

// Exists reports whether anything stands at name, a link to nothing included.
// What cannot be reached in a safe way does not exist.
func (t *Tree) Exists(name string) bool {
	_, err := t.Lstat(name)
	return err == nil
}

// Readlink returns the target of a link, as it is written.
func (t *Tree) Readlink(name string) (string, error) {
	name = path.Clean("/" + name)
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return "", at(name, err)
	}
	target, err := t.root.Readlink(path.Join(dir, last(name)))
	return target, at(name, err)
}

// ReadDir returns the sorted names of a directory of at most 1000 entries, or
// [ErrTooLarge].
func (t *Tree) ReadDir(name string) ([]string, error) {
	dir, _, err := t.parent(name + "/.entry") // the directory itself may be a link
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := dir.Open(".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	defer f.Close()
	names, err := f.Readdirnames(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	if len(names) > maxEntries {
		return nil, fmt.Errorf("%s: %w: more than %d entries", name, ErrTooLarge, maxEntries)
	}
	slices.Sort(names)
	return names, nil
}
