//go:build linux

package roots

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What is edited shows in the mounted root, and belongs to the guest's root there.
func TestEdit(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			dir := storeOf(t, kind)
			makeImage(t, dir)
			r := guest(t, dir, kind)
			ctx := t.Context()
			edit := func(name string) error {
				return r.Edit(func(dir string, id uint32) error {
					file := filepath.Join(dir, name)
					if err := os.WriteFile(file, []byte("new"), 0o644); err != nil {
						return err
					}
					return os.Chown(file, int(id), int(id))
				})
			}
			require.NoError(t, r.Make(ctx, nil))
			require.ErrorIs(t, edit("early"), os.ErrNotExist, "not mounted")
			require.NoError(t, r.Mount(ctx))
			require.NoError(t, edit("first"))
			require.NoError(t, edit("second"))
			for _, name := range []string{"first", "second"} {
				var st unix.Stat_t
				require.NoError(t, unix.Lstat(filepath.Join(r.Path(), name), &st))
				require.Equal(t, r.Base, st.Uid)
			}
			m, err := mountAt(r.at("lower"))
			require.NoError(t, err)
			require.Nil(t, m)
			require.NoError(t, r.Unmount(ctx))
			require.NoError(t, r.Remove(ctx))
			requireNothing(t, r.Dir)
		})
	}
}
