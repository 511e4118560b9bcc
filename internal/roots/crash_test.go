//go:build linux

package roots

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// beVictim writes a byte, makes the root that spec says, and mounts and snapshots it.
func beVictim(spec string) {
	var r Root
	err := json.Unmarshal([]byte(spec), &r)
	os.Stdout.WriteString("x")
	if err == nil {
		err = r.Make(context.Background(), nil)
	}
	if err == nil {
		err = r.Mount(context.Background())
	}
	if err == nil {
		err = r.Snapshot(context.Background(), "s", "note", nil)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// Whenever a process is killed, Remove removes what it left, and what it left is
// either complete or not mounted.
func TestKilled(t *testing.T) {
	for _, kind := range []Kind{Overlay, ImageFile, Copy} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			makeImage(t, dir)
			r := Root{Dir: filepath.Join(dir, "guest"), Kind: kind, Base: base, Image: filepath.Join(dir, "image")}
			if kind == ImageFile {
				r.Size = MinSize
			}
			require.NoError(t, os.Mkdir(r.Dir, 0o700))
			cmd := victimOf(t, r)
			start := time.Now()
			require.NoError(t, cmd.Wait())
			whole := time.Since(start)
			require.NoError(t, r.Remove(t.Context()))

			const steps = 8
			left := map[string]bool{}
			for i := range steps {
				cmd := victimOf(t, r)
				timer := time.AfterFunc(whole*time.Duration(i)/steps, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
				_ = cmd.Wait()
				timer.Stop()
				state := strings.Join(namesIn(t, r.Dir), " ")
				left[state] = true
				if _, err := os.Lstat(r.Store()); err == nil {
					require.NoError(t, r.Mount(t.Context()), state)
					require.Equal(t, keys(tree(t, r.Image, 0)), keys(tree(t, r.Path(), shown(r))), state)
				} else {
					require.ErrorIs(t, r.Unmount(t.Context()), nil)
					require.ErrorIs(t, r.Mount(t.Context()), os.ErrNotExist, state)
				}
				require.NoError(t, r.Remove(t.Context()), state)
				requireNothing(t, r.Dir)
			}
			require.Greater(t, len(left), 1, "it was killed at different steps: %v", left)
		})
	}
}

func namesIn(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func victimOf(t *testing.T, r Root) *exec.Cmd {
	spec, err := json.Marshal(r)
	require.NoError(t, err)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), victim+"="+string(spec))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 1)) // it begins
	require.NoError(t, err)
	return cmd
}
