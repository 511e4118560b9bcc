//go:build linux

package roots

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/mountinfo"
)

// sh runs the script as liblxc runs a hook: by the shell, with its own variables.
func sh(t *testing.T, before, script string) (string, error) {
	t.Helper()
	hook := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\n"+before+script), 0o700))
	cmd := exec.Command(hook)
	cmd.Dir = "/"
	cmd.Env = []string{"LXC_NAME=x", "LXC_HOOK_TYPE=pre-start"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// forbid makes functions of sh that stand for commands and fail.
func forbid(names ...string) (text string) {
	for _, name := range names {
		text += name + "() { echo " + name + " was called; exit 9; }\n"
	}
	return text
}

// The script mounts what Mount mounts.
func TestScript(t *testing.T) {
	const privileged = "privileged "
	for _, kind := range append(slices.Clone(kinds), privileged+Overlay, privileged+ImageFile, privileged+Copy) {
		t.Run(string(kind), func(t *testing.T) {
			dir := storeOf(t, kind)
			makeImage(t, dir)
			store, zero := strings.CutPrefix(string(kind), privileged)
			r := guest(t, dir, Kind(store))
			if zero {
				r.Base = 0
			}
			ctx := t.Context()
			script, err := r.Script()
			require.NoError(t, err)
			out, err := sh(t, "", script)
			require.Error(t, err, "never made")
			require.Contains(t, out, filepath.Base(r.Store())+" is missing")

			require.NoError(t, r.Make(ctx, nil))
			require.NoError(t, r.Mount(ctx))
			require.NoError(t, r.Unmount(ctx)) // the first mount of an overlay gives it a UUID, and says so
			require.NoError(t, r.Mount(ctx))
			mounted, err := mountAt(r.Path())
			require.NoError(t, err)
			want := tree(t, r.Path(), 0)
			require.NoError(t, r.Unmount(ctx))

			out, err = sh(t, "", script)
			require.NoError(t, err, out)
			require.Empty(t, out)
			ours, err := r.Mounted()
			require.NoError(t, err)
			require.True(t, ours)
			scripted, err := mountAt(r.Path())
			require.NoError(t, err)
			if r.Kind == ImageFile {
				scripted.Source = mounted.Source // the number of a loop device
			}
			require.Empty(t, cmp.Diff(mounted, scripted, cmpopts.IgnoreFields(mountinfo.Mount{}, "ID")))
			require.Empty(t, cmp.Diff(want, tree(t, r.Path(), 0)))
			lower, err := mountAt(r.at("lower"))
			require.NoError(t, err)
			require.Nil(t, lower)

			// Mounted already: no process.
			none := forbid("mount", "umount", "perl", "losetup")
			out, err = sh(t, none+forbid("mountpoint"), script)
			require.NoError(t, err, out)

			// A tenant can remove all, and no second mount comes of it.
			for _, name := range namesIn(t, r.Path()) {
				require.NoError(t, os.RemoveAll(filepath.Join(r.Path(), name)))
			}
			out, err = sh(t, none, script)
			require.NoError(t, err, out)
		})
	}
}

func TestScriptFails(t *testing.T) {
	dir := t.TempDir()
	makeImage(t, dir)
	r := guest(t, dir, Overlay)
	require.NoError(t, r.Make(t.Context(), nil))
	r.Image = "/nowhere"
	script, err := r.Script()
	require.NoError(t, err)
	out, err := sh(t, "", script)
	require.Error(t, err)
	require.Equal(t, "open_tree /nowhere: No such file or directory\ncannot mount "+r.Path()+": see above", out)

	r.Image = filepath.Join(dir, "image")
	require.NoError(t, os.Remove(r.at("work")))
	script, err = r.Script()
	require.NoError(t, err)
	out, err = sh(t, "", script)
	require.Error(t, err)
	require.Contains(t, out, "see above")
	m, err := mountAt(r.at("lower"))
	require.NoError(t, err)
	require.Nil(t, m, "nothing is left")
}
