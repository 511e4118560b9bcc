//go:build linux

package lxctest_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/lxcrig"
)

// guestctl is the program, and the directory that it works in.
type guestctl struct {
	program, dir string
}

func buildGuestctl(t *testing.T, env ...string) *guestctl {
	t.Helper()
	c := &guestctl{filepath.Join(t.TempDir(), "guestctl"), t.TempDir()}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", c.program, "../../examples/guestctl")
	build.Env = append(os.Environ(), env...)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return c
}

// run returns what it prints and its exit code.
func (c *guestctl) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.program, append([]string{"-backend", "lxc", "-lxcpath", c.dir, "-lockdir", filepath.Join(c.dir, ".locks"), "-timeout", "1m"}, args...)...)
	cmd.Stdin = strings.NewReader("name: web1\nimage: tiny\nmemory: {size: 64MiB}\nnics: [{bridge: " + lxcrig.Bridge + ", addresses: [192.0.2.20/24]}]\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (c *guestctl) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, code := c.run(t, args...)
	require.Zero(t, code, "%v: %s", args, out)
	return out
}

// TestGuestctl takes a container through its life from the command line, with an image
// that is a directory.
func TestGuestctl(t *testing.T) {
	c := buildGuestctl(t)
	c.dir = lxcrig.Machine(t)
	c.ok(t, "image", "rm", lxcrig.Image)
	tree := t.TempDir()
	untar := exec.CommandContext(t.Context(), "tar", "-xC", tree)
	untar.Stdin = bytes.NewReader(lxcrig.Tiny(t))
	require.NoError(t, untar.Run())
	require.Contains(t, c.ok(t, "image", "import", "tiny", tree), "image tiny: tar, ")
	require.Contains(t, c.ok(t, "image", "list"), "tiny  tar")
	require.Contains(t, c.ok(t, "plan", "-f", "-"), `create lxc "web1"`)
	c.ok(t, "create", "-start", "-f", "-")
	require.Contains(t, c.ok(t, "list"), "web1  running")
	require.Contains(t, c.ok(t, "status", "web1"), "64 MiB")
	require.Contains(t, c.ok(t, "pause", "web1"), "paused")
	require.Contains(t, c.ok(t, "resume", "web1"), "running")
	require.Contains(t, c.ok(t, "stop", "-grace", "10s", "web1"), "shut down")
	require.Contains(t, c.ok(t, "delete", "web1"), "deleted")
	c.ok(t, "image", "rm", "tiny")
	require.Empty(t, lxcrig.Leftovers(t, c.dir))
}

// A program that was built without cgo knows the backend, and why it cannot have it.
func TestGuestctlWithoutCgo(t *testing.T) {
	out, code := buildGuestctl(t, "CGO_ENABLED=0").run(t, "list")
	require.Equal(t, 11, code, out)
	require.Contains(t, out, "built without cgo")
}
