package domainxml

import (
	"strconv"
	"strings"
)

var cpuRules = []Rule{cpuModel, cpuPassthrough, cpuTopology, vcpuCurrent}

// weakCPUs are those that QEMU keeps for the sake of old guests; without a model,
// libvirt takes qemu64.
//
// Source: https://www.qemu.org/docs/master/system/qemu-cpu-models.html (other
// non-recommended x86 CPUs); the last two are RHEL's.
var weakCPUs = map[string]bool{
	"": true, "qemu64": true, "qemu32": true, "kvm64": true, "kvm32": true,
	"486": true, "athlon": true, "phenom": true, "coreduo": true, "core2duo": true, "n270": true,
	"pentium": true, "pentium2": true, "pentium3": true, "cpu64-rhel5": true, "cpu64-rhel6": true,
}

// cpuModel finds guests of KVM that see a CPU of twenty years ago.
//
// Source: https://www.qemu.org/docs/master/system/qemu-cpu-models.html
var cpuModel = Rule{
	ID: "cpu-model", Severity: SeverityWarning,
	Title:  "a CPU model that hides what the host can do",
	Why:    "The guest has no AES and no AVX, so that encryption and much else is several times slower, and it lacks what guards against Spectre and its like.",
	Source: "https://www.qemu.org/docs/master/system/qemu-cpu-models.html",
	Fails:  `<cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model><topology sockets='1' cores='1' threads='1'/></cpu>`,
	Passes: `<cpu mode='host-model'><topology sockets='1' cores='1' threads='1'/></cpu>`,
	check: func(l *linter) {
		if l.kind != "kvm" || !l.x86() {
			return
		}
		n, at, model := l.child(l.root, "cpu"), l.root, ""
		if n != 0 {
			at = n
			if mode := l.get(n, "mode"); mode != "" && mode != "custom" {
				return
			}
			model = strings.TrimSpace(l.text(n, "model"))
		}
		if !weakCPUs[model] {
			return
		}
		if model == "" {
			model = "missing, which means qemu64"
		}
		f := l.report(at, "the CPU model is %s", model)
		f.Fix = []Edit{Set(l.path(l.root, "cpu/@mode"), "host-model")}
		if n != 0 {
			f.Fix = append(f.Fix, l.removeModel(n)...)
		}
		f.Caution = "The guest's CPU changes at its next start: Windows may want to be activated anew, and live migration needs hosts with that CPU."
	},
}

// removeModel takes away what goes with a model by name; libvirt refuses a vendor
// without one. Features and topology stay.
func (l *linter) removeModel(cpu id) []Edit {
	var list []Edit
	for _, name := range [...]string{"match", "check"} {
		if l.findAttr(cpu, name) >= 0 {
			list = append(list, Remove(l.path(cpu, "@"+name)))
		}
	}
	for _, name := range [...]string{"model", "vendor"} {
		for _, n := range l.children(cpu, name) {
			list = append(list, Remove(l.path(n, "")))
		}
	}
	return list
}

// cpuPassthrough finds CPUs with which live migration fails. QEMU leaves out what
// cannot be migrated unless it is told otherwise, and a TSC that never stops can be
// migrated only with its frequency.
//
// Source: https://libvirt.org/formatdomain.html#cpu-model-and-topology (mode
// host-passthrough, migratable) and
// https://www.qemu.org/docs/master/system/qemu-cpu-models.html (host passthrough)
var cpuPassthrough = Rule{
	ID: "cpu-passthrough", Severity: SeverityInfo,
	Title:  "a CPU that ties the guest to its host",
	Why:    "Live migration is refused, or the guest crashes on a host whose CPU, microcode or kernel is another one.",
	Source: "https://libvirt.org/formatdomain.html#cpu-model-and-topology",
	Fails:  `<cpu mode='host-passthrough'/>`,
	Passes: `<cpu mode='host-passthrough' migratable='on'/>`,
	check: func(l *linter) {
		n := l.child(l.root, "cpu")
		if l.kind != "kvm" || !l.x86() || n == 0 {
			return
		}
		if migratable := l.get(n, "migratable"); l.get(n, "mode") == "host-passthrough" && migratable != "on" {
			f := l.report(n, "the host's CPU is passed through without migratable='on'")
			f.Fix = []Edit{Set(l.path(n, "@migratable"), "on")}
			if migratable == "off" {
				f.Severity = SeverityWarning
				f.Caution = "The guest loses invtsc and what else cannot be migrated at its next start."
			}
		}
		fixed := l.fixedTSC()
		for _, feature := range l.children(n, "feature") {
			policy := l.get(feature, "policy")
			if l.get(feature, "name") == "invtsc" && (policy == "require" || policy == "force" || policy == "") && !fixed {
				l.report(feature, "invtsc is required, and the TSC has no fixed frequency")
			}
		}
	},
}

// fixedTSC: the guest's TSC counts as fast on each host.
func (l *linter) fixedTSC() bool {
	clock := l.child(l.root, "clock")
	if clock == 0 {
		return false
	}
	for _, n := range l.children(clock, "timer") {
		if l.get(n, "name") == "tsc" && l.get(n, "frequency") != "" {
			return true
		}
	}
	return false
}

// cpuTopology finds what libvirt refuses with "CPU topology doesn't match maximum
// vcpu count".
//
// Source: libvirt 9.0, src/qemu/qemu_validate.c, and
// https://libvirt.org/formatdomain.html#cpu-model-and-topology
var cpuTopology = Rule{
	ID: "cpu-topology", Severity: SeverityError,
	Title:  "a CPU topology of another size than the guest",
	Why:    "libvirt refuses to define the domain: sockets, dies, clusters, cores and threads multiply to the maximum of CPUs.",
	Source: "https://libvirt.org/formatdomain.html#cpu-model-and-topology",
	Fails:  `<vcpu>4</vcpu><cpu mode='host-model'><topology sockets='1' cores='2' threads='1'/></cpu>`,
	Passes: `<vcpu>4</vcpu><cpu mode='host-model'><topology sockets='1' dies='1' cores='2' threads='2'/></cpu>`,
	check: func(l *linter) {
		n := l.down(l.root, "cpu", "topology")
		most := l.maxCPUs()
		if !l.qemu() || n == 0 || most == 0 {
			return
		}
		product := uint64(1)
		for _, name := range [...]string{"sockets", "dies", "clusters", "cores", "threads"} {
			text, ok := l.attr(n, name)
			if !ok && (name == "dies" || name == "clusters") {
				continue
			}
			v, ok := count(text)
			if !ok || product > 1<<32 {
				return // refused for that, not for their product
			}
			product *= v
		}
		if product != most {
			l.report(n, "the topology is of %d CPUs, and the guest has up to %d", product, most)
		}
	},
}

// vcpuCurrent finds what libvirt refuses with "maximum vCPU count must not be less
// than current vCPU count".
//
// Source: libvirt 9.0, src/conf/domain_conf.c, and
// https://libvirt.org/formatdomain.html#cpu-allocation
var vcpuCurrent = Rule{
	ID: "vcpu-current", Severity: SeverityError,
	Title:  "more CPUs now than there can be",
	Why:    "libvirt refuses to define the domain.",
	Source: "https://libvirt.org/formatdomain.html#cpu-allocation",
	Fails:  `<vcpu current='4'>2</vcpu>`,
	Passes: `<vcpu current='2'>4</vcpu>`,
	check: func(l *linter) {
		n, most := l.child(l.root, "vcpu"), l.maxCPUs()
		if n == 0 || most == 0 {
			return
		}
		if now, ok := count(l.get(n, "current")); ok && now > most {
			f := l.report(n, "the guest begins with %d CPUs of %d", now, most)
			f.Fix = []Edit{Remove(l.path(n, "@current"))} // all of them
		}
	},
}

// maxCPUs is up to how many the guest can grow: 1 if the document does not say it,
// and 0 if it says no number.
func (l *linter) maxCPUs() uint64 {
	n := l.child(l.root, "vcpu")
	if n == 0 {
		return 1
	}
	v, _ := count(l.whole(n))
	return v
}

// count reads a number of things.
func count(text string) (uint64, bool) {
	v, err := strconv.ParseUint(strings.Trim(text, " \t\r\n"), 10, 32)
	return v, err == nil
}
