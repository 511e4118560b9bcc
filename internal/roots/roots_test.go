//go:build linux

package roots

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/mountinfo"
)

// storeOf is a directory on a file system on which roots of the kind can be.
func storeOf(t *testing.T, kind Kind) string {
	if kind == Subvolume {
		return fileSystem(t, "btrfs", 256<<20)
	}
	return t.TempDir()
}

var kinds = []Kind{Overlay, ImageFile, Copy, Subvolume}

// shown is by how much the ids in the mounted root are moved.
func shown(r Root) uint32 { return r.Base }

func TestLife(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			dir := storeOf(t, kind)
			makeImage(t, dir)
			r := guest(t, dir, kind)
			ctx := t.Context()
			want := tree(t, r.Image, 0)

			require.ErrorIs(t, r.Mount(ctx), os.ErrNotExist, "never made")
			var entries, bytes int64
			require.NoError(t, r.Make(ctx, func(e, b int64) { entries, bytes = e, b }))
			if kind == ImageFile || kind == Copy {
				require.Equal(t, int64(len(want)-1), entries)
				require.Greater(t, bytes, int64(300<<10))
				require.Less(t, bytes, int64(2<<20), "holes are not copied")
			}
			require.ErrorIs(t, r.Make(ctx, nil), os.ErrExist)
			mounted, err := r.Mounted()
			require.NoError(t, err)
			require.False(t, mounted)
			require.NoError(t, r.Mount(ctx))
			require.NoError(t, r.Mount(ctx), "mounted already")
			mounted, err = r.Mounted()
			require.NoError(t, err)
			require.True(t, mounted)
			require.Empty(t, cmp.Diff(want, tree(t, r.Path(), shown(r))))

			// A device of the image opens nothing.
			_, err = os.Open(filepath.Join(r.Path(), "null"))
			require.ErrorIs(t, err, unix.EACCES)
			var st unix.Stat_t
			require.NoError(t, unix.Stat(filepath.Join(r.Path(), "sparse"), &st))
			require.Less(t, st.Blocks*512, int64(1<<20), "a hole")

			usage, err := r.Usage(ctx)
			require.NoError(t, err)
			require.Equal(t, kind == ImageFile, usage.BytesLimit > 0 && usage.InodesLimit > 0)
			if kind != Overlay {
				require.Greater(t, usage.Bytes, int64(300<<10))
				require.Less(t, usage.Bytes, int64(20<<20))
				require.GreaterOrEqual(t, usage.Inodes, uint64(len(want)-1)) // hostname2 is a link
			}
			require.NoError(t, r.Unmount(ctx))
			require.NoError(t, r.Unmount(ctx), "not mounted")
			usage, err = r.Usage(ctx)
			require.NoError(t, err)
			require.Positive(t, usage.Bytes)

			// What was written is there after the host's reboot.
			require.NoError(t, r.Mount(ctx))
			require.NoError(t, os.WriteFile(filepath.Join(r.Path(), "etc/hostname"), []byte("guest\n"), 0o644))
			require.NoError(t, r.Unmount(ctx))
			require.NoError(t, r.Mount(ctx))
			text, err := os.ReadFile(filepath.Join(r.Path(), "etc/hostname"))
			require.NoError(t, err)
			require.Equal(t, "guest\n", string(text))
			require.NoError(t, r.Remove(ctx))
			require.NoError(t, r.Remove(ctx), "again")
			requireNothing(t, r.Dir)
			require.Empty(t, cmp.Diff(want, tree(t, r.Image, 0)), "the image")
		})
	}
}

func TestCheck(t *testing.T) {
	good := Root{Dir: "/var/lib/lxc/a", Kind: Overlay, Base: 1 << 20, Image: "/var/lib/lxc/.provision/images/x/tree"}
	require.NoError(t, good.check())
	bad := map[string]func(*Root){
		"kind":          func(r *Root) { r.Kind = "zfs" },
		"relative":      func(r *Root) { r.Dir = "var" },
		"unclean":       func(r *Root) { r.Dir = "/var/lib/../x" },
		"option":        func(r *Root) { r.Image = "/a,upperdir=/etc" },
		"layers":        func(r *Root) { r.Image = "/a:/etc" },
		"newline":       func(r *Root) { r.Dir = "/a\n/b" },
		"last newline":  func(r *Root) { r.Dir = "/a\n" },
		"shell":         func(r *Root) { r.Dir = "/a;reboot" },
		"space":         func(r *Root) { r.Dir = "/a b" },
		"root":          func(r *Root) { r.Dir = "/" },
		"no image":      func(r *Root) { r.Image = "" },
		"host's ids":    func(r *Root) { r.Base = 1000 },
		"past the ids":  func(r *Root) { r.Base = 1<<32 - 10 },
		"size of other": func(r *Root) { r.Size = 1 << 30 },
		"no size":       func(r *Root) { r.Kind = ImageFile },
		"small":         func(r *Root) { r.Kind = ImageFile; r.Size = 1 << 20 },
		"huge":          func(r *Root) { r.Kind = ImageFile; r.Size = 1 << 60 },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			r := good
			change(&r)
			err := r.Make(t.Context(), nil)
			require.True(t, errors.Is(err, ErrInvalid) || errors.Is(err, errors.ErrUnsupported), "%v", err)
			for _, err := range []error{r.Mount(t.Context()), r.Unmount(t.Context()), r.Remove(t.Context()), r.Snapshot(t.Context(), "s", "note", nil)} {
				require.Error(t, err)
			}
			_, err = r.Script()
			require.Error(t, err)
		})
	}
}

// What somebody else mounted at our place is neither used nor called ours.
func TestForeign(t *testing.T) {
	for _, kind := range []Kind{Overlay, ImageFile, Copy} {
		t.Run(string(kind), func(t *testing.T) {
			dir := t.TempDir()
			makeImage(t, dir)
			r := guest(t, dir, kind)
			require.NoError(t, r.Make(t.Context(), nil))
			require.NoError(t, unix.Mount("none", r.Path(), "tmpfs", 0, "size=64k"))
			_, err := r.Mounted()
			require.ErrorIs(t, err, ErrForeign)
			require.ErrorIs(t, r.Mount(t.Context()), ErrForeign)
			require.ErrorIs(t, r.Restore(t.Context(), "s", nil), ErrBusy)
			require.NoError(t, r.Unmount(t.Context()))

			// Ours, but with device nodes that work.
			require.NoError(t, r.Mount(t.Context()))
			require.NoError(t, unix.Mount("", r.Path(), "", unix.MS_REMOUNT|unix.MS_BIND, ""))
			require.ErrorIs(t, r.Mount(t.Context()), ErrForeign)
		})
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, ImageFile)
	require.NoError(t, r.Make(t.Context(), nil))
	require.NoError(t, r.Mount(t.Context()))
	f, err := os.Open(filepath.Join(r.Path(), "big"))
	require.NoError(t, err)
	require.ErrorIs(t, r.Remove(t.Context()), ErrBusy)
	_, err = os.Stat(r.Store())
	require.NoError(t, err, "nothing is removed")
	require.NoError(t, f.Close())
}

func TestProbe(t *testing.T) {
	ext4, err := Probe(t.TempDir())
	require.NoError(t, err)
	require.Equal(t, "ext4", ext4.FileSystem)
	require.False(t, ext4.Reflink)
	require.ErrorContains(t, ext4.ProjectQuota, "prjquota")
	xfs, err := Probe(fileSystem(t, "xfs", 300<<20))
	require.NoError(t, err)
	require.True(t, xfs.Reflink)
	require.False(t, xfs.Subvolumes)
	require.ErrorIs(t, xfs.ProjectQuota, errors.ErrUnsupported)
	btrfs, err := Probe(fileSystem(t, "btrfs", 128<<20))
	require.NoError(t, err)
	require.True(t, btrfs.Reflink)
	require.True(t, btrfs.Subvolumes)
	require.ErrorContains(t, btrfs.ProjectQuota, "btrfs")
	_, err = Probe("/nowhere")
	require.ErrorIs(t, err, os.ErrNotExist)

	on := mountinfo.Mount{Type: "ext4", Super: []string{"rw", "prjquota"}}
	require.NoError(t, projectQuota(&on))
}
