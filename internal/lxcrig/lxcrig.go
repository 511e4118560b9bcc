//go:build linux

// Package lxcrig starts containers for tests: directories for them, images, and a
// bridge.
package lxcrig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/lxc"
)

// Bridge is what the tests' guests are plugged into.
const Bridge = "br-test"

// Image is the name of the tiny image.
const Image = "tiny"

// Machine makes a directory for containers, a bridge and the tiny image in it, and
// removes it when the test ends.
func Machine(tb testing.TB) string {
	tb.Helper()
	path, err := os.MkdirTemp("/tmp", "lxcrig-")
	require.NoError(tb, err)
	require.NoError(tb, os.Chmod(path, 0o755))
	tb.Cleanup(func() { remove(tb, path) })
	if _, err := os.Stat("/sys/class/net/" + Bridge); err != nil {
		Run(tb, "ip", "link", "add", Bridge, "type", "bridge")
		Run(tb, "ip", "link", "set", Bridge, "up")
		Run(tb, "ip", "link", "set", "lo", "up")
	}
	h := Open(tb, path)
	Import(tb, h, Image, Tiny(tb), "tar")
	require.NoError(tb, h.Close())
	return path
}

// Run runs a program of the host.
func Run(tb testing.TB, argv ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	require.NoError(tb, err, "%s: %s", strings.Join(argv, " "), out)
	return string(out)
}

// New returns a backend for a machine.
func New(path string) *lxc.Backend {
	return lxc.New(&lxc.Options{LXCPath: path, IDDir: filepath.Join(path, ".provision/ids"), Timeout: 5 * time.Second})
}

// Open opens a Host of a machine, and closes it when the test ends.
func Open(tb testing.TB, path string) *provision.Host {
	tb.Helper()
	h, err := provision.Open(tb.Context(), New(path), &provision.Options{LockDir: filepath.Join(path, ".locks")})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = h.Close() }) // mostly closed by then
	return h
}

// Import puts an image into the store.
func Import(tb testing.TB, h *provision.Host, name string, content []byte, format string) {
	tb.Helper()
	_, err := h.ImportImage(tb.Context(), name, bytes.NewReader(content), &provision.ImportOptions{Format: format})
	require.NoError(tb, err)
}

// Spec is a tiny guest with one card.
func Spec(name string) provision.Spec {
	return provision.Spec{Name: name, Image: Image, Memory: provision.Memory{Size: 64 * provision.MiB}, NICs: []provision.NIC{{Bridge: Bridge}}}
}

// Leftovers lists what belongs to guests and images of a machine.
func Leftovers(tb testing.TB, path string) []string {
	tb.Helper()
	var list []string
	for _, dir := range []string{".", ".provision/images", ".provision/ids", ".provision/new", ".provision/removed", ".provision/events"} {
		entries, err := os.ReadDir(filepath.Join(path, dir))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(tb, err)
		for _, e := range entries {
			if dir != "." || e.Name()[0] != '.' {
				list = append(list, filepath.Join(dir, e.Name()))
			}
		}
	}
	for _, line := range strings.Split(read(tb, "/proc/self/mountinfo"), "\n") {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], path+"/") {
			list = append(list, "mount "+f[4])
		}
	}
	for _, line := range strings.Split(Run(tb, "nft", "list", "tables"), "\n") {
		if strings.Contains(line, "provision_") {
			list = append(list, line)
		}
	}
	links, err := filepath.Glob("/sys/class/net/p[vi]??????????-*")
	require.NoError(tb, err)
	list = append(list, links...)
	return append(list, groups(tb, path)...)
}

func read(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	require.NoError(tb, err)
	return string(text)
}

// groups lists the control groups of the guests of a machine.
func groups(tb testing.TB, path string) []string {
	tb.Helper()
	var list []string
	for _, g := range groupFiles(path, "/*") {
		if info, err := os.Stat(g); err == nil && info.IsDir() {
			list = append(list, g)
		}
	}
	return list
}

// groupFiles finds what is there of a pattern below the groups of a machine, in the
// hierarchies of version 1 and of version 2, wherever that is mounted.
func groupFiles(path, pattern string) []string {
	below := lxc.GroupsOf(path) + pattern
	return append(must(filepath.Glob("/sys/fs/cgroup/*/"+below)), must(filepath.Glob("/sys/fs/cgroup/"+below))...)
}

// Foreign makes a container by other means, and returns what removes it.
func Foreign(tb testing.TB, path, name string) func() {
	tb.Helper()
	dir := filepath.Join(path, name)
	root := filepath.Join(dir, "rootfs")
	require.NoError(tb, os.MkdirAll(filepath.Join(root, "sbin"), 0o755))
	config := fmt.Sprintf("lxc.uts.name = %s\nlxc.rootfs.path = dir:%s\nlxc.net.0.type = empty\n", name, root)
	require.NoError(tb, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	return func() { require.NoError(tb, os.RemoveAll(dir)) }
}

// StartOutside starts a guest by lxc-start.
func StartOutside(tb testing.TB, path, name string) error {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "lxc-start", "-P", path, "-n", name, "-d").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// remove removes a machine, with whatever a test has left on it.
func remove(tb testing.TB, path string) {
	tb.Helper()
	for _, g := range groups(tb, path) {
		_ = exec.Command("sh", "-c", `find "$1" -name cgroup.procs -exec cat {} + | xargs -r kill -9`, "sh", g).Run()
	}
	Run(tb, "sh", "-c", `for m in $(awk -v p="$1/" 'index($5, p) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do umount -l "$m"; done`, "sh", path)
	for _, g := range groupFiles(path, "") {
		_ = exec.Command("sh", "-c", `for i in 1 2 3 4 5 6 7 8 9; do find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && exit; sleep 0.1; done`, "sh", g).Run()
	}
	_ = os.RemoveAll("/run/lxc/lock" + path)
	require.NoError(tb, os.RemoveAll(path))
}

func must(list []string, err error) []string {
	if err != nil {
		panic(err) // a pattern of this file
	}
	return list
}
