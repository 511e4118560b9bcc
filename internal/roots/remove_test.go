//go:build linux

package roots

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// deep makes directories in each other, and returns to where it was.
func deep(t *testing.T, dir string, levels int) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	for range levels {
		require.NoError(t, unix.Mkdirat(fd, "d", 0o755))
		next, err := unix.Openat(fd, "d", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(fd))
		fd = next
	}
	file, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	require.NoError(t, unix.Close(file))
	require.NoError(t, unix.Close(fd))
}

// What a tenant leaves must not stop Remove, nor make it remove anything else.
func TestRemoveHostile(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	outside := filepath.Join(dir, "outside")
	require.NoError(t, os.WriteFile(outside, []byte("kept"), 0o600))
	r := guest(t, dir, Copy)
	r.Base = 0
	require.NoError(t, r.Make(t.Context(), nil))
	at := func(name string) string { return filepath.Join(r.Store(), name) }
	deep(t, r.Store(), 10_000)
	for i := range 100 {
		require.NoError(t, os.Mkdir(at(fmt.Sprintf(".deep.%d", i)), 0)) // names that moveUp wants
	}
	require.NoError(t, os.Symlink(dir, at("link")))
	require.NoError(t, os.Symlink(outside, at("..link")))
	for _, name := range []string{"new\nline", "-rf", "\xff\xfe", " ", "*"} {
		require.NoError(t, os.WriteFile(at(name), nil, 0))
	}
	require.NoError(t, os.MkdirAll(at("locked/in/side"), 0o755))
	require.NoError(t, os.WriteFile(at("locked/file"), nil, 0o600))
	command(t, "chattr", "+i", at("locked/file"), at("locked/in/side"))
	command(t, "chattr", "+a", at("locked/in"), at("big"))
	command(t, "chattr", "+i", at("locked"))
	require.NoError(t, r.Remove(t.Context()))
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "kept", string(text))
	requireNothing(t, r.Dir)
}

func TestRemoveStopsAtMounts(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, Copy)
	require.NoError(t, r.Make(t.Context(), nil))
	inside := filepath.Join(r.Store(), "etc")
	outside := filepath.Join(dir, "outside")
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "precious"), 0o755))
	require.NoError(t, unix.Mount(outside, inside, "", unix.MS_BIND, ""))
	require.ErrorIs(t, r.Remove(t.Context()), ErrBusy)
	require.NoError(t, unix.Unmount(inside, 0))
	require.DirExists(t, filepath.Join(outside, "precious"))
}

// Tenants can make subvolumes, and make them read-only.
func TestRemoveSubvolumes(t *testing.T) {
	dir := fileSystem(t, "btrfs", 256<<20)
	makeImage(t, dir)
	r := guest(t, dir, Subvolume)
	require.NoError(t, r.Make(t.Context(), nil))
	at := filepath.Join(r.Store(), "etc")
	for range 70 { // below removeDepth, where no rename leaves a subvolume
		at = filepath.Join(at, "s")
		require.NoError(t, MakeTree(at))
		require.NoError(t, os.WriteFile(filepath.Join(at, "file"), nil, 0o600))

	}
	command(t, "btrfs", "property", "set", at, "ro", "true")
	require.NoError(t, r.Remove(t.Context()))
	requireNothing(t, r.Dir)
	require.NoError(t, RemoveTree(t.Context(), filepath.Join(dir, "image")))
	require.NoError(t, RemoveTree(t.Context(), filepath.Join(dir, "image")), "again")
}

func TestCopyRefuses(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	require.NoError(t, os.Mkdir(src, 0o755))
	require.NoError(t, os.Mkdir(dst, 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, os.WriteFile(filepath.Join(src, "file"), []byte("x"), 0o600))
	require.NoError(t, CopyTree(ctx, src, dst, nil))
	require.ErrorIs(t, CopyTree(ctx, src, dst, nil), os.ErrExist)
	cancel()
	require.ErrorIs(t, CopyTree(ctx, src, dst, nil), context.Canceled)
	require.ErrorIs(t, RemoveTree(ctx, src), context.Canceled)

	deep(t, src, copyDepth+2)
	require.NoError(t, os.Remove(filepath.Join(dst, "file")))
	require.ErrorIs(t, CopyTree(t.Context(), src, dst, nil), ErrInvalid)
	require.NoError(t, RemoveTree(t.Context(), src))
	require.NoError(t, RemoveTree(t.Context(), dst))

	require.NoError(t, os.MkdirAll(filepath.Join(src, "proc"), 0o755))
	require.NoError(t, os.Mkdir(dst, 0o755))
	require.NoError(t, unix.Mount("none", filepath.Join(src, "proc"), "tmpfs", 0, "size=64k"))
	require.ErrorIs(t, CopyTree(t.Context(), src, dst, nil), ErrBusy)
	require.NoError(t, unix.Unmount(filepath.Join(src, "proc"), 0))
}
