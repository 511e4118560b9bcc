package unpack_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/unpack"
)

// netRaw3 is the same capability as of version 3, for a namespace whose root is
// user 100000: kept as it is.
const netRaw3 = "\x01\x00\x00\x03\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xa0\x86\x01\x00"

// acl is an access list in the kernel's form, see posix_acl_xattr.h: owner, user
// 1000, group, mask and others.
func acl() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 7, 1<<32 - 1}, {2, 5, 1000}, {4, 5, 1<<32 - 1}, {0x10, 5, 1<<32 - 1}, {0x20, 0, 1<<32 - 1}} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return b
}

// realTree has one of everything that is kept. What the formats of GNU tar
// cannot hold is left out unless all is set.
func realTree(t *testing.T, all bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "real")
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"", "bin", "etc/empty", "usr/lib", "var/log/journal", "tmp", "home/u"} {
		require.NoError(t, os.MkdirAll(path(name), 0o755))
	}
	program, err := os.ReadFile("/bin/true")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path("bin/busybox"), program, 0o755))
	for _, name := range []string{"sh", "ls", "cat"} {
		require.NoError(t, os.Link(path("bin/busybox"), path("bin/"+name)))
	}
	for name, content := range map[string]string{"bin/su": "su", "bin/ping": "ping", "bin/ping3": "", "home/u/f": "mine", "etc/passwd": "root:x:0:0::/:/bin/sh\n",
		"etc/" + strings.Repeat("long", 60): "x", "etc/line\nbreak": "x", "etc/\xff": "x"} {
		require.NoError(t, os.WriteFile(path(name), []byte(content), 0o640))
	}
	require.NoError(t, os.Symlink("/proc/self/mounts", path("etc/mtab")))
	require.NoError(t, os.Symlink("usr/lib", path("lib")))
	require.NoError(t, os.Symlink(strings.Repeat("../", 80), path("up")))
	require.NoError(t, unix.Mkfifo(path("var/initctl"), 0o600))

	sparse, err := os.Create(path("var/lastlog"))
	require.NoError(t, err)
	_, err = sparse.WriteAt([]byte("middle"), 1<<20+5)
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(3<<20))
	require.NoError(t, sparse.Close())

	require.NoError(t, os.Chown(path("home/u/f"), 65533, 12345))
	require.NoError(t, os.Lchown(path("lib"), 33, 44))
	require.NoError(t, os.Chown(path("bin/su"), 0, 42))
	require.NoError(t, unix.Chmod(path("bin/su"), 0o6751))
	require.NoError(t, unix.Chmod(path("tmp"), 0o1777))
	require.NoError(t, unix.Chmod(path("home/u"), 0o2700))
	require.NoError(t, unix.Chmod(path("etc/empty"), 0))
	if all {
		require.NoError(t, unix.Setxattr(path("bin/ping"), "security.capability", []byte(netRaw), 0))
		require.NoError(t, unix.Setxattr(path("bin/ping3"), "security.capability", []byte(netRaw3), 0))
		require.NoError(t, unix.Setxattr(path("home/u/f"), "user.note", []byte("a\x00b\n="), 0))
		require.NoError(t, unix.Setxattr(path("home/u"), "user.empty", nil, 0))
		require.NoError(t, unix.Setxattr(path("var/log/journal"), "system.posix_acl_access", acl(), 0))
		require.NoError(t, unix.Setxattr(path("var/log/journal"), "system.posix_acl_default", acl(), 0))
		require.NoError(t, os.Mkdir(path("var/log/journal/none"), 0o700))
		require.NoError(t, unix.Removexattr(path("var/log/journal/none"), "system.posix_acl_access"))
		require.NoError(t, unix.Removexattr(path("var/log/journal/none"), "system.posix_acl_default"))
	}
	stamp(t, dir, all)
	return dir
}

// stamp gives each name a time of its own, those of directories last.
func stamp(t *testing.T, dir string, nanoseconds bool) {
	t.Helper()
	at := day.Truncate(time.Second)
	if nanoseconds {
		at = day
	}
	for name := range describe(t, dir) {
		at = at.Add(time.Hour)
		ts := unix.NsecToTimespec(at.UnixNano())
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, name), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

func blocksOf(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return st.Blocks
}

// What GNU tar packs is what we unpack, whatever its format and compression.
func TestRoundTrip(t *testing.T) {
	posix := []string{"--format=posix", "--xattrs", "--xattrs-include=*", "--pax-option=delete=atime,delete=ctime"}
	for _, c := range []struct {
		name     string
		all      bool
		format   unpack.Format
		compress []string
		argv     []string
	}{
		{"posix", true, unpack.Tar, nil, posix},
		{"posix, sparse 0.0, gzip", true, unpack.TarGzip, []string{"gzip", "-1"}, append([]string{"-S", "--sparse-version=0.0"}, posix...)},
		{"posix, sparse 0.1, xz", true, unpack.TarXz, []string{"xz", "-0", "-T2"}, append([]string{"-S", "--sparse-version=0.1"}, posix...)},
		{"posix, sparse 1.0, zstd", true, unpack.TarZstd, []string{"zstd", "-q", "-1"}, append([]string{"-S", "--sparse-version=1.0"}, posix...)},
		{"gnu, sparse", false, unpack.Tar, nil, []string{"--format=gnu", "-S"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := realTree(t, c.all)
			packed, err := exec.CommandContext(t.Context(), "tar", append([]string{"-C", dir, "--numeric-owner", "-cf", "-"}, append(c.argv, ".")...)...).Output()
			require.NoError(t, err)
			if c.compress != nil {
				packed = piped(t, packed, c.compress...)
			}
			b := newBox(t)
			report, err := unpack.Archive(t.Context(), b.tree, bytes.NewReader(packed), c.format, unpack.Options{})
			require.NoError(t, err)
			requireSame(t, dir, b.tree, report)
			b.requireUntouched(t)
		})
	}
}

func requireSame(t *testing.T, dir, tree string, report unpack.Report) {
	t.Helper()
	want := describe(t, dir)
	require.Empty(t, cmp.Diff(want, describe(t, tree)))
	require.LessOrEqual(t, blocksOf(t, tree+"/var/lastlog"), int64(64))
	require.Len(t, want, report.Entries)
	require.Empty(t, report.Skipped)
	require.Equal(t, 3, report.Hardlinks)
	require.Equal(t, 3, report.Symlinks)
	require.EqualValues(t, 65533, report.HighestID)
	require.Greater(t, report.Bytes, int64(3<<20))
	var disk int64
	for name := range want {
		if base := filepath.Base(name); base != "sh" && base != "ls" && base != "cat" {
			disk += lblocks(t, filepath.Join(tree, name)) * 512
		}
	}
	require.InDelta(t, disk, report.DiskBytes, 64<<10)
}

// lblocks leaves out what the report does: links that need a block.
func lblocks(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	return st.Blocks
}

func TestDestination(t *testing.T) {
	b := newBox(t)
	data := twoFiles(t)
	for path, want := range map[string]error{
		filepath.Join(b.dir, "outside"):        unpack.ErrNotEmpty,
		filepath.Join(b.dir, "outside/passwd"): unix.ENOTDIR,
		filepath.Join(b.dir, "outside/link"):   unix.ENOTDIR,
		filepath.Join(b.dir, "none"):           unix.ENOENT,
	} {
		_, err := unpack.Archive(t.Context(), path, bytes.NewReader(data), unpack.Tar, unpack.Options{})
		require.ErrorIs(t, err, want, path)
	}
	b.requireUntouched(t)

	// A default access list of the host's directory does not get into images.
	require.NoError(t, unix.Setxattr(b.tree, "system.posix_acl_default", acl(), 0))
	_, err := unpack.Archive(t.Context(), b.tree, bytes.NewReader(data), unpack.Tar, unpack.Options{})
	require.NoError(t, err)
	for name, line := range describe(t, b.tree) {
		require.NotContains(t, line, "posix_acl", name)
	}
	require.Contains(t, describeOne(t, b.tree), "40755 0:0 ")
}

func TestNotRoot(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*maker)
		want  string
	}{
		{"empty", func(*maker) {}, "at its top is nothing"},
		{"one directory", func(m *maker) { m.file("rootfs/bin/sh", "") }, `at its top is ["rootfs/"]; pack it from inside that directory (tar -C "rootfs" .)`},
		{"image of Incus", func(m *maker) { m.file("rootfs/bin/sh", ""); m.file("metadata.yaml", "") }, `at its top is ["metadata.yaml" "rootfs/"]`},
		{"many", func(m *maker) {
			for i := range 20 {
				m.file(string(rune('a'+i)), "")
			}
		}, "and more"},
		{"a directory for a shell", func(m *maker) { m.dir("bin/sh") }, `["bin/"]`},
		{"a link for bin", func(m *maker) { m.symlink("bin", "/bin") }, `["bin"]`},
	} {
		b := newBox(t)
		_, err := unpack.Archive(t.Context(), b.tree, bytes.NewReader(archiveOf(t, func(m *maker) { c.build(m); m.end() })), unpack.Tar, unpack.Options{})
		require.ErrorIs(t, err, unpack.ErrNotRoot, c.name)
		require.ErrorContains(t, err, c.want)
		var not *unpack.NotRootError
		require.ErrorAs(t, err, &not)
		require.LessOrEqual(t, len(not.Top), 10)
	}
	for _, build := range []func(*maker){
		func(m *maker) { m.symlink("bin", "usr/bin"); m.file("usr/bin/sh", "") },
		func(m *maker) { m.symlink("sbin/init", "/lib/systemd/systemd") },
		func(m *maker) { m.file("init", "") },
	} {
		_, err := unpack.Archive(t.Context(), newBox(t).tree, bytes.NewReader(archiveOf(t, func(m *maker) { build(m); m.end() })), unpack.Tar, unpack.Options{})
		require.NoError(t, err)
	}
}

// What was unpacked runs.
func TestBusybox(t *testing.T) {
	t.Parallel()
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	data := archiveOf(t, func(m *maker) {
		m.add(tar.Header{Typeflag: tar.TypeReg, Name: "./bin/busybox", Mode: 0o755}, string(busybox))
		m.symlink("./bin/sh", "/bin/busybox")
		m.link("./bin/cat", "./bin/busybox")
		m.file("./etc/motd", "hello\n")
		m.end()
	})
	b := newBox(t)
	_, err = unpack.Archive(t.Context(), b.tree, bytes.NewReader(piped(t, data, "zstd", "-q", "-1")), unpack.TarZstd, unpack.Options{})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "cat /etc/motd; id -u")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: b.tree}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/bin"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "hello\n0\n", string(out))
}

// Holes at the start, in the middle and at the end, on and off the borders of
// blocks, come out as the bytes that went in.
func TestHoles(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		var want []byte
		for range random.IntN(6) {
			part := make([]byte, random.IntN(3)*4096+random.IntN(2)*random.IntN(300000))
			if random.IntN(2) == 0 {
				for i := range part {
					part[i] = byte(random.Uint32())
				}
			}
			want = append(want, part...)
		}
		b := newBox(t)
		data := archiveOf(t, func(m *maker) { m.file("f", string(want)); m.end() })
		_, err := unpack.Archive(t.Context(), b.tree, bytes.NewReader(data), unpack.Tar, unpack.Options{AnyTree: true})
		require.NoError(t, err)
		have, err := os.ReadFile(b.tree + "/f")
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, have))
	}
}
