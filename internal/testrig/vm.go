//go:build linux

package testrig

import (
	"context"
	_ "embed" // for vm.sh
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed vm.sh
var vmScript []byte

// VM is a machine that boots from memory, in about three seconds without KVM, runs one
// program as root, and is gone. It has the kernel of [Kernel], busybox, and no
// network nor disk. It serves tests of what this machine's own kernel is not set up
// for, such as control groups of version 2 alone, or what would disturb it.
type VM struct {
	// Argv is the program and its arguments. The program is a file of this
	// machine; it has the same path inside.
	Argv []string
	Env  []string // "NAME=value"; PATH and HOME are set
	// Files that are copied, by their paths inside, from those on this machine.
	// The shared libraries that they and the program need come along. What is not
	// among them is busybox: its shell takes its own commands before those of PATH.
	Files map[string]string
	// Modules of the kernel to load: "loop", "overlay", "veth".
	Modules []string
	Memory  int // MiB; default: 512
	CPUs    int // default: 1
}

// RunInVM runs a machine's program and returns what it wrote. It fails the test if
// that did not end well.
func RunInVM(tb testing.TB, vm *VM) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 4*time.Minute)
	defer cancel()
	out, err := vm.Run(ctx)
	if err != nil {
		tb.Fatalf("in a virtual machine: %v\n%s", err, out)
	}
	return out
}

// vmPatience is when a machine ends whose starter was killed, in seconds.
const vmPatience = "300"

// vmTools are what a VM needs.
var vmTools = []tool{
	{"busybox", "busybox-static"},
	{"qemu-system-x86_64", "qemu-system-x86"},
	{kernelPattern, "linux-image-cloud-amd64"},
}

// Run runs the program and returns what it wrote to its outputs. A status other than
// 0 is an error, and so is a machine that ended before the program did.
func (vm *VM) Run(ctx context.Context) (string, error) {
	if err := check(vmTools, false); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "vm")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	k, err := findKernel()
	if err != nil {
		return "", err
	}
	initrd, err := vm.initrd(ctx, k)
	if err != nil {
		return "", fmt.Errorf("initrd: %w", err)
	}
	file, console, output := filepath.Join(dir, "initrd"), filepath.Join(dir, "console"), filepath.Join(dir, "output")
	if err := os.WriteFile(file, initrd, 0o600); err != nil {
		return "", err
	}
	_, err = run(ctx, "timeout", vmPatience, "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "qemu64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-m", strconv.Itoa(or(vm.Memory, 512)), "-smp", strconv.Itoa(or(vm.CPUs, 1)),
		"-kernel", k.image, "-initrd", file, "-append", "console=ttyS0 quiet panic=-1 mitigations=off cgroup_no_v1=all",
		"-serial", "file:"+console, "-serial", "file:"+output)
	text, _ := os.ReadFile(output) // absent: nothing was written
	said, _ := os.ReadFile(console)
	if err != nil {
		return string(text), fmt.Errorf("%w\nconsole:\n%s", err, said)
	}
	ended := endedRE.FindSubmatch(said)
	if ended == nil {
		return string(text), fmt.Errorf("the machine ended before its program; console:\n%s", said)
	}
	if status := string(ended[1]); status != "0" {
		return string(text), fmt.Errorf("%s: status %s; console:\n%s", vm.Argv[0], status, said)
	}
	return string(text), nil
}

// endedRE finds the status that the program ended with.
var endedRE = regexp.MustCompile(`VM-ENDED ([0-9]+)`)

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// initrd packs all that there is inside.
func (vm *VM) initrd(ctx context.Context, k kernel) ([]byte, error) {
	if len(vm.Argv) == 0 || !filepath.IsAbs(vm.Argv[0]) {
		return nil, fmt.Errorf("%q: the program has no absolute path", vm.Argv)
	}
	shell, applets, err := readBusybox(ctx)
	if err != nil {
		return nil, err
	}
	t := &tree{archive: &archive{}, made: map[string]bool{}}
	for _, dir := range []string{"/dev", "/etc", "/lib/modules", "/mnt", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/var", "/vm"} {
		t.dir(dir)
	}
	t.add("dev/console", modeChar, nil)
	t.file("/bin/busybox", modeExec, shell)
	t.file("/init", modeExec, vmScript)
	t.file("/vm/run", modeFile, []byte(vm.runScript()))
	if err := t.modules(ctx, k, vm.Modules); err != nil {
		return nil, err
	}
	files := maps.Clone(vm.Files)
	if files == nil {
		files = map[string]string{}
	}
	files[vm.Argv[0]] = vm.Argv[0]
	for _, inside := range slices.Sorted(maps.Keys(files)) {
		if err := t.program(ctx, inside, files[inside]); err != nil {
			return nil, err
		}
	}
	for _, name := range applets { // those that Files has not
		if name != "busybox" {
			t.link("/bin/"+name, "/bin/busybox")
		}
	}
	return t.bytes(), nil
}

// runScript runs the program and ends the machine.
func (vm *VM) runScript() string {
	var b strings.Builder
	b.WriteString("export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\n")
	for _, e := range vm.Env {
		fmt.Fprintf(&b, "export %s\n", quote(e))
	}
	for _, word := range vm.Argv {
		b.WriteString(quote(word) + " ")
	}
	b.WriteString(">&3 2>&1 3>&-\necho VM-ENDED $? >/dev/ttyS0\nexec poweroff -f\n")
	return b.String()
}

// quote makes a word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
