//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
	"github.com/guestforge/provision/lxc"
	"github.com/guestforge/provision/provisiontest"
)

func TestRealLibvirt(t *testing.T) {
	l, _ := testrig.Start(t)
	t.Run("README", func(t *testing.T) { testReadme(t, l) })
	image, err := testrig.CachedImage(t.Context(), cmp.Or(os.Getenv("TESTRIG_CACHE"), t.TempDir()))
	require.NoError(t, err)
	ok := func(args ...string) string {
		t.Helper()
		r := call(t.Context(), "name: web1\nimage: tiny\nmemory: {size: 128MiB}\nnics: [{bridge: br0}]\n",
			append([]string{"-uri", l.URI, "-emulate", "-lockdir", t.TempDir()}, args...)...)
		require.Zero(t, r.code, "%v: %s", args, r.stderr)
		return r.stdout
	}
	require.Contains(t, ok("check"), "libvirtd answers")
	ok("image", "import", "tiny", image)
	require.Contains(t, ok("plan", "-f", "-"), `create kvm "web1"`)
	ok("create", "-start", "-f", "-")
	require.Eventually(t, func() bool { return strings.Contains(ok("console", "web1"), "BOOTED-OK web1") }, 2*time.Minute, time.Second/2)
	require.Contains(t, ok("list"), "web1  running")
	require.Regexp(t, "it (was )?shut down", ok("stop", "web1")) // its agent may not run yet
	require.Contains(t, ok("delete", "web1"), "deleted")
	ok("image", "rm", "tiny")
	left, err := os.ReadDir(l.PoolDir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// testReadme demands that the table of features in README.md is what the
// backends themselves say.
func testReadme(t *testing.T, l *testrig.Libvirt) {
	o := &provision.Options{LockDir: t.TempDir(), Residency: "NO"}
	backends := []provision.Backend{kvm.New(&kvm.Options{URI: l.URI}), lxc.New(&lxc.Options{LXCPath: t.TempDir()}), provisiontest.NewBackend(nil)}
	cells := map[provision.Feature]string{}
	for _, b := range backends {
		h, err := provision.Open(t.Context(), b, o)
		require.NoError(t, err)
		for _, f := range provision.Features() {
			// What this machine lacks is not the backend's fault.
			word := " no |"
			if h.Supports(f) == nil || slices.Contains(h.Info().Honours, f) {
				word = " yes |"
			}
			cells[f] += word
		}
		require.NoError(t, h.Close())
	}
	table := "| Features | kvm | lxc | provisiontest |\n|---|---|---|---|\n" + rows(cells)
	path := filepath.Join("..", "..", "README.md")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	const begin, end = "<!-- features: written by go test ./examples/guestctl -update -->\n", "<!-- end of features -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	require.True(t, ok && ok2, "README.md has lost the marks of its table")
	want := before + begin + table + end + after
	if golden.Updating() {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "run go test ./examples/guestctl -update")
}

// rows are those of the table: features of one word, as cpu, that have the same
// cells share a row.
func rows(cells map[provision.Feature]string) string {
	var text strings.Builder
	var names []string
	all := provision.Features()
	for i, f := range all {
		names = append(names, fmt.Sprintf("`%s`", f))
		if i+1 < len(all) && word(all[i+1]) == word(f) && cells[all[i+1]] == cells[f] {
			continue
		}
		fmt.Fprintf(&text, "| %s |%s\n", strings.Join(names, ", "), cells[f])
		names = nil
	}
	return text.String()
}

func word(f provision.Feature) string {
	first, _, _ := strings.Cut(string(f), ".")
	return first
}
