package cgroup

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
)

// Read returns the limits that the kernel has for the group. Those whose controller
// or file is not there are zero.
func (g *Group) Read() (*Limits, error) {
	l, err := (&source{g.layout, g.Get}).limits()
	if err != nil {
		return nil, fmt.Errorf("limits of control group %s: %w", g.path, err)
	}
	return l, nil
}

// Configured returns the limits that a new group would get from a configuration, which
// get reads: the value of a key of [Knob.Key], those of several lines joined by line
// feeds, or "" where there is none. Keys that liblxc would ignore on this host are not
// asked for.
func (l *Layout) Configured(get func(key string) string) (*Limits, error) {
	return (&source{l, func(c Controller, name string) (string, error) {
		if name == effectiveCPUs {
			name = cpusetFile
		}
		text := get(Knob{Controller: c, Version: l.version(c), File: name}.Key())
		if text == "" {
			return "", fs.ErrNotExist
		}
		return text, nil
	}}).limits()
}

// effectiveCPUs is the file of version 2 that tells the processors of a group which
// has none of its own too.
const effectiveCPUs = "cpuset.cpus.effective"

// source is what limits are read from.
type source struct {
	layout *Layout
	get    func(c Controller, name string) (string, error)
}

func (g *source) limits() (*Limits, error) {
	l := &Limits{}
	for _, part := range []func(*Limits) error{g.readCPU, g.readMemory, g.readIO} {
		if err := part(l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// one reads a file with parse, and leaves value as it is if it is not there.
func one[T any](g *source, c Controller, v1, v2 string, value *T, parse func(string) (T, error)) error {
	name := [...]string{"", v1, v2}[g.layout.version(c)]
	if name == "" {
		return nil
	}
	text, err := g.get(c, name)
	if err != nil {
		return ignoreGone(err)
	}
	n, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*value = n
	return nil
}

func (g *source) readCPU(l *Limits) error {
	var quota, period uint64
	read := []error{
		one(g, CPU, "cpu.cfs_quota_us", "", &quota, parseQuota),
		one(g, CPU, "cpu.cfs_period_us", "", &period, parseCount),
		one(g, CPU, "", "cpu.max", &l.CPU, parseBandwidth),
		one(g, CPU, "cpu.shares", "", &l.Weight, parseShares),
		one(g, CPU, "", "cpu.weight", &l.Weight, parseWeight),
		one(g, CPUSet, cpusetFile, "", &l.CPUs, parseSet),
		one(g, CPUSet, "", effectiveCPUs, &l.CPUs, parseSet),
		one(g, PIDs, "pids.max", "pids.max", &l.Processes, parseLimit),
	}
	for _, err := range read {
		if err != nil {
			return err
		}
	}
	if quota > 0 && period > 0 {
		l.CPU = float64(quota) / float64(period)
	}
	return nil
}

// unlimitedV1 is the least value that version 1 shows for memory without limit, with
// any size of pages that there is.
const unlimitedV1 = math.MaxInt64 - 1<<16

func (g *source) readMemory(l *Limits) error {
	var sum uint64
	swap := uint64(NoLimit)
	read := []error{
		one(g, Memory, "memory.limit_in_bytes", "memory.max", &l.Memory, parseLimit),
		one(g, Memory, "memory.memsw.limit_in_bytes", "", &sum, parseLimit),
		one(g, Memory, "", "memory.swap.max", &swap, parseMax),
		one(g, Memory, "", minFile, &l.Guaranteed, parseMax),
	}
	for _, err := range read {
		if err != nil {
			return err
		}
	}
	if l.Memory == 0 {
		return nil
	}
	if sum >= l.Memory {
		swap = sum - l.Memory
	}
	l.Swap = swap
	return nil
}

func (g *source) readIO(l *Limits) error {
	devices := make(map[Device]*IOLimit)
	at := func(d Device) *IOLimit {
		if devices[d] == nil {
			devices[d] = &IOLimit{Device: d}
		}
		return devices[d]
	}
	for _, t := range throttles {
		var list []deviceCount
		if err := one(g, IO, t.file, "", &list, parseThrottle); err != nil {
			return err
		}
		for _, d := range list {
			*t.of(at(d.device)) = d.n
		}
	}
	if err := one(g, IO, "", "io.max", &l.IO, parseIOMax); err != nil {
		return err
	}
	for _, d := range devices {
		l.IO = append(l.IO, *d)
	}
	slices.SortFunc(l.IO, func(a, b IOLimit) int { return compareDevices(a.Device, b.Device) })
	return nil
}

// parseLimit reads a limit, of which none is 0 here.
func parseLimit(s string) (uint64, error) {
	n, err := parseMax(s)
	if n == NoLimit || n >= unlimitedV1 {
		return 0, err
	}
	return n, err
}

// parseQuota reads cpu.cfs_quota_us, where none is -1.
func parseQuota(s string) (uint64, error) {
	if s == "-1" {
		return 0, nil
	}
	return parseCount(s)
}

// parseBandwidth reads cpu.max, "QUOTA PERIOD", as cores.
func parseBandwidth(s string) (float64, error) {
	first, second, found := strings.Cut(s, " ")
	quota, err := parseMax(first)
	period, err2 := parseCount(second)
	if !found || err != nil || err2 != nil || period == 0 {
		return 0, fmt.Errorf("%q is not a quota and a period", clip(s))
	}
	if quota == NoLimit {
		return 0, nil
	}
	return float64(quota) / float64(period), nil
}

func parseShares(s string) (int, error) {
	n, err := parseCount(s)
	return weight(min(n, 1<<32)), err
}

func parseWeight(s string) (int, error) {
	n, err := parseCount(s)
	if err == nil && n > 10000 {
		return 0, fmt.Errorf("weight %d is over 10000", n)
	}
	return int(n), err
}
