//go:build linux

package lxc

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Directory reads the tree at dir as a tar archive, to import it as an image, and tells
// how many bytes that has:
//
//	tree, size, err := lxc.Directory("/srv/debian-12")
//	if err != nil {
//		return err
//	}
//	defer tree.Close()
//	_, err = host.ImportImage(ctx, "debian-12", tree, &provision.ImportOptions{Format: "tar", Size: size})
//
// Owners are numbers, and hard links and extended attributes are kept (POSIX.1-2001 pax
// format, with GNU tar's SCHILY.xattr records). Links are never followed, but one at
// dir itself. Directories of other file systems, as a mounted proc, come empty;
// sockets are left out. The same tree has the same bytes, and so the same checksum. A
// sparse file is read as zeros, which become holes again in the image.
//
// The tree is walked twice: now, without the content of files, and while it is read. A
// file that changes meanwhile is an error of Read. Close ends the goroutine of the
// second walk, and waits for its end. To read files of every owner takes root. The
// reader is for one goroutine at a time.
func Directory(dir string) (tree io.ReadCloser, size int64, err error) {
	var count counter
	if err := writeTree(&count, dir, true); err != nil {
		return nil, 0, err
	}
	r, w := io.Pipe()
	s := &treeReader{PipeReader: r, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_ = w.CloseWithError(writeTree(w, dir, false)) // never fails; nil becomes io.EOF
	}()
	return s, int64(count), nil
}

// counter counts what is written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// treeReader waits in Close for the goroutine that writes.
type treeReader struct {
	*io.PipeReader
	done chan struct{}
}

// Close ends the walk.
func (s *treeReader) Close() error {
	err := s.PipeReader.Close()
	<-s.done
	return err
}

// walk is one pass over a tree.
type walk struct {
	out   *tar.Writer
	bare  bool // zeros in the place of what files hold
	dev   uint64
	links map[uint64]string // inodes with several names: the first one
}

const (
	openDir  = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	openFile = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
)

func writeTree(out io.Writer, dir string, bare bool) error {
	fd, err := unix.Open(dir, openDir, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	w := &walk{out: tar.NewWriter(out), bare: bare, dev: st.Dev, links: map[uint64]string{}}
	if err := w.directory(f, ".", &st); err != nil {
		return err
	}
	return w.out.Close()
}

// directory writes one directory with what is in it, by name.
func (w *walk) directory(f *os.File, name string, st *unix.Stat_t) error {
	h := header(name+"/", tar.TypeDir, st)
	if err := errors.Join(attributes(f, h), w.out.WriteHeader(h)); err != nil {
		return inTree(name, err)
	}
	if st.Dev != w.dev {
		return nil
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return inTree(name, err)
	}
	slices.Sort(names)
	for _, base := range names {
		if err := w.child(f, path.Join(name, base), base); err != nil {
			return err
		}
	}
	return nil
}

// child writes one name of a directory.
func (w *walk) child(dir *os.File, name, base string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return inTree(name, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		f, err := openAt(dir, name, base, openDir|unix.O_NOFOLLOW, &st)
		if err != nil {
			return inTree(name, err)
		}
		defer f.Close()
		return w.directory(f, name, &st)
	case unix.S_IFREG:
		return inTree(name, w.file(dir, name, base, &st))
	}
	return inTree(name, w.special(dir, name, base, &st))
}

// openAt opens what st was found to be.
func openAt(dir *os.File, name, base string, flags int, st *unix.Stat_t) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), base, flags, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unchanged(f, st); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

var errChanged = errors.New("it has changed while it was read")

func unchanged(f *os.File, was *unix.Stat_t) error {
	var is unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &is); err != nil {
		return err
	}
	if is.Dev != was.Dev || is.Ino != was.Ino || is.Mode != was.Mode || is.Size != was.Size || is.Mtim != was.Mtim {
		return errChanged
	}
	return nil
}

// file writes a regular file, or a link to the name that it had before.
func (w *walk) file(dir *os.File, name, base string, st *unix.Stat_t) error {
	h := header(name, tar.TypeReg, st)
	if first, ok := w.links[st.Ino]; ok {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return w.out.WriteHeader(h)
	}
	f, err := openAt(dir, name, base, openFile, st)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Size = st.Size
	if err := errors.Join(attributes(f, h), w.out.WriteHeader(h)); err != nil {
		return err
	}
	if st.Nlink > 1 {
		w.links[st.Ino] = name
	}
	if w.bare {
		return w.zeros(st.Size)
	}
	_, err = io.CopyN(w.out, f, st.Size)
	if errors.Is(err, io.EOF) {
		return errChanged // shorter now
	}
	return errors.Join(err, unchanged(f, st))
}

func (w *walk) zeros(n int64) error {
	var zeros [64 << 10]byte
	for ; n > 0; n -= int64(len(zeros)) {
		if _, err := w.out.Write(zeros[:min(n, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// special writes what is neither file nor directory.
func (w *walk) special(dir *os.File, name, base string, st *unix.Stat_t) error {
	h := header(name, 0, st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(dir.Fd()), base, target)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(target[:n])
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default: // a socket
		return nil
	}
	return w.out.WriteHeader(h)
}

func header(name string, kind byte, st *unix.Stat_t) *tar.Header {
	return &tar.Header{Format: tar.FormatPAX, Name: name, Typeflag: kind, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, 0)}
}

// maxAttribute is XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h.
const maxAttribute = 64 << 10

// attributes adds the extended attributes of an open file.
func attributes(f *os.File, h *tar.Header) error {
	list := make([]byte, maxAttribute)
	n, err := unix.Flistxattr(int(f.Fd()), list)
	if errors.Is(err, unix.EOPNOTSUPP) || n == 0 && err == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	h.PAXRecords = map[string]string{}
	value := make([]byte, maxAttribute)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		n, err := unix.Fgetxattr(int(f.Fd()), name, value)
		if err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
		h.PAXRecords["SCHILY.xattr."+name] = string(value[:n])
	}
	return nil
}

// inTree names the file that an error is about.
func inTree(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("directory: %s: %w", name, err)
}
