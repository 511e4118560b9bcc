//go:build linux

package lxc

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/unpack"
)

// awkward makes a tree of what there is in root file systems.
func awkward(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.MkdirAll(at("etc/deep"), 0o755))
	require.NoError(t, os.Mkdir(at("bin"), 0o755))
	require.NoError(t, os.Symlink("/usr/bin/true", at("bin/sh"))) // makes it a root file system
	require.NoError(t, os.WriteFile(at("etc/file"), []byte("text"), 0o640))
	require.NoError(t, os.Lchown(at("etc/file"), 12, 34))
	require.NoError(t, os.Chmod(at("etc/file"), 0o750|os.ModeSetuid))
	require.NoError(t, os.Link(at("etc/file"), at("etc/deep/hard")))
	require.NoError(t, os.Symlink("/etc/shadow", at("etc/absolute")))
	require.NoError(t, os.Symlink(dir+"/..", at("out")))
	require.NoError(t, os.Lchown(at("out"), 5, 6))
	require.NoError(t, unix.Mkfifo(at("fifo"), 0o600))
	require.NoError(t, unix.Setxattr(at("etc/file"), "user.note", []byte("a\x00b"), 0))
	require.NoError(t, os.WriteFile(at("sparse"), nil, 0o600))
	require.NoError(t, os.Truncate(at("sparse"), 8<<20))
	require.NoError(t, os.WriteFile(at("name with\nbreak"), nil, 0o600))
	require.NoError(t, os.WriteFile(at(string(bytes.Repeat([]byte("l"), 200))), []byte("long"), 0o600))
	return dir
}

func TestDirectory(t *testing.T) {
	src := awkward(t)
	tree, size, err := Directory(src)
	require.NoError(t, err)
	dst := t.TempDir()
	var read counter
	report, err := unpack.Archive(t.Context(), dst, io.TeeReader(tree, &read), unpack.Tar, unpack.Options{})
	require.NoError(t, err)
	_, err = io.Copy(&read, tree) // the padding
	require.NoError(t, err)
	require.EqualValues(t, size, read)
	require.NoError(t, tree.Close())
	require.Empty(t, report.Skipped)

	diff, err := exec.CommandContext(t.Context(), "diff", "-r", "--no-dereference", "--exclude", "fifo", src, dst).CombinedOutput()
	require.NoError(t, err, "%s", diff)
	const each = `cd "$1" && find . ! -name . -printf '%P %y %m %U:%G %l %n\n' | sort`
	var listed [2]string
	for i, dir := range []string{src, dst} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", each, "sh", dir).Output()
		require.NoError(t, err)
		listed[i] = string(out)
	}
	require.Equal(t, listed[0], listed[1])
	value := make([]byte, 10)
	n, err := unix.Getxattr(filepath.Join(dst, "etc/file"), "user.note", value)
	require.NoError(t, err)
	require.Equal(t, "a\x00b", string(value[:n]))
	var st unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(dst, "sparse"), &st))
	require.Zero(t, st.Blocks, "a hole again")
}

// The checksum of an image is that of what was read.
func TestDirectoryIsReproducible(t *testing.T) {
	dir := awkward(t)
	read := func() []byte {
		tree, _, err := Directory(dir)
		require.NoError(t, err)
		defer tree.Close()
		text, err := io.ReadAll(tree)
		require.NoError(t, err)
		return text
	}
	require.True(t, bytes.Equal(read(), read()))
}

func TestDirectoryEnds(t *testing.T) {
	tree, _, err := Directory(awkward(t))
	require.NoError(t, err)
	_, err = tree.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, tree.Close())
	_, err = tree.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrClosedPipe)

	tree, _, err = Directory(awkward(t))
	require.NoError(t, err)
	require.NoError(t, tree.Close(), "before anything was read")

	_, _, err = Directory(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A tree that grows after it was measured is no image that is cut off in silence.
func TestDirectoryChanges(t *testing.T) {
	dir := awkward(t)
	tree, size, err := Directory(dir)
	require.NoError(t, err)
	defer tree.Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zz"), make([]byte, 4096), 0o600))
	n, err := io.Copy(io.Discard, tree)
	require.NoError(t, err)
	require.NotEqual(t, size, n, "Host refuses what has not the size that was told")
}

// What is mounted in the tree, as the terminals of the host, does not get into an image.
func TestDirectoryStaysOnOneFileSystem(t *testing.T) {
	tree, _, err := Directory("/dev")
	require.NoError(t, err)
	defer tree.Close()
	kinds := map[string]byte{}
	for r := tar.NewReader(tree); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		kinds[h.Name] = h.Typeflag
	}
	require.Equal(t, byte(tar.TypeDir), kinds["pts/"])
	require.NotContains(t, kinds, "pts/ptmx")
	require.Equal(t, byte(tar.TypeChar), kinds["null"])
}
