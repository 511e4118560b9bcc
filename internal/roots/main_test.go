//go:build linux

package roots

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// inside marks a process that has a mount namespace of its own, and victim one
// that is to be killed while it makes the root it names.
const (
	inside = "ROOTS_TEST_INSIDE"
	victim = "ROOTS_TEST_VICTIM"
)

// The tests run in a mount namespace of their own: what they leave mounted goes
// with it.
func TestMain(m *testing.M) {
	flag.Parse()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if spec := os.Getenv(victim); spec != "" {
		beVictim(spec)
	}
	if fuzzing {
		os.Exit(m.Run())
	}
	if os.Getenv(inside) != "" {
		os.Exit(runOnDisk(m))
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests mount file systems: run them as root")
		os.Exit(1)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death signal comes with the end of the thread
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runOnDisk runs the tests on an ext4 in memory: what they wait for to be on the
// disk does not wait for that of others.
func runOnDisk(m *testing.M) int {
	dir, err := os.MkdirTemp("", "roots")
	if err == nil {
		defer os.Remove(dir)
		err = unix.Mount("none", dir, "tmpfs", 0, "size=4g")
	}
	if err == nil {
		out, err2 := exec.Command("sh", "-ec", "cd "+dir+"; truncate -s 3G disk; mkfs.ext4 -q -E lazy_itable_init=0 disk; mkdir at; mount -o loop disk at").CombinedOutput()
		err = err2
		if err2 != nil {
			err = fmt.Errorf("%w: %s", err2, out)
		}
	}
	if err == nil {
		err = os.Setenv("TMPDIR", filepath.Join(dir, "at"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	for _, at := range []string{filepath.Join(dir, "at"), dir} {
		if err := unix.Unmount(at, 0); err != nil {
			fmt.Fprintln(os.Stderr, "something is left:", at, err)
			_ = unix.Unmount(at, unix.MNT_DETACH)
			code = 1
		}
	}
	return code
}

const base = 1 << 20

// guest makes a guest's directory in dir, and a Root in it; at the end of the test
// it removes the root and looks for leftovers.
func guest(t *testing.T, dir string, kind Kind) Root {
	t.Helper()
	r := Root{Dir: filepath.Join(dir, "guest"), Kind: kind, Base: base, Image: filepath.Join(dir, "image")}
	if kind == ImageFile {
		r.Size, r.Inodes = 64<<20, 1000
	}
	require.NoError(t, os.MkdirAll(r.Dir, 0o711))
	before := descriptors(t)
	t.Cleanup(func() {
		require.NoError(t, r.Remove(context.Background()))
		requireNothing(t, r.Dir)
		require.LessOrEqual(t, descriptors(t), before, "open descriptors")
	})
	return r
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// requireNothing looks for files, mounts and loop devices of a guest.
func requireNothing(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	list, err := mounts()
	require.NoError(t, err)
	for _, m := range list {
		require.False(t, strings.HasPrefix(m.Point, dir+"/"), m.Point)
	}
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	require.NoError(t, err)
	for _, b := range backing {
		text, _ := os.ReadFile(b) // it may be another test's, and go just now
		require.NotContains(t, string(text), dir, b)
	}
}

// fileSystem makes a file system of a type in a file and mounts it.
func fileSystem(t *testing.T, kind string, size int64) string {
	t.Helper()
	dir := t.TempDir()
	file, at := filepath.Join(dir, "disk"), filepath.Join(dir, "at")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, size))
	command(t, "mkfs."+kind, "-q", file)
	require.NoError(t, os.Mkdir(at, 0o755))
	command(t, "mount", "-o", "loop", file, at)
	t.Cleanup(func() { command(t, "umount", at) })
	return at
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

// makeImage fills DIR/image with one of everything.
func makeImage(t testing.TB, dir string) {
	tree := filepath.Join(dir, "image")
	at := func(name string) string { return filepath.Join(tree, name) }
	require.NoError(t, MakeTree(tree))
	require.NoError(t, os.MkdirAll(at("home/user"), 0o755))
	require.NoError(t, os.Chown(at("home/user"), 1000, 1000))
	require.NoError(t, os.MkdirAll(at("etc/app.d"), 0o755))
	write := func(name, text string, mode os.FileMode) {
		require.NoError(t, os.WriteFile(at(name), []byte(text), 0o600))
		require.NoError(t, os.Chmod(at(name), mode))
	}
	write("etc/hostname", "image\n", 0o644)
	write("etc/app.d/conf", "of the image\n", 0o640)
	write("etc/line\nbreak", "n\n", 0o644)
	write("big", strings.Repeat("x", 300<<10), 0o644)
	require.NoError(t, os.Link(at("etc/hostname"), at("etc/hostname2")))
	require.NoError(t, os.Symlink("/etc/hostname", at("etc/link")))
	require.NoError(t, os.Lchown(at("etc/link"), 1000, 1000))
	require.NoError(t, unix.Setxattr(at("etc/hostname"), "user.note", []byte("kept"), 0))
	require.NoError(t, unix.Setxattr(at("etc/app.d/conf"), "user.long", bytes.Repeat([]byte("v"), 1500), 0))
	require.NoError(t, unix.Mkfifo(at("fifo"), 0o600))
	require.NoError(t, unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	for name, mode := range map[string]os.FileMode{"id": 0o755 | os.ModeSetuid, "cat": 0o755} {
		text, err := os.ReadFile("/usr/bin/" + name)
		require.NoError(t, err)
		write(name, string(text), mode)
	}
	// struct vfs_cap_data, revision 2, effective: CAP_NET_RAW is bit 13.
	require.NoError(t, unix.Setxattr(at("cat"), "security.capability", []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0))
	sparse, err := os.Create(at("sparse"))
	require.NoError(t, err)
	_, err = sparse.WriteAt([]byte("end"), 4<<20)
	require.NoError(t, err)
	require.NoError(t, sparse.Close())
}

// tree describes each entry below a directory, with ids moved down by shift.
func tree(t *testing.T, dir string, shift uint32) map[string]string {
	t.Helper()
	found := map[string]string{}
	first := map[uint64]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(path, &st))
		text := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid-shift, st.Gid-shift)
		switch kindOf(&st) {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			if len(content) > 20 {
				content = fmt.Appendf(nil, "%d bytes %x", len(content), crc32.ChecksumIEEE(content))
			}
			text += fmt.Sprintf(" %q %d", content, st.Mtim.Sec)
			if st.Nlink > 1 && first[st.Ino] != "" {
				text += " is " + first[st.Ino]
			}
			first[st.Ino] = name
			for _, x := range []string{"user.note", "user.long"} {
				value := make([]byte, 4096)
				if n, err := unix.Lgetxattr(path, x, value); err == nil {
					text += fmt.Sprintf(" %s=%d", x, n)
				}
			}
		case unix.S_IFLNK:
			to, err := os.Readlink(path)
			require.NoError(t, err)
			text += " to " + to
		case unix.S_IFCHR:
			text += fmt.Sprintf(" device %d", st.Rdev)
		}
		found[name] = text
		return nil
	}))
	return found
}

func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// as runs a command as a user of the guest, in a user namespace like its own.
func as(t *testing.T, r Root, uid uint32, args ...string) (string, error) {
	t.Helper()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(r.Base), Size: Range}}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = r.Path()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
