package unpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// makeFile writes and then sets owner, mode and attributes, in this order: chown
// takes set-id bits off, and both it and writing take capabilities off.
func (t *tree) makeFile(fd int, base string, e *entry) error {
	if e.size > t.opts.MaxBytes-t.report.Bytes {
		return limitError("bytes in files", t.opts.MaxBytes)
	}
	n, err := unix.Openat(fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(n), e.name)
	err = t.fill(f, e)
	if err == nil {
		err = t.dress(n, e)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	t.report.Files++
	if _, ok := e.attrs[capability]; ok || e.mode&setIDs != 0 {
		t.report.SetID++
	}
	return setTime(fd, base, e)
}

// dress sets all on a file or directory that is open, and counts what it takes.
func (t *tree) dress(fd int, e *entry) error {
	if err := unix.Fchown(fd, int(e.uid), int(e.gid)); err != nil {
		return fmt.Errorf("set owner %d:%d: %w", e.uid, e.gid, err)
	}
	if err := unix.Fchmod(fd, e.mode); err != nil {
		return fmt.Errorf("set mode %o: %w", e.mode, err)
	}
	for name, value := range e.attrs {
		if err := unix.Fsetxattr(fd, name, []byte(value), 0); err != nil {
			return fmt.Errorf("set attribute %q of %d bytes, which this file system or kernel does not take: %w", name, len(value), err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	t.report.DiskBytes += st.Blocks * 512
	if e.kind == directory {
		return setTime(fd, ".", e)
	}
	return nil
}

// fill writes the content. Blocks of zeros are not written: that keeps the holes
// of sparse files, and makes some.
func (t *tree) fill(f *os.File, e *entry) error {
	var at, end int64
	for at < e.size {
		if err := ctxerr.Of(t.ctx); err != nil {
			return err
		}
		part := t.buf[:min(int64(len(t.buf)), e.size-at)]
		if _, err := io.ReadFull(e.body, part); err != nil {
			return err
		}
		last, err := writeSparse(f, part, at)
		if err != nil {
			return err
		}
		at += int64(len(part))
		end = max(end, last)
		t.report.Bytes += int64(len(part))
		t.written += int64(len(part))
		t.progress(someEntries, someBytes)
	}
	if end < e.size {
		return f.Truncate(e.size)
	}
	return nil
}

// writeSparse returns where the last byte that it wrote ends, or 0.
func writeSparse(f *os.File, data []byte, at int64) (end int64, err error) {
	const page = 4096
	var zeros [page]byte
	for from := 0; from < len(data); {
		to := from
		for to < len(data) {
			next := min(to+page, len(data))
			if bytes.Equal(data[to:next], zeros[:next-to]) {
				break
			}
			to = next
		}
		if to > from {
			if _, err := f.WriteAt(data[from:to], at+int64(from)); err != nil {
				return 0, err
			}
			end = at + int64(to)
		}
		from = min(to+page, len(data)) // over the zeros
	}
	return end, nil
}
