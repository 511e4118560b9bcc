package domainxml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Severity says how much a [Finding] matters.
type Severity string

// Values of [Severity].
const (
	SeverityError   Severity = "error"   // will not start, loses data, or opens a door
	SeverityWarning Severity = "warning" // costs speed, density or safety on most hosts
	SeverityInfo    Severity = "info"    // could be better; a matter of choice
)

// Finding is something in a domain that costs its owner something.
type Finding struct {
	Rule     string   `json:"rule"` // ID of the Rule
	Severity Severity `json:"severity"`
	Path     string   `json:"path"` // of an element or attribute; see Document
	Line     int      `json:"line"` // where that begins, both from 1
	Column   int      `json:"column"`
	Message  string   `json:"message"` // what is there
	Why      string   `json:"why"`     // what it costs
	// Fix is what sets it right, for Document.Apply; empty where only the owner
	// can know. The fixes of one Lint may be applied together; what they add may
	// be found wanting in turn. In a document without addresses, devices that are
	// added may move others to other slots.
	Fix []Edit `json:"fix,omitempty"`
	// Caution is what the fix may break in a domain that is in use; empty if it
	// does no harm. Fixes take effect when the guest is next started.
	Caution string `json:"caution,omitempty"`
}

// String is one line without the place in the text.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s: %s", f.Severity, printable(f.Path), printable(f.Message), f.Rule)
}

// Rule is one thing that Lint looks for.
type Rule struct {
	ID       string   // "nic-model"
	Severity Severity // of most of its findings
	Title    string   // what it looks for, in a line
	Why      string   // what a finding costs
	Source   string   // where that is written
	// Fails and Passes are examples: what stands in a domain of type kvm, or a
	// domain, with the finding and without it.
	Fails, Passes string

	check func(*linter)
}

// LintOptions say what [Document.Lint] cannot see. The zero value is a host of
// which nothing is known.
type LintOptions struct {
	// Off switches rules off, by their ID. One that does not exist is an error.
	Off []string
	// Libvirt is the version that will run the domain, as virConnectGetLibVersion
	// has it: 1,000,000 × major + 1,000 × minor + release. Default: unknown.
	Libvirt uint64
	// Guaranteed: the guest was promised that all of its memory is its own.
	Guaranteed bool
	// Filter is the network filter that NICs should have. Default: libvirt's
	// no-mac-spoofing, which lets all addresses through.
	Filter string
}

// Rules returns all rules, by ID.
func Rules() []Rule {
	list := slices.Concat(nicRules, diskRules, memoryRules, cpuRules, machineRules, bootRules, deviceRules, displayRules)
	slices.SortFunc(list, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Lint judges the domain, and in a snapshot the inactive one too. The findings
// come in the order of the text. Only rules that fit the hypervisor are applied:
// most are for QEMU. The error is that of options.
func (d *Document) Lint(opts *LintOptions) ([]Finding, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &LintOptions{}
	}
	rules := Rules()
	for _, off := range opts.Off {
		n := len(rules)
		if rules = slices.DeleteFunc(rules, func(r Rule) bool { return r.ID == off }); len(rules) == n {
			return nil, fmt.Errorf("domainxml: lint: there is no rule %q to switch off", off)
		}
	}
	l := &linter{Document: d, opts: *opts, names: d.naming()}
	for _, n := range d.domains() {
		l.enter(n)
		for i := range rules {
			l.rule = &rules[i]
			l.rule.check(l)
		}
	}
	slices.SortStableFunc(l.found, func(a, b found) int { return cmp.Compare(a.at, b.at) })
	return l.findings(), nil
}

// linter is what rules look at: one domain.
type linter struct {
	*Document
	opts  LintOptions
	names *naming
	rule  *Rule
	found []found

	root    id // the domain
	devices id // 0 if there are none
	kind    string
	arch    string
	machine string
	cpus    int // up to how many it can grow; 1 if that is not said

	// By their index, those of type scsi: to be asked for each disk.
	scsiControllers map[string]id
}

type found struct {
	Finding
	at int32
}

func (l *linter) enter(n id) {
	l.root, l.devices = n, l.child(n, "devices")
	l.kind = l.get(n, "type")
	l.arch, l.machine = "", ""
	if t := l.down(n, "os", "type"); t != 0 {
		l.arch, l.machine = l.get(t, "arch"), l.get(t, "machine")
	}
	l.cpus = 1
	if v, err := strconv.Atoi(strings.TrimSpace(l.text(n, "vcpu"))); err == nil {
		l.cpus = v
	}
	l.scsiControllers = map[string]id{}
	for _, c := range l.all("controller") {
		index := l.get(c, "index")
		if index == "" {
			index = "0"
		}
		if _, ok := l.scsiControllers[index]; !ok && l.get(c, "type") == "scsi" {
			l.scsiControllers[index] = c
		}
	}
}

// qemu says whether the domain is run by QEMU, with KVM or without.
func (l *linter) qemu() bool { return l.kind == "kvm" || l.kind == "qemu" || l.kind == "hvf" }

// hasPCI says whether the machine has a bus for VirtIO devices that are added.
func (l *linter) hasPCI() bool {
	return !strings.HasPrefix(l.machine, "isapc") && !strings.HasPrefix(l.machine, "microvm")
}

// x86 is also what a document means that does not say it, on most hosts.
func (l *linter) x86() bool { return l.arch == "" || l.arch == "x86_64" || l.arch == "i686" }

// all returns the devices of a kind.
func (l *linter) all(name string) []id { return l.grandchildren(l.root, "devices", name) }

// disks returns those that the guest writes to: no CD-ROMs, floppies, or
// read-only ones.
func (l *linter) disks() []id {
	return slices.DeleteFunc(l.all("disk"), func(n id) bool {
		device := l.get(n, "device")
		return device != "" && device != "disk" && device != "lun" || l.child(n, "readonly") != 0
	})
}

// kindOf is the type of a device, or what libvirt takes where it is not said.
func (l *linter) kindOf(n id, otherwise string) string {
	if kind := l.get(n, "type"); kind != "" {
		return kind
	}
	return otherwise
}

// path returns that of something at an element: "" is the element itself,
// "driver/@cache" is below it.
func (l *linter) path(n id, below string) string {
	if below == "" {
		return l.names.path(n)
	}
	return l.names.path(n) + "/" + below
}

// report adds a finding at an element. The caller may add a fix to it.
func (l *linter) report(n id, format string, args ...any) *Finding {
	at := l.nodes[n].outer.from
	f := Finding{
		Rule: l.rule.ID, Severity: l.rule.Severity, Path: l.names.path(n),
		Message: printable(fmt.Sprintf(format, args...)), Why: l.rule.Why,
	}
	l.found = append(l.found, found{f, at})
	return &l.found[len(l.found)-1].Finding
}

// device is the path of something below the devices, which Set and Add make once
// where there are none.
func (l *linter) device(below string) string {
	if l.devices == 0 {
		return l.path(l.root, strings.TrimSuffix("devices/"+below, "/"))
	}
	return l.path(l.devices, below)
}

// findings fills in the lines, in one pass over the text.
func (l *linter) findings() []Finding {
	var list []Finding
	pos, row, column := 0, 1, 1
	for _, f := range l.found {
		part := l.src[pos:f.at]
		pos = int(f.at)
		if n := strings.Count(part, "\n"); n > 0 {
			row, column = row+n, 1
			part = part[strings.LastIndexByte(part, '\n')+1:]
		}
		column += utf8.RuneCountInString(part)
		f.Line, f.Column = row, column
		list = append(list, f.Finding)
	}
	return list
}
