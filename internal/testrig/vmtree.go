//go:build linux

package testrig

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// tree is an archive that makes directories as they are needed, and takes each
// path once.
type tree struct {
	*archive
	made map[string]bool
}

// dir adds a directory and those above it.
func (t *tree) dir(path string) {
	if path == "/" || t.made[path] {
		return
	}
	t.dir(filepath.Dir(path))
	t.made[path] = true
	t.add(strings.TrimPrefix(path, "/"), modeDir, nil)
}

// file adds a file, unless it is there.
func (t *tree) file(path string, mode int, content []byte) {
	t.dir(filepath.Dir(path))
	if !t.made[path] {
		t.made[path] = true
		t.add(strings.TrimPrefix(path, "/"), mode, content)
	}
}

// link adds a symbolic link.
func (t *tree) link(path, target string) { t.file(path, modeLink, []byte(target)) }

// program adds a file of this machine, and the libraries that it is linked with.
func (t *tree) program(ctx context.Context, inside, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	t.file(filepath.Clean(inside), 0o100000|int(info.Mode().Perm()), text)
	libraries, err := libraries(ctx, path, text)
	for _, lib := range libraries {
		if err == nil && !t.made[lib] {
			err = t.program(ctx, lib, lib)
		}
	}
	return err
}

// libraryRE finds the files that ldd names: "libc.so.6 => /lib/…" and
// "/lib64/ld-linux-x86-64.so.2 (0x…)".
var libraryRE = regexp.MustCompile(`(?m)(?:=> |^\s+)(/\S+) \(0x`)

// libraries lists the shared libraries of a program, for a file that is one.
func libraries(ctx context.Context, path string, text []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return nil, nil // a script, or data
	}
	needed, err := f.ImportedLibraries()
	if err != nil || len(needed) == 0 {
		return nil, err
	}
	out, err := run(ctx, "ldd", path)
	if err != nil {
		return nil, err
	}
	if strings.Contains(out, "not found") {
		return nil, fmt.Errorf("%s lacks a library:\n%s", path, out)
	}
	var list []string
	for _, m := range libraryRE.FindAllStringSubmatch(out, -1) {
		list = append(list, m[1])
	}
	return list, nil
}

// modules adds modules of the kernel, and the list of them in the order of loading.
func (t *tree) modules(ctx context.Context, k kernel, names []string) error {
	order, err := k.loadOrder(names)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, file := range order {
		module, err := k.readModule(ctx, file)
		if err != nil {
			return err
		}
		name := "/lib/modules/" + moduleName(file) + ".ko"
		t.file(name, modeFile, module)
		fmt.Fprintln(&list, name)
	}
	t.file("/lib/modules/order", modeFile, []byte(list.String()))
	return nil
}
