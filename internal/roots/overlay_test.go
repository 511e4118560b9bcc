//go:build linux

package roots

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// In a guest all is as on a disk of its own, and the image stays as it is.
func TestOverlayGuest(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711)) // the guest's users reach it
	makeImage(t, dir)
	r := guest(t, dir, Overlay)
	require.NoError(t, r.Make(t.Context(), nil))
	require.NoError(t, r.Mount(t.Context()))

	out, err := as(t, r, 0, "/bin/sh", "-c", "echo guest >etc/hostname && mv etc/app.d etc/app2.d && cat etc/app2.d/conf && rm big && chown 5:6 fifo && mkdir new")
	require.NoError(t, err, out)
	require.Equal(t, "of the image", out)
	upper := tree(t, r.at("upper"), r.Base)
	require.Contains(t, keys(upper), "new")
	require.Regexp(t, `^100644 0:0 "guest\\n"`, upper["etc/hostname"])
	require.Regexp(t, `^10600 5:6`, upper["fifo"])
	image := tree(t, r.Image, 0)
	require.Contains(t, image["etc/hostname"], `"image\n"`)
	require.Contains(t, keys(image), "big")

	out, err = as(t, r, 1000, "/bin/sh", "-c", "echo mine >home/user/x && stat -c %u:%g home/user/x etc/hostname && echo no >etc/hostname")
	require.Error(t, err, "somebody else's file")
	require.Regexp(t, `^1000:1000\n0:0\n.*Permission denied`, out)

	// A set-id program of the image works, and so do capabilities.
	out, err = as(t, r, 1000, "./id", "-u")
	require.NoError(t, err, out)
	require.Equal(t, "0", out)
	out, err = as(t, r, 1000, "./cat", "/proc/self/status")
	require.NoError(t, err, out)
	require.Regexp(t, `CapEff:\s+0000000000002000`, out)
}

func TestOverlayPrivileged(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, Overlay)
	r.Base = 0
	require.NoError(t, r.Make(t.Context(), nil))
	require.NoError(t, r.Mount(t.Context()))
	require.Equal(t, tree(t, r.Image, 0), tree(t, r.Path(), 0))
	require.NoError(t, r.Remove(t.Context()))
}

// A process that was killed while it mounted leaves the image's tree at lower.
func TestOverlayLeftLower(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, Overlay)
	require.NoError(t, r.Make(t.Context(), nil))
	require.NoError(t, r.hangLower())
	require.NoError(t, r.Mount(t.Context()), "is no hindrance")
	m, err := mountAt(r.at("lower"))
	require.NoError(t, err)
	require.Nil(t, m)
	require.NoError(t, r.hangLower())
	require.NoError(t, r.Remove(t.Context()))
	requireNothing(t, r.Dir)
}

// Many guests mount at once: loop devices are taken by several processes.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "image"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "image/file"), []byte("x"), 0o644))
	var wait sync.WaitGroup
	for i := range 8 {
		r := Root{Dir: filepath.Join(dir, strconv.Itoa(i)), Kind: ImageFile, Base: base, Image: filepath.Join(dir, "image"), Size: MinSize}
		if i%2 == 0 {
			r.Kind, r.Size = Overlay, 0
		}
		require.NoError(t, os.Mkdir(r.Dir, 0o700))
		wait.Go(func() {
			for _, f := range []func() error{
				func() error { return r.Make(t.Context(), nil) },
				func() error { return r.Mount(t.Context()) },
				func() error { return unix.Access(r.Path()+"/file", unix.F_OK) },
				func() error { return r.Remove(t.Context()) },
			} {
				if err := f(); err != nil {
					t.Error(r.Kind, err)
				}
			}
			requireNothing(t, r.Dir)
		})
	}
	wait.Wait()
}

// BenchmarkOverlay makes, mounts and removes a root on an image of 10,000 files.
func BenchmarkOverlay(b *testing.B) {
	dir := b.TempDir()
	for i := range 100 {
		sub := filepath.Join(dir, "image", strconv.Itoa(i))
		require.NoError(b, os.MkdirAll(sub, 0o755))
		for n := range 100 {
			require.NoError(b, os.WriteFile(filepath.Join(sub, strconv.Itoa(n)), []byte("some text"), 0o644))
		}
	}
	r := Root{Dir: filepath.Join(dir, "guest"), Kind: Overlay, Base: base, Image: filepath.Join(dir, "image")}
	require.NoError(b, os.Mkdir(r.Dir, 0o700))
	for b.Loop() {
		require.NoError(b, r.Make(b.Context(), nil))
		require.NoError(b, r.Mount(b.Context()))
		b.StopTimer()
		require.NoError(b, unix.Access(filepath.Join(r.Path(), "99/99"), unix.F_OK))
		require.NoError(b, r.Remove(b.Context()))
		b.StartTimer()
	}
}
