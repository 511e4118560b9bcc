//go:build linux

package testrig

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// addAgent packs this machine's QEMU guest agent with its libraries, at their own
// paths.
func addAgent(ctx context.Context, a *archive) error {
	agent, err := lookPath("qemu-ga")
	if err != nil {
		return err
	}
	out, err := run(ctx, "ldd", agent)
	if err != nil {
		return err
	}
	files := map[string]string{"bin/qemu-ga": agent}
	for line := range strings.Lines(out) {
		// "libm.so.6 => /lib/libm.so.6 (0x…)", or the loader alone, or the kernel's.
		if _, after, ok := strings.Cut(line, "=>"); ok {
			line = after
		}
		if lib, _, _ := strings.Cut(strings.TrimSpace(line), " "); path.IsAbs(lib) {
			files[strings.TrimPrefix(lib, "/")] = lib
		}
	}
	if len(files) < 3 {
		return fmt.Errorf("ldd names no libraries of %s: %s", agent, out)
	}
	dirs := map[string]bool{"bin": true, "lib": true}
	for _, to := range slices.Sorted(maps.Keys(files)) {
		a.addDirs(dirs, path.Dir(to))
		text, err := os.ReadFile(files[to])
		if err != nil {
			return err
		}
		a.add(to, modeExec, text)
	}
	return nil
}

// addDirs adds a directory and those above it, unless they are in have.
func (a *archive) addDirs(have map[string]bool, dir string) {
	if dir == "." || have[dir] {
		return
	}
	a.addDirs(have, path.Dir(dir))
	a.add(dir, modeDir, nil)
	have[dir] = true
}
