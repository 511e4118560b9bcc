package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// tree is the destination. It keeps descriptors of the directories down to the
// one used last, because entries come directory by directory.
type tree struct {
	ctx    context.Context
	opts   Options
	report Report

	root    int
	stack   []level
	dirs    map[string]entry // what is still to be set on directories
	pending int              // bytes that dirs takes, about
	buf     []byte
	written int64 // bytes of files, also of those replaced since
	told    struct {
		entries int
		bytes   int64
	}
}

type level struct {
	name string
	fd   int
}

const openDirectory = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func openTree(ctx context.Context, dir string, opts Options) (*tree, error) {
	fd, err := unix.Open(dir, openDirectory, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	t := &tree{ctx: ctx, opts: opts.withDefaults(), root: fd, dirs: map[string]entry{}, buf: make([]byte, blockSize)}
	if err := t.prepare(); err != nil {
		t.close()
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t, nil
}

// prepare takes access lists off the root: a default one would be inherited by
// all that is made.
func (t *tree) prepare() error {
	names, more, err := t.top(1)
	if err != nil {
		return err
	}
	if len(names) > 0 || more {
		return ErrNotEmpty
	}
	for _, acl := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		err := unix.Fremovexattr(t.root, acl)
		if err != nil && err != unix.ENODATA && err != unix.EOPNOTSUPP {
			return fmt.Errorf("remove %s: %w", acl, err)
		}
	}
	t.dirs["."] = entry{name: ".", kind: directory, mode: 0o755}
	t.report.Directories = 1
	return nil
}

func (t *tree) close() {
	t.cut(0)
	unix.Close(t.root)
}

// cut closes the levels from n on.
func (t *tree) cut(n int) {
	for _, l := range t.stack[n:] {
		unix.Close(l.fd)
	}
	t.stack = t.stack[:n]
}

// enter returns a descriptor of a directory of the tree, which is valid until
// the next call. Missing ones are made if make is set.
func (t *tree) enter(dir string, make bool) (int, error) {
	if dir == "." {
		t.cut(0)
		return t.root, nil
	}
	parts := strings.Split(dir, "/")
	same := 0
	for same < len(parts) && same < len(t.stack) && t.stack[same].name == parts[same] {
		same++
	}
	t.cut(same)
	fd := t.root
	if same > 0 {
		fd = t.stack[same-1].fd
	}
	for i := same; i < len(parts); i++ {
		next, err := unix.Openat(fd, parts[i], openDirectory, 0)
		if err == unix.ENOENT && make {
			next, err = t.imply(fd, strings.Join(parts[:i+1], "/"), parts[i])
		}
		if err == unix.ENOTDIR || err == unix.ELOOP {
			return -1, fmt.Errorf("%w: %q is a symbolic link or a file here, and nothing is written through it", ErrLink, strings.Join(parts[:i+1], "/"))
		}
		if err != nil {
			return -1, err
		}
		t.stack = append(t.stack, level{parts[i], next})
		fd = next
	}
	return fd, nil
}

// imply makes a directory that the archive has no entry for yet.
func (t *tree) imply(fd int, name, base string) (int, error) {
	if err := t.count(); err != nil {
		return -1, err
	}
	if err := unix.Mkdirat(fd, base, 0o700); err != nil {
		return -1, err
	}
	t.report.Directories++
	if err := t.postpone(entry{name: name, kind: directory, mode: 0o755}); err != nil {
		return -1, err
	}
	return unix.Openat(fd, base, openDirectory, 0)
}

// count is called for every entry before it is made.
func (t *tree) count() error {
	if err := ctxerr.Of(t.ctx); err != nil {
		return err
	}
	if t.report.Entries >= t.opts.MaxEntries {
		return limitError("entries", int64(t.opts.MaxEntries))
	}
	t.report.Entries++
	t.progress(someEntries, someBytes)
	return nil
}

// How much is done between two calls of Progress.
const (
	someEntries = 1024
	someBytes   = 8 << 20
)

// progress calls Progress if that much was done since the last time.
func (t *tree) progress(entries int, bytes int64) {
	if t.opts.Progress != nil && (t.report.Entries-t.told.entries >= entries || t.written-t.told.bytes >= bytes) {
		t.told.entries, t.told.bytes = t.report.Entries, t.written
		t.opts.Progress(t.told.entries, t.told.bytes)
	}
}

// postpone remembers what to set on a directory when nothing more is put there:
// entries below would change its time, and would inherit its default access list.
func (t *tree) postpone(e entry) error {
	t.pending += len(e.name) + 256
	for k, v := range e.attrs {
		t.pending += len(k) + len(v) + 64
	}
	if t.pending > maxPending {
		return limitError("bytes for names and attributes of directories", maxPending)
	}
	t.dirs[e.name] = e
	return nil
}

// top lists the root, at most n names; directories end in "/".
func (t *tree) top(n int) (names []string, more bool, err error) {
	fd, err := unix.Openat(t.root, ".", openDirectory, 0)
	if err != nil {
		return nil, false, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	list, err := f.ReadDir(n + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	for _, e := range list[:min(n, len(list))] {
		if e.IsDir() {
			names = append(names, e.Name()+"/")
		} else {
			names = append(names, e.Name())
		}
	}
	return names, len(list) > n, nil
}
