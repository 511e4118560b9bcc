//go:build linux

package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOpenRefuses(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none"), 0, 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Open(t.TempDir(), -1, 0)
	require.ErrorContains(t, err, "-1:0")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Open(file, 0, 0)
	require.ErrorContains(t, err, "not a directory")
}

// Links lead where they lead in the guest.
func TestLinksOfDirectories(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{
		"data/ssh/": "", "etc/ssh": "-> /data/ssh", "etc/up": "-> ../../../../data", "a/b/": "", "a/c": "-> b/../b/./", "a/d": "-> c",
		"loop1": "-> loop2/x", "loop2": "-> loop1", "file": "x", "none": "-> /missing/dir",
	})
	tree := open(t, dir)
	for name, want := range map[string]string{
		"/etc/ssh/f": "data/ssh/f", "/etc/up/f": "data/f", "/a/c/f": "a/b/f", "/a/d/g": "a/b/g",
		"h": "h", "../../i": "i", "/a/../../j": "j", "//data//k": "data/k",
	} {
		changed, err := tree.WriteFile(name, []byte(name), Attr{UID: 7, GID: 8, Mode: 0o640})
		require.NoError(t, err, name)
		require.True(t, changed)
		text, err := os.ReadFile(filepath.Join(dir, want))
		require.NoError(t, err)
		require.Equal(t, name, string(text))
		info, err := os.Lstat(filepath.Join(dir, want))
		require.NoError(t, err)
		require.Equal(t, owner{base + 7, base + 8, 1}, ownerOf(info))
		require.Equal(t, fs.FileMode(0o640), info.Mode())
	}
	for name, want := range map[string]error{
		"/loop1/f": ErrUnsafe, "/file/f": ErrUnsafe, "/none/f": fs.ErrNotExist, "/missing/f": fs.ErrNotExist,
		"": fs.ErrInvalid, "/": fs.ErrInvalid, "..": fs.ErrInvalid, "/a\x00b": fs.ErrInvalid, "/" + strings.Repeat("x", 300): unix.ENAMETOOLONG,
	} {
		_, err := tree.WriteFile(name, nil, Attr{})
		require.ErrorIs(t, err, want, name)
		_, err = tree.ReadFile(name, 1)
		require.ErrorIs(t, err, want, name)
		_, err = tree.Symlink("x", name)
		require.ErrorIs(t, err, want, name)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	tree := open(t, dir)
	put(t, dir, map[string]string{"kept": "x", "secret": "x"})
	at := filepath.Join(dir, "kept")
	require.NoError(t, os.Chown(at, base+5, base+6))
	require.NoError(t, os.Chmod(at, 0o604|fs.ModeSetuid))
	write := func(name, text string, a Attr) bool {
		changed, err := tree.WriteFile(name, []byte(text), a)
		require.NoError(t, err)
		return changed
	}
	mode := func(name string) fs.FileMode {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		return info.Mode()
	}
	keep := Attr{UID: 1, GID: 1, Mode: 0o644, Keep: true}
	require.True(t, write("kept", "x", keep), "the set-id bit goes")
	require.False(t, write("kept", "x", keep))
	info, err := os.Lstat(at)
	require.NoError(t, err)
	require.Equal(t, owner{base + 5, base + 6, 1}, ownerOf(info))
	require.Equal(t, fs.FileMode(0o604), info.Mode())

	require.NoError(t, os.Chown(at, 12, base+70000))
	require.True(t, write("kept", "x", keep), "the owner is not of the guest")
	info, err = os.Lstat(at)
	require.NoError(t, err)
	require.Equal(t, owner{base + 1, base + 1, 1}, ownerOf(info))

	require.True(t, write("secret", "y", Attr{Mode: 0o600, Keep: true}))
	require.Equal(t, fs.FileMode(0o640), mode("secret"), "others may not read it any more")
	require.True(t, write("secret", "y", Attr{Mode: 0o600}), "another mode")
	require.True(t, write("secret", "y", Attr{UID: 1, Mode: 0o600}), "another owner")
	require.True(t, write("secret", "z", Attr{UID: 1, Mode: 0o600}), "another content")
	require.False(t, write("secret", "z", Attr{UID: 1, Mode: 0o600}))
	require.True(t, write("sticky", "", Attr{Mode: 0o755 | fs.ModeSetgid}))
	require.Equal(t, 0o755|fs.ModeSetgid, mode("sticky"))

	for _, a := range []Attr{{UID: -1}, {GID: -1}, {UID: 65536}, {GID: 65536}} {
		_, err := tree.WriteFile("bad", nil, a)
		require.ErrorIs(t, err, ErrUnsafe)
		_, err = tree.MkdirAll("bad", a)
		require.ErrorIs(t, err, ErrUnsafe)
	}
	require.False(t, tree.Exists("bad"))
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"file": "12345", "link": "-> file", "dir/": ""})
	tree := open(t, dir)
	data, err := tree.ReadFile("/file", 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(data))
	_, err = tree.ReadFile("/file", 4)
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualError(t, err, "/file: too large: 5 bytes, at most 4 are read")
	for _, name := range []string{"/link", "/dir"} {
		_, err = tree.ReadFile(name, 5)
		require.ErrorIs(t, err, ErrUnsafe)
	}
	_, err = tree.ReadFile("/none", 5)
	require.EqualError(t, err, "/none: no such file or directory")
	target, err := tree.Readlink("/link")
	require.NoError(t, err)
	require.Equal(t, "file", target)
	_, err = tree.Readlink("/file")
	require.ErrorIs(t, err, unix.EINVAL)
	require.NoError(t, os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "other")))
	_, err = tree.ReadFile("/other", 5)
	require.EqualError(t, err, "/other: not safe to use: it has 2 hard links")
}

func TestLstat(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"dir/file": "x", "link": "-> /dir", "loop": "-> loop"})
	tree := open(t, dir)
	for name, want := range map[string]fs.FileMode{"/": fs.ModeDir, "/dir": fs.ModeDir, "/link": fs.ModeSymlink, "/link/file": 0, "/loop": fs.ModeSymlink} {
		info, err := tree.Lstat(name)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Type(), name)
		require.True(t, tree.Exists(name))
	}
	for name, want := range map[string]error{"/none": fs.ErrNotExist, "/loop/x": ErrUnsafe, "/dir/file/x": ErrUnsafe, "/a\x00b": unix.EINVAL} {
		_, err := tree.Lstat(name)
		require.ErrorIs(t, err, want, name)
		_, err = tree.Readlink(name)
		require.ErrorIs(t, err, want, name)
		require.False(t, tree.Exists(name))
	}
}

func TestReadDir(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"d/b": "", "d/a": "", "link": "-> /d", "file": ""})
	tree := open(t, dir)
	for _, name := range []string{"/d", "/link"} {
		names, err := tree.ReadDir(name)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, names)
	}
	_, err := tree.ReadDir("/file")
	require.ErrorIs(t, err, ErrUnsafe)
	_, err = tree.ReadDir("/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	for i := range maxEntries {
		require.NoError(t, os.Mkdir(filepath.Join(dir, "d", strings.Repeat("x", 1+i%200)+string(rune('a'+i/200))), 0o700))
	}
	_, err = tree.ReadDir("/d")
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"have/": "", "dangling": "-> /nowhere", "link": "-> have", "file": ""})
	tree := open(t, dir)
	changed, err := tree.MkdirAll("/link/a/b", Attr{UID: 3, GID: 4, Mode: 0o1777&0o777 | fs.ModeSticky})
	require.NoError(t, err)
	require.True(t, changed)
	info, err := os.Lstat(filepath.Join(dir, "have/a/b"))
	require.NoError(t, err)
	require.Equal(t, base+3, ownerOf(info).uid)
	require.Equal(t, 0o777|fs.ModeDir|fs.ModeSticky, info.Mode())
	info, err = os.Lstat(filepath.Join(dir, "have/a"))
	require.NoError(t, err)
	require.Equal(t, base, ownerOf(info).uid)
	for _, name := range []string{"/", "/link", "/have/a/b"} {
		changed, err = tree.MkdirAll(name, Attr{Mode: 0o700})
		require.NoError(t, err)
		require.False(t, changed)
	}
	for _, name := range []string{"/dangling", "/dangling/x", "/file", "/file/x"} {
		_, err = tree.MkdirAll(name, Attr{Mode: 0o700})
		require.ErrorIs(t, err, ErrUnsafe, name)
		require.ErrorContains(t, err, name[:5])
	}
}

func TestSymlinkAndRemove(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"file": "x", "full/x": ""})
	tree := open(t, dir)
	for i, want := range []bool{true, false} {
		changed, err := tree.Symlink("/etc/target", "/file")
		require.NoError(t, err)
		require.Equal(t, want, changed, i)
	}
	info, err := os.Lstat(filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.Equal(t, base, ownerOf(info).uid)
	_, err = tree.Symlink("x", "/full")
	require.ErrorIs(t, err, ErrUnsafe)
	for i, want := range []bool{true, false} {
		changed, err := tree.Remove("/file")
		require.NoError(t, err)
		require.Equal(t, want, changed, i)
	}
	changed, err := tree.Remove("/none/x")
	require.NoError(t, err)
	require.False(t, changed)
	_, err = tree.Remove("/full")
	require.ErrorIs(t, err, unix.ENOTEMPTY)
	require.True(t, errors.Is(err, unix.ENOTEMPTY) && strings.HasPrefix(err.Error(), "/full: "))
}

// What the host has mounted in the tree is not the guest's, a bind mount of the
// same file system and one of a file included.
func TestMountsInTheTree(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	put(t, other, map[string]string{"file": "of the host"})
	put(t, dir, map[string]string{"tmpfs/": "", "bind/sub/": "", "file": "", "link": "-> bind"})
	mount := func(source, target, kind string, flags uintptr) {
		at := filepath.Join(dir, target)
		require.NoError(t, unix.Mount(source, at, kind, flags, ""))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(at, unix.MNT_DETACH)) })
	}
	mount("tmpfs", "tmpfs", "tmpfs", 0)
	mount(other, "bind", "", unix.MS_BIND)
	mount(filepath.Join(other, "file"), "file", "", unix.MS_BIND)
	tree := open(t, dir)
	for _, name := range []string{"/tmpfs/x", "/bind/file", "/link/file", "/file"} {
		_, err := tree.ReadFile(name, 100)
		require.ErrorIs(t, err, ErrUnsafe, name)
		require.ErrorContains(t, err, "unmount it", name)
		_, err = tree.WriteFile(name, []byte("x"), Attr{Mode: 0o600})
		require.Error(t, err, name)
		require.ErrorContains(t, err, name)
	}
	_, err := tree.MkdirAll("/bind/new", Attr{Mode: 0o700})
	require.ErrorIs(t, err, ErrUnsafe)
	_, err = tree.ReadDir("/bind")
	require.ErrorIs(t, err, ErrUnsafe)
	text, err := os.ReadFile(filepath.Join(other, "file"))
	require.NoError(t, err)
	require.Equal(t, "of the host", string(text))
}

// An overlay's files are of its mount, whichever layer has them, and the lower layer
// stays as it is.
func TestOverlay(t *testing.T) {
	top := memory(t)
	put(t, filepath.Join(top, "lower"), images()["debian-networkd"])
	put(t, top, map[string]string{"upper/": "", "work/": "", "merged/": ""})
	before := list(t, filepath.Join(top, "lower"), true)
	merged := filepath.Join(top, "merged")
	opts := "lowerdir=" + top + "/lower,upperdir=" + top + "/upper,workdir=" + top + "/work"
	require.NoError(t, unix.Mount("overlay", merged, "overlay", 0, opts))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(merged, unix.MNT_DETACH)) })
	tree := open(t, merged)
	rep, err := tree.Apply(t.Context(), firstBoot())
	require.NoError(t, err)
	require.Contains(t, rep.Changed, "/etc/shadow")
	again, err := tree.Apply(t.Context(), firstBoot())
	require.NoError(t, err)
	require.Empty(t, again.Changed)
	require.Equal(t, before, list(t, filepath.Join(top, "lower"), true))
	info, err := os.Lstat(filepath.Join(top, "upper/home/web/.ssh/authorized_keys"))
	require.NoError(t, err)
	require.Equal(t, base+1002, ownerOf(info).uid)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	dir := t.TempDir()
	put(t, dir, images()["debian-ifupdown"])
	tree := open(t, dir)
	before := count()
	_, err := tree.Apply(t.Context(), firstBoot())
	require.NoError(t, err)
	for _, name := range []string{"/none", "/none/x", "/etc/passwd/x", "/etc"} {
		_, _ = tree.ReadFile(name, 1)
		_, _ = tree.ReadDir(name)
		_, _ = tree.WriteFile(name, nil, Attr{})
	}
	require.Equal(t, before, count())
}

func BenchmarkApply(b *testing.B) {
	for name, noSync := range map[string]bool{"Sync": false, "NoSync": true} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				dir := b.TempDir()
				put(b, dir, images()["debian-networkd"])
				tree := open(b, dir)
				tree.NoSync = noSync
				b.StartTimer()
				_, err := tree.Apply(b.Context(), firstBoot())
				require.NoError(b, err)
			}
		})
	}
}
