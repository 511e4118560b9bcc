package cgroup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Knob is a file of a controller and what is written to it.
type Knob struct {
	Controller Controller
	Version    int // of the hierarchy that the controller is on
	File       string
	Value      string
}

// Key is the name of the knob in a configuration of liblxc (lxc.container.conf(5)).
// One of the wrong version is ignored there without an error.
func (k Knob) Key() string {
	if k.Version == 1 {
		return "lxc.cgroup." + k.File
	}
	return "lxc.cgroup2." + k.File
}

// Knobs returns what puts limits into effect on a new group, in the order in which
// it is to be written. Limits for which the host has no controller are left out:
// [Layout.Judge] says which.
func (l *Layout) Knobs(want *Limits) ([]Knob, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	r := &renderer{layout: l}
	r.limits(want)
	return r.list, nil
}

// AllKnobs returns what [Layout.Knobs] does, and what lifts the limits that are not
// set, for a group that may have had others. CPUs are left alone if there are none.
func (l *Layout) AllKnobs(want *Limits) ([]Knob, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	r := &renderer{layout: l, all: true}
	r.limits(want)
	return r.list, nil
}

// renderer collects knobs. With all, what is not limited is written too.
type renderer struct {
	layout *Layout
	all    bool
	list   []Knob
}

// add takes a knob in both versions; one that a version does not have is "".
func (r *renderer) add(c Controller, v1, v2, format string, args ...any) {
	version := r.layout.version(c)
	if file := [...]string{"", v1, v2}[version]; file != "" {
		r.list = append(r.list, Knob{c, version, file, fmt.Sprintf(format, args...)})
	}
}

func (r *renderer) limits(want *Limits) {
	r.cpu(want)
	r.memory(want)
	if want.Processes > 0 || r.all {
		r.add(PIDs, "pids.max", "pids.max", "%s", orMax(want.Processes))
	}
	for _, io := range slices.SortedFunc(slices.Values(want.IO), func(a, b IOLimit) int { return compareDevices(a.Device, b.Device) }) {
		r.io(io)
	}
}

func (r *renderer) cpu(want *Limits) {
	switch {
	case want.CPU > 0:
		quota, period := bandwidth(want.CPU)
		r.add(CPU, "cpu.cfs_period_us", "", "%d", period)
		r.add(CPU, "cpu.cfs_quota_us", "", "%d", quota)
		r.add(CPU, "", "cpu.max", "%d %d", quota, period)
	case r.all:
		r.add(CPU, "cpu.cfs_quota_us", "", "-1")
		r.add(CPU, "", "cpu.max", "max %d", ordinaryPeriod)
	}
	if w := want.Weight; w > 0 || r.all {
		if w == 0 {
			w = ordinaryWeight
		}
		r.add(CPU, "cpu.shares", "", "%d", shares(w))
		r.add(CPU, "", "cpu.weight", "%d", w)
	}
	if len(want.CPUs) > 0 {
		r.add(CPUSet, "cpuset.cpus", "cpuset.cpus", "%s", FormatSet(want.CPUs))
	}
}

// memory writes the sum of memory and swap in version 1, and after the memory:
// the other order is refused on a group without limits.
func (r *renderer) memory(want *Limits) {
	swap := r.layout.SwapAccounting
	switch {
	case want.Memory > 0:
		r.add(Memory, "memory.limit_in_bytes", "memory.max", "%d", want.Memory)
		switch {
		case !swap:
		case want.Swap == NoLimit:
			if r.all {
				r.add(Memory, "memory.memsw.limit_in_bytes", "", "-1")
				r.add(Memory, "", "memory.swap.max", "max")
			}
		default:
			r.add(Memory, "memory.memsw.limit_in_bytes", "", "%d", want.Memory+want.Swap)
			r.add(Memory, "", "memory.swap.max", "%d", want.Swap)
		}
	case r.all:
		if swap { // first, for it is never less than the memory
			r.add(Memory, "memory.memsw.limit_in_bytes", "", "-1")
			r.add(Memory, "", "memory.swap.max", "max")
		}
		r.add(Memory, "memory.limit_in_bytes", "", "-1")
		r.add(Memory, "", "memory.max", "max")
	}
	if r.layout.MemoryMin && (want.Guaranteed > 0 || r.all) {
		r.add(Memory, "", "memory.min", "%d", want.Guaranteed)
	}
}

// throttles are the files of version 1 that limit a device.
var throttles = []struct {
	file string
	of   func(*IOLimit) *uint64
}{
	{"blkio.throttle.read_bps_device", func(l *IOLimit) *uint64 { return &l.ReadBPS }},
	{"blkio.throttle.write_bps_device", func(l *IOLimit) *uint64 { return &l.WriteBPS }},
	{"blkio.throttle.read_iops_device", func(l *IOLimit) *uint64 { return &l.ReadIOPS }},
	{"blkio.throttle.write_iops_device", func(l *IOLimit) *uint64 { return &l.WriteIOPS }},
}

func (r *renderer) io(l IOLimit) {
	for _, t := range throttles {
		if n := *t.of(&l); n > 0 || r.all { // 0 is no limit
			r.add(IO, t.file, "", "%s %d", l.Device, n)
		}
	}
	if r.all || l.set() {
		r.add(IO, "", "io.max", "%s rbps=%s wbps=%s riops=%s wiops=%s", l.Device,
			orMax(l.ReadBPS), orMax(l.WriteBPS), orMax(l.ReadIOPS), orMax(l.WriteIOPS))
	}
}

// orMax writes a limit of version 2, where none is "max".
func orMax(n uint64) string {
	if n == 0 || n == NoLimit {
		return "max"
	}
	return strconv.FormatUint(n, 10)
}

// FormatSet writes numbers as the kernel does: "0-3,8".
func FormatSet(set []int) string {
	sorted := slices.Compact(slices.Sorted(slices.Values(set)))
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		part := strconv.Itoa(sorted[i])
		if j > i {
			part += "-" + strconv.Itoa(sorted[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// parseSet is the inverse of FormatSet.
func parseSet(text string) ([]int, error) {
	var set []int
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err := parseCount(from)
		b, err2 := parseCount(to)
		if err != nil || err2 != nil || a > b || b > maxCPU || len(set) > maxCPU {
			return nil, fmt.Errorf("%q is not a set of processors", clip(text))
		}
		for ; a <= b; a++ {
			set = append(set, int(a))
		}
	}
	return set, nil
}
