//go:build linux

package roots

import (
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Usage is what a root takes. A limit of 0 means that there is none.
type Usage struct {
	Bytes, BytesLimit   int64
	Inodes, InodesLimit uint64
}

// Usage measures the root. An ImageFile that is mounted asks its file system, at
// once; one that is not has the bytes that the host stores for it, and no inodes.
// The other kinds are walked, which takes time in proportion to the number of
// files, and are counted as du(1) does: a block that files share counts for each.
// Files that come and go meanwhile may be counted or not, and those deeper than
// 1000 directories are not.
func (r Root) Usage(ctx context.Context) (Usage, error) {
	if r.Kind == ImageFile {
		return r.imageUsage()
	}
	if err := r.check(); err != nil {
		return Usage{}, err
	}
	parent, err := os.Open(r.Dir)
	if err != nil {
		return Usage{}, err
	}
	defer parent.Close()
	w := counter{ctx: ctx, seen: map[fileID]bool{}}
	err = w.add(parent, filepath.Base(r.Store()), 0)
	return w.usage, err
}

func (r Root) imageUsage() (Usage, error) {
	mounted, err := r.Mounted()
	if err != nil {
		return Usage{}, err
	}
	if mounted {
		var st unix.Statfs_t
		if err := unix.Statfs(r.Path(), &st); err != nil {
			return Usage{}, &os.PathError{Op: "statfs", Path: r.Path(), Err: err}
		}
		return Usage{
			Bytes: int64(st.Blocks-st.Bfree) * int64(st.Bsize), BytesLimit: int64(st.Blocks) * int64(st.Bsize),
			Inodes: st.Files - st.Ffree, InodesLimit: st.Files,
		}, nil
	}
	var st unix.Stat_t
	if err := unix.Lstat(r.Store(), &st); err != nil {
		return Usage{}, &os.PathError{Op: "stat", Path: r.Store(), Err: err}
	}
	return Usage{Bytes: st.Blocks * 512, BytesLimit: st.Size}, nil
}

type counter struct {
	ctx   context.Context
	usage Usage
	seen  map[fileID]bool // files with more than one name
}

func (w *counter) add(dir *os.File, name string, depth int) error {
	if err := ctxerr.Of(w.ctx); err != nil {
		return err
	}
	st, err := statAt(dir, name)
	if err != nil {
		return ignore(err, missing(depth)...)
	}
	id := fileID{st.Dev, st.Ino}
	if kindOf(&st) != unix.S_IFDIR && st.Nlink > 1 {
		if w.seen[id] {
			return nil
		}
		w.seen[id] = true
	}
	w.usage.Bytes += st.Blocks * 512
	w.usage.Inodes++
	if kindOf(&st) != unix.S_IFDIR || depth > copyDepth {
		return nil
	}
	child, err := openDirAt(dir, name)
	if err != nil {
		return ignore(err, missing(depth)...)
	}
	defer child.Close()
	return eachName(child, func(n string) error { return w.add(child, n, depth+1) })
}

// missing are the errors for what a running guest may remove while it is counted:
// anything but the top.
func missing(depth int) []error {
	if depth == 0 {
		return nil
	}
	return []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP}
}
