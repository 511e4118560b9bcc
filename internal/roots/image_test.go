//go:build linux

package roots

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fill writes files of 1 MiB, or empty ones, until it is told that there is no
// space, and says how many there are.
func fill(t *testing.T, dir string, size int) int {
	t.Helper()
	data := make([]byte, size)
	for n := 0; ; n++ {
		err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.%d", size, n)), data, 0o644)
		if err != nil {
			require.ErrorIs(t, err, unix.ENOSPC)
			return n
		}
	}
}

func TestImageLimits(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, ImageFile)
	r.Base = 0 // else we could not make files
	ctx := t.Context()
	require.NoError(t, r.Make(ctx, nil))
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(r.Store(), &st))
	require.Less(t, st.Blocks*512, int64(6<<20), "sparse")
	require.NoError(t, r.Mount(ctx))

	before, err := r.Usage(ctx)
	require.NoError(t, err)
	require.InDelta(t, 1000, before.InodesLimit, 30)
	require.InDelta(t, 64<<20, before.BytesLimit, 8<<20)
	require.InDelta(t, before.InodesLimit-before.Inodes, fill(t, r.Path(), 0), 1)
	require.NoError(t, os.Remove(filepath.Join(r.Path(), "0.0")))
	f, err := os.Create(filepath.Join(r.Path(), "more"))
	require.NoError(t, err)
	for data := make([]byte, 256<<10); err == nil; {
		_, err = f.Write(data)
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	full, err := r.Usage(ctx)
	require.NoError(t, err)
	require.InDelta(t, full.BytesLimit, full.Bytes, 4<<20) // ext4 keeps some for metadata

	// While the file is open for writing, as in a running guest. Not everybody who
	// is root may do it.
	if CanGrowMounted() {
		require.NoError(t, r.Grow(ctx, 200<<20))
		_, err = f.Write(make([]byte, 50<<20))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	} else {
		require.ErrorIs(t, r.Grow(ctx, 200<<20), os.ErrPermission)
		require.NoError(t, f.Close())
		require.NoError(t, r.Unmount(ctx))
		require.NoError(t, r.Grow(ctx, 200<<20))
		require.NoError(t, r.Mount(ctx))
	}
	require.NoError(t, os.WriteFile(filepath.Join(r.Path(), "50"), make([]byte, 50<<20), 0o644))
	grown, err := r.Usage(ctx)
	require.NoError(t, err)
	require.Greater(t, grown.BytesLimit, int64(180<<20))
	require.Greater(t, grown.InodesLimit, before.InodesLimit)

	require.ErrorIs(t, r.Grow(ctx, 100<<20), ErrInvalid)
	require.NoError(t, r.Unmount(ctx))
	require.NoError(t, r.Grow(ctx, 200<<20), "again")
	require.NoError(t, r.Grow(ctx, 300<<20), "of a guest that is off")
	r.Size = 300 << 20
	whole, err := r.Grown()
	require.NoError(t, err)
	require.True(t, whole)
	r.Size = 400 << 20
	require.NoError(t, os.Truncate(r.Store(), r.Size)) // as one that was killed leaves it
	whole, err = r.Grown()
	require.NoError(t, err)
	require.False(t, whole)
	require.NoError(t, r.Grow(ctx, r.Size))
	whole, err = r.Grown()
	require.NoError(t, err)
	require.True(t, whole)
	mounted, err := r.Mounted()
	require.NoError(t, err)
	require.False(t, mounted)
	command(t, "e2fsck", "-f", "-n", r.Store())
	r.Kind, r.Size, r.Inodes = Copy, 0, 0
	require.ErrorIs(t, r.Grow(ctx, 300<<20), errors.ErrUnsupported)
}

func TestImageTooSmall(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	for _, size := range []int64{0, 100 << 20} {
		require.NoError(t, os.Truncate(filepath.Join(dir, "image/big"), size))
		r := guest(t, dir, ImageFile)
		r.Size, r.Inodes = MinSize, 12
		if size > 0 {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "image/big"), make([]byte, 20<<20), 0o644))
			r.Inodes = 0
		}
		err := r.Make(t.Context(), nil)
		require.ErrorIs(t, err, unix.ENOSPC)
		require.ErrorContains(t, err, "does not fit")
		requireNothing(t, r.Dir)
	}
}

func TestImageMkfsFails(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, ImageFile)
	r.Inodes = 1 << 30
	require.ErrorContains(t, r.Make(t.Context(), nil), "mkfs.ext4")
	requireNothing(t, r.Dir)
}

// While another mount namespace still has the file system, a second mount is of
// the same loop device: two devices over one file would destroy it.
func TestImageInOtherNamespace(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, ImageFile)
	require.NoError(t, r.Make(t.Context(), nil))
	require.NoError(t, r.Mount(t.Context()))
	first, err := mountAt(r.Path())
	require.NoError(t, err)

	other := exec.Command("cat")
	in, err := other.StdinPipe()
	require.NoError(t, err)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	other.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	require.NoError(t, other.Start())
	_, err = in.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(out, make([]byte, 1))
	require.NoError(t, err)

	require.NoError(t, r.Unmount(t.Context()))
	require.ErrorIs(t, r.Grow(t.Context(), 100<<20), ErrBusy)
	require.ErrorIs(t, r.Restore(t.Context(), "s", nil), ErrBusy)
	require.NoError(t, r.Mount(t.Context()))
	second, err := mountAt(r.Path())
	require.NoError(t, err)
	require.Equal(t, first.Source, second.Source)
	require.NoError(t, r.Unmount(t.Context()))
	require.NoError(t, in.Close())
	require.NoError(t, other.Wait())
}
