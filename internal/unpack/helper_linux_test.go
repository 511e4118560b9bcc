package unpack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var day = time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC)

// box is a directory with an empty tree, and beside it files that must stay as
// they are: archives reach for ../outside.
type box struct {
	dir, tree string
	before    map[string]string
}

func newBox(tb testing.TB) *box {
	tb.Helper()
	require.Zero(tb, os.Geteuid(), "these tests need root")
	b := &box{dir: tb.TempDir()}
	b.tree = filepath.Join(b.dir, "tree")
	outside := filepath.Join(b.dir, "outside")
	require.NoError(tb, os.Mkdir(b.tree, 0o700))
	require.NoError(tb, os.Mkdir(outside, 0o755))
	require.NoError(tb, os.WriteFile(filepath.Join(outside, "passwd"), []byte("root:x:0:0\n"), 0o644))
	require.NoError(tb, os.Mkdir(filepath.Join(outside, "empty"), 0o755))
	require.NoError(tb, os.Symlink("passwd", filepath.Join(outside, "link")))
	b.before = describe(tb, outside)
	return b
}

// requireUntouched also sees new names, links and changes of attributes.
func (b *box) requireUntouched(tb testing.TB) {
	tb.Helper()
	require.Equal(tb, b.before, describe(tb, filepath.Join(b.dir, "outside")))
	names, err := os.ReadDir(b.dir)
	require.NoError(tb, err)
	require.Len(tb, names, 2)
}

// describe has a line for each name below dir with all that can be kept.
func describe(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	tree := map[string]string{}
	require.NoError(tb, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		tree[name] = describeOne(tb, path)
		return nil
	}))
	return tree
}

func describeOne(tb testing.TB, path string) string {
	tb.Helper()
	var st unix.Stat_t
	require.NoError(tb, unix.Lstat(path, &st))
	text := fmt.Sprintf("%o %d:%d %s", st.Mode, st.Uid, st.Gid, time.Unix(st.Mtim.Unix()).UTC().Format(time.RFC3339Nano))
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		data, err := os.ReadFile(path)
		require.NoError(tb, err)
		text += fmt.Sprintf(" links %d size %d %x", st.Nlink, st.Size, sha256.Sum256(data))
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		require.NoError(tb, err)
		text += " -> " + target
	case unix.S_IFCHR, unix.S_IFBLK:
		text += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	list := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, list)
	require.NoError(tb, err)
	names := strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	for _, name := range names {
		value := make([]byte, 1<<16)
		n, err := unix.Lgetxattr(path, name, value)
		require.NoError(tb, err)
		text += fmt.Sprintf(" %s=%x", name, value[:n])
	}
	return text
}

// outline is shorter: type, mode and what it holds.
func outline(tb testing.TB, dir string) []string {
	tb.Helper()
	var lines []string
	require.NoError(tb, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			lines = append(lines, fmt.Sprintf("%s/ %o", name, st.Mode&0o7777))
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			lines = append(lines, name+" -> "+target)
			return err
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			lines = append(lines, fmt.Sprintf("%s %o %q", name, st.Mode&0o7777, data))
			return err
		case unix.S_IFIFO:
			lines = append(lines, fmt.Sprintf("%s| %o", name, st.Mode&0o7777))
		default:
			lines = append(lines, fmt.Sprintf("%s %o %d:%d", name, st.Mode, unix.Major(st.Rdev), unix.Minor(st.Rdev)))
		}
		return nil
	}))
	return lines
}

// maker writes archives that archive/tar would refuse to write, too.
type maker struct {
	tb  testing.TB
	buf bytes.Buffer
}

func (m *maker) add(h tar.Header, content string) {
	m.tb.Helper()
	m.patch(h, content, func([]byte) {})
}

// patch lets change the entry's last header block before its sum is taken.
func (m *maker) patch(h tar.Header, content string, change func(block []byte)) {
	m.tb.Helper()
	if h.ModTime.IsZero() {
		h.ModTime = day.Truncate(time.Second)
	}
	if h.Mode == 0 {
		h.Mode = 0o644
	}
	if h.Typeflag == tar.TypeReg && h.Size == 0 {
		h.Size = int64(len(content))
	}
	var one bytes.Buffer
	w := tar.NewWriter(&one)
	require.NoError(m.tb, w.WriteHeader(&h))
	all := one.Bytes()
	block := all[len(all)-512:]
	change(block)
	sum(block)
	m.buf.Write(all)
	m.content(content)
}

func (m *maker) content(s string) {
	m.buf.WriteString(s)
	m.buf.Write(make([]byte, -len(s)&511))
}

func sum(block []byte) {
	copy(block[148:156], "        ")
	total := 0
	for _, b := range block {
		total += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", total))
}

func (m *maker) file(name, content string) {
	m.add(tar.Header{Typeflag: tar.TypeReg, Name: name}, content)
}
func (m *maker) dir(name string) {
	m.add(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, "")
}
func (m *maker) symlink(name, target string) {
	m.add(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, "")
}
func (m *maker) link(name, target string) {
	m.add(tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}, "")
}
func (m *maker) device(kind byte, name string, major, minor int64) {
	m.add(tar.Header{Typeflag: kind, Name: name, Devmajor: major, Devminor: minor}, "")
}
func (m *maker) pax(name string, records map[string]string) {
	m.add(tar.Header{Typeflag: tar.TypeReg, Name: name, PAXRecords: records, Format: tar.FormatPAX}, "")
}

// records writes a pax header that archive/tar would not write.
func (m *maker) records(kind byte, text string) {
	m.patch(tar.Header{Typeflag: tar.TypeReg, Name: "PaxHeaders.0/x", Size: int64(len(text))}, text, func(b []byte) { b[156] = kind })
}

func record(key, value string) string {
	n := len(key) + len(value) + 3
	for len(fmt.Sprint(n))+len(key)+len(value)+3 != n {
		n = len(fmt.Sprint(n)) + len(key) + len(value) + 3
	}
	return fmt.Sprintf("%d %s=%s\n", n, key, value)
}

func (m *maker) end() { m.buf.Write(make([]byte, 1024)) }

func archiveOf(tb testing.TB, build func(*maker)) []byte {
	tb.Helper()
	m := &maker{tb: tb}
	build(m)
	return m.buf.Bytes()
}

func gzipped(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(tb, err)
	require.NoError(tb, w.Close())
	return b.Bytes()
}
