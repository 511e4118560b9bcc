//go:build linux

package testrig

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed" // for init.sh
	"fmt"
	"os"
	"strings"
)

//go:embed init.sh
var initScript []byte

// acpiScript runs when the host presses the power button, or asks the agent.
const acpiScript = "#!/bin/sh\nexec poweroff -f\n"

// buildInitrd packs busybox, the guest agent, the modules and the init script.
func buildInitrd(ctx context.Context, k kernel) ([]byte, error) {
	shell, applets, err := readBusybox(ctx)
	if err != nil {
		return nil, err
	}
	order, err := k.loadOrder(modules)
	if err != nil {
		return nil, err
	}
	var a archive
	for _, dir := range []string{
		"bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "lib/modules", "mnt", "proc", "run", "sbin", "seed", "sys", "tmp", "var", "var/log", "var/run",
	} {
		a.add(dir, modeDir, nil)
	}
	a.node("dev/console", 5, 1)
	a.node("dev/null", 1, 3)
	a.add("bin/busybox", modeExec, shell)
	for _, name := range applets {
		if name != "busybox" {
			a.add("bin/"+name, modeLink, []byte("busybox"))
		}
	}
	a.add("bin/rawsend", modeExec, rawSend())
	a.add("init", modeExec, initScript)
	a.add("etc/acpi/PWRF/00000080", modeExec, []byte(acpiScript))
	a.add("sbin/shutdown", modeExec, []byte(acpiScript)) // what the agent runs
	if err := addAgent(ctx, &a); err != nil {
		return nil, err
	}
	var names strings.Builder
	for _, file := range order {
		module, err := k.readModule(ctx, file)
		if err != nil {
			return nil, err
		}
		name := "lib/modules/" + moduleName(file) + ".ko"
		a.add(name, modeFile, module)
		fmt.Fprintf(&names, "/%s\n", name)
	}
	a.add("lib/modules/order", modeFile, []byte(names.String()))
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(a.bytes()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// readBusybox returns a busybox that needs no libraries, and the names of the
// programs it can be.
func readBusybox(ctx context.Context) (text []byte, applets []string, err error) {
	path, err := lookPath("busybox")
	if err != nil {
		return nil, nil, err
	}
	if text, err = os.ReadFile(path); err != nil {
		return nil, nil, err
	}
	if bytes.Contains(text, []byte("/ld-linux-x86-64.so")) {
		return nil, nil, fmt.Errorf("%s is linked dynamically; run: apt-get install busybox-static", path)
	}
	list, err := run(ctx, path, "--list")
	return text, strings.Fields(list), err
}
