//go:build linux

package testrig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	kernelPrefix  = "/boot/vmlinuz-"
	kernelPattern = kernelPrefix + "*-cloud-amd64"
)

// modules are what the guest's init loads, apart from what these depend on.
// The file systems come last: nothing waits for them until the seed is read.
var modules = []string{
	"virtio_pci", "virtio_blk", "virtio_net", "virtio-rng", "virtio_balloon", "virtio_console",
	"evdev", "button", "nls_cp437", "nls_ascii", "vfat", "isofs",
}

// kernel is an installed kernel.
type kernel struct {
	image   string // path of the bootable image
	modules string // directory of modules
}

// Kernel returns the path of the kernel that the tiny guest boots, for tests of
// direct boots.
func Kernel() (string, error) {
	k, err := findKernel()
	return k.image, err
}

// findKernel returns the newest cloud kernel that has its modules.
func findKernel() (kernel, error) {
	found, err := filepath.Glob(kernelPattern)
	if err != nil {
		return kernel{}, err
	}
	var best kernel
	var newest int64
	for _, image := range found {
		k := kernel{image, "/lib/modules/" + strings.TrimPrefix(image, kernelPrefix)}
		info, err := os.Stat(image)
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(k.modules, "modules.dep")); err != nil {
			continue
		}
		if t := info.ModTime().UnixNano(); best.image == "" || t > newest {
			best, newest = k, t
		}
	}
	if best.image == "" {
		return kernel{}, errors.New("no kernel with modules in /boot; run: apt-get install linux-image-cloud-amd64")
	}
	return best, nil
}

// loadOrder returns the files, below k.modules, of the named modules and of
// what they depend on, each after its dependencies. Names built into the
// kernel, or unknown to it, are left out.
func (k kernel) loadOrder(names []string) ([]string, error) {
	f, err := os.Open(filepath.Join(k.modules, "modules.dep"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	files := make(map[string]string) // by name
	needs := make(map[string][]string)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		file, deps, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			return nil, fmt.Errorf("%s: line %q has no colon; run depmod", f.Name(), lines.Text())
		}
		files[moduleName(file)] = file
		needs[file] = strings.Fields(deps)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	var order []string
	for _, name := range names {
		file, ok := files[moduleName(name)]
		if !ok {
			continue
		}
		// A line lists all dependencies, the deepest last.
		for _, need := range slices.Backward(needs[file]) {
			if !slices.Contains(order, need) {
				order = append(order, need)
			}
		}
		if !slices.Contains(order, file) {
			order = append(order, file)
		}
	}
	return order, nil
}

// moduleName returns a module's name as the kernel spells it.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}

// readModule returns a module, unpacked.
func (k kernel) readModule(ctx context.Context, file string) ([]byte, error) {
	path := filepath.Join(k.modules, file)
	var text string
	var err error
	switch filepath.Ext(file) {
	case ".ko":
		return os.ReadFile(path)
	case ".xz":
		text, err = run(ctx, "xz", "-dc", path)
	case ".zst":
		text, err = run(ctx, "zstd", "-dc", path)
	default:
		err = fmt.Errorf("module %s: unknown compression", path)
	}
	return []byte(text), err
}
