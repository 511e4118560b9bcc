// Package rootfs writes into the root file system of a guest that does not run:
// its first configuration ([Tree.Apply]) and single files of it.
//
// The tree is the tenant's, and may hold anything. No name of it is followed out
// of it, nothing in it makes a call wait (FIFOs, devices), no more of a file is
// read than its caller expects, and what stands where a file is to be written is
// replaced and never written through: links, hard links, FIFOs and devices.
// Errors name the path as the guest sees it.
//
// A guest that runs can change its files between a look and a write: nothing gets
// out of the tree even then, but its content may be what neither side wanted.
package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

var (
	// ErrUnsafe is in errors about something in the tree that is not what its
	// name promises, and that is neither followed nor replaced: a directory
	// that is a FIFO, a file that is a device, a loop of links, a mount.
	ErrUnsafe = errors.New("not safe to use")
	// ErrTooLarge is in errors about files and directories that are larger than
	// such a file ever is.
	ErrTooLarge = errors.New("too large")
)

// maxLinks is how many symbolic links one path may have: path_resolution(7).
const maxLinks = 40

// Tree is the root file system of a guest. Its methods take paths as the guest
// sees them, "/etc/passwd". It is for one goroutine at a time.
type Tree struct {
	// NoSync leaves it to the kernel when files reach the disk. It is for guests that
	// are being made, of which nothing is kept if the host fails meanwhile.
	NoSync bool

	root     *os.Root
	uid, gid int
	mount    mount
}

// Open opens the tree in directory dir of the host. UID and gid are what the
// guest's root is on disk: 0 where the guest's mount is idmapped, and the first of
// its ids where its files are shifted. The Tree must be closed.
func Open(dir string, uid, gid int) (*Tree, error) {
	if uid < 0 || gid < 0 {
		return nil, fmt.Errorf("rootfs: %d:%d is nobody's id", uid, gid)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("rootfs: %w", err)
	}
	t := &Tree{root: root, uid: uid, gid: gid}
	if t.mount, err = mountOf(root); err != nil {
		return nil, errors.Join(fmt.Errorf("rootfs: %w", err), root.Close())
	}
	return t, nil
}

// Close closes the tree.
func (t *Tree) Close() error { return t.root.Close() }

// parent opens the directory that holds name, and returns the last part of name
// with it. Links on the way lead where they lead in the guest: absolute ones from
// the root of the tree, and ".." of that root is itself. os.Root refuses
// absolute links instead, and openat2(2) with RESOLVE_IN_ROOT, which does the same
// as this, is unknown to the kernels of older hosts.
func (t *Tree) parent(name string) (*os.Root, string, error) {
	name = path.Clean("/" + name)
	if name == "/" || strings.ContainsRune(name, 0) {
		return nil, "", fmt.Errorf("%q: not the path of a file: %w", name, fs.ErrInvalid)
	}
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	r, err := t.root.OpenRoot(dir)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, cause(err))
	}
	m, err := mountOf(r)
	if err == nil && m != t.mount {
		err = fmt.Errorf("%w: /%s is on a mount inside of the guest's root; unmount it", ErrUnsafe, dir)
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s: %w", name, err), r.Close())
	}
	return r, path.Base(name), nil
}

// resolve returns the directory that name is, relative to the root and without
// links.
func (t *Tree) resolve(name string) (string, error) {
	done, todo := ".", parts(name)
	for links := 0; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if next == ".." {
			done = path.Dir(done) // of "." it is "."
			continue
		}
		at := path.Join(done, next)
		info, err := t.root.Lstat(at)
		switch {
		case err != nil:
			return "", fmt.Errorf("/%s: %w", at, cause(err))
		case info.IsDir():
			done = at
			continue
		case info.Mode().Type() != fs.ModeSymlink:
			return "", fmt.Errorf("%w: /%s is %s, no directory", ErrUnsafe, at, kind(info))
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%w: /%s is a loop of symbolic links", ErrUnsafe, at)
		}
		target, err := t.root.Readlink(at)
		if err != nil {
			return "", fmt.Errorf("/%s: %w", at, cause(err))
		}
		if path.IsAbs(target) {
			done = "."
		}
		todo = append(parts(target), todo...)
	}
	return done, nil
}

func parts(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

// cause drops the path that package os has, which is relative to a directory
// that the reader does not know.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

func kind(info fs.FileInfo) string {
	switch m := info.Mode(); {
	case m.IsRegular():
		return "a file"
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "no file"
}
