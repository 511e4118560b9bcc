package lxc

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostfs"
)

// kernel is what is known of the one that runs.
type kernel struct {
	name    string            // "6.1.0-50-cloud-amd64"
	version int               // 6001; 0 if the name has none
	config  map[string]string // "y" or "m" by option; nil if it is not known
	source  string            // where config was found
	loaded  map[string]bool   // modules
	builtin map[string]bool   // modules that are part of the kernel
	files   map[string]bool   // modules that can be loaded; nil if there is no list of them
}

// verdict is an answer to whether there is something.
type verdict int

const (
	notKnown verdict = iota
	absent
	loadable // but not loaded
	present
)

func readKernel(m *machine) kernel {
	k := kernel{name: m.text("proc/sys/kernel/osrelease"), loaded: map[string]bool{}}
	k.version = parseKernelVersion(k.name)
	dir := "lib/modules/" + k.name
	if k.name == "" {
		dir = "lib/modules"
	}
	for _, path := range []string{"proc/config.gz", dir + "/build/.config", "boot/config-" + k.name, dir + "/config"} {
		if config := parseKernelConfig(hostfs.Unzipped(m.raw(path))); len(config) > 0 {
			k.config, k.source = config, "/"+path
			break
		}
	}
	for line := range strings.Lines(m.text("proc/modules")) {
		if f := strings.Fields(line); len(f) > 0 {
			k.loaded[moduleName(f[0])] = true
		}
	}
	k.builtin = parseModules(m.text(dir + "/modules.builtin"))
	k.files = parseModules(m.text(dir + "/modules.dep"))
	return k
}

// parseKernelConfig returns the options that are y or m.
func parseKernelConfig(text []byte) map[string]string {
	options := map[string]string{}
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if ok && strings.HasPrefix(name, "CONFIG_") && (value == "y" || value == "m") {
			options[name] = value
		}
	}
	return options
}

// parseModules reads modules.dep or modules.builtin: a path of a module is the first
// word of each line.
func parseModules(text string) map[string]bool {
	var names map[string]bool
	for line := range strings.Lines(text) {
		path, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, ok := strings.Cut(path[strings.LastIndex(path, "/")+1:], ".ko")
		if !ok {
			continue
		}
		if names == nil {
			names = map[string]bool{}
		}
		names[moduleName(name)] = true
	}
	return names
}

// moduleName is as the kernel itself writes it.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

var kernelVersionRE = regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})`)

// parseKernelVersion makes 6001 of "6.1.0-50-cloud-amd64".
func parseKernelVersion(name string) int {
	m := kernelVersionRE.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major*1000 + minor
}

// option says whether the kernel has what an option of its configuration gives, and
// how that is known. Module is "" for an option that is not one.
func (e *examination) option(option, module string) (verdict, string) {
	k := &e.kernel
	var running string
	switch {
	case module == "":
	case k.loaded[module]:
		return present, "module " + module + " is loaded"
	case k.builtin[module]:
		return present, "module " + module + " is part of the kernel"
	case e.there("sys/module/" + module):
		return present, "/sys/module/" + module
	case k.files[module]:
		return loadable, "module " + module + " is not loaded"
	case k.files != nil:
		running = ", and there is no file of module " + module
	}
	switch value := k.config[option]; {
	case k.config == nil && running != "" && k.builtin != nil:
		return absent, "kernel " + k.name + running
	case k.config == nil && module == "":
		return notKnown, "the configuration of kernel " + k.name + " was not found"
	case k.config == nil:
		return notKnown, "neither the configuration of kernel " + k.name + " nor module " + module + " was found"
	case value == "y":
		return present, option + "=y in " + k.source
	case value == "m" && running != "":
		return absent, option + "=m in " + k.source + running
	case value == "m":
		return notKnown, option + "=m in " + k.source + ", and there is no list of modules"
	}
	return absent, option + " is not set in " + k.source
}

// mayTry says whether to use it cannot make the kernel load a module.
func (e *examination) mayTry(option, module string) bool {
	v, _ := e.option(option, module)
	return v == present || v == absent || !e.there("proc/modules")
}

// release tells of the kernel. Before 5.12 there are no idmapped mounts, and before
// 5.19 none below an overlay (mount_setattr(2)).
func (e *examination) release(context.Context) []provision.Finding {
	k := &e.kernel
	seen := fmt.Sprintf("Linux %s, configuration from %s", k.name, k.source)
	if k.config == nil {
		f := unknown("kernel", provision.SeverityWarning, "the kernel was built with all that guests take, where trials do not tell", "Linux "+k.name,
			"install its configuration as /boot/config-"+k.name+", or load the module configs")
		return []provision.Finding{f}
	}
	if k.version != 0 && k.version < 5019 {
		return []provision.Finding{lacks("kernel", provision.SeverityWarning, "the kernel is too old for guests without privileges over a shared image", seen, "boot Linux 5.19 or later")}
	}
	return []provision.Finding{has("kernel", "the configuration of the kernel is known", seen)}
}
