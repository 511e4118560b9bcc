//go:build linux

package roots

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSnapshots(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			dir := storeOf(t, kind)
			makeImage(t, dir)
			r := guest(t, dir, kind)
			if kind != Overlay { // where we could not make files
				r.Base = 0
			}
			ctx := t.Context()
			require.NoError(t, r.Make(ctx, nil))
			require.NoError(t, r.Mount(ctx))
			in := func(name string) string { return filepath.Join(r.Path(), name) }
			require.NoError(t, os.WriteFile(in("etc/hostname"), []byte("first\n"), 0o644))
			require.NoError(t, os.RemoveAll(in("etc/app.d")))
			require.NoError(t, os.Mkdir(in("etc/app.d"), 0o755)) // opaque in an overlay
			require.NoError(t, os.Remove(in("big")))
			require.NoError(t, os.Rename(in("home"), in("house")))
			first := tree(t, r.Path(), shown(r))

			require.NoError(t, r.Snapshot(ctx, "one", "note", nil))
			require.ErrorIs(t, r.Snapshot(ctx, "one", "note", nil), os.ErrExist)
			for _, name := range []string{"", ".", "..", ".one", "a/b", "../x", "a\n", "-rf\x00"} {
				require.ErrorIs(t, r.Snapshot(ctx, name, "note", nil), ErrInvalid, name)
				require.ErrorIs(t, r.Restore(ctx, name, nil), ErrInvalid, name)
				require.ErrorIs(t, r.DeleteSnapshot(ctx, name), ErrInvalid, name)
			}
			require.NoError(t, os.WriteFile(in("etc/hostname"), []byte("second\n"), 0o644), "it is thawed")
			require.NoError(t, os.RemoveAll(in("house")))
			require.ErrorIs(t, r.Restore(ctx, "one", nil), ErrBusy)

			require.NoError(t, r.Unmount(ctx))
			require.NoError(t, r.Snapshot(ctx, "two.2", "note", nil), "not mounted")
			for range 2 {
				require.NoError(t, r.Restore(ctx, "one", nil))
				require.NoError(t, r.Mount(ctx))
				require.Equal(t, first, tree(t, r.Path(), shown(r)))
				require.NoError(t, os.WriteFile(in("etc/hostname"), []byte("third\n"), 0o644))
				require.NoError(t, r.Unmount(ctx))
			}
			require.NoError(t, r.Restore(ctx, "two.2", nil))
			require.NoError(t, r.Mount(ctx))
			text, err := os.ReadFile(in("etc/hostname"))
			require.NoError(t, err)
			require.Equal(t, "second\n", string(text))
			require.NoError(t, r.Unmount(ctx))

			require.NoError(t, os.Mkdir(r.snapshotDir(".half"), 0o700), "of a killed process")
			list, err := r.Snapshots()
			require.NoError(t, err)
			require.Len(t, list, 2)
			require.Equal(t, "one", list[0].Name)
			require.Equal(t, "note", list[0].Note)
			require.Equal(t, kind != Subvolume, list[0].Size > 0)
			require.WithinDuration(t, time.Now(), list[0].Made, time.Minute)
			require.NoError(t, r.DeleteSnapshot(ctx, "one"))
			require.NoError(t, r.DeleteSnapshot(ctx, "one"), "again")
			require.Equal(t, []string{"two.2"}, namesIn(t, r.at("snapshots")))
			require.ErrorIs(t, r.Restore(ctx, "one", nil), os.ErrNotExist)
			list, err = r.Snapshots()
			require.NoError(t, err)
			require.Len(t, list, 1)

			other := r
			other.Image = dir
			if kind == Overlay {
				require.ErrorIs(t, other.Restore(ctx, "two.2", nil), ErrInvalid, "of another image")
			}
		})
	}
}

// A process that is killed while it copies leaves the guest's file system frozen.
func TestFrozenIsThawed(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, ImageFile)
	r.Base = 0 // else we could not make files
	require.NoError(t, r.Make(t.Context(), nil))
	write := func() error { return os.WriteFile(filepath.Join(r.Path(), "x"), []byte("x"), 0o644) }
	for name, repair := range map[string]func() error{
		"mount":   func() error { return r.Mount(t.Context()) },
		"unmount": func() error { return r.Unmount(t.Context()) },
	} {
		require.NoError(t, r.Mount(t.Context()))
		_, err := r.freeze()
		require.NoError(t, err)
		require.NoError(t, repair(), name)
		require.NoError(t, r.Mount(t.Context()))
		require.NoError(t, write(), name)
	}
}
