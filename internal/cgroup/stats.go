package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Value is a number that the kernel may not know.
type Value struct {
	N      uint64
	Reason string // why it is not known; empty when it is
}

// Known says whether N is the value.
func (v Value) Known() bool { return v.Reason == "" }

// Stats are counters and levels of a group and those below it. Counters begin at 0
// when the group is made, which a guest that reboots itself has done to its own.
type Stats struct {
	CPU        Value // processor time in nanoseconds
	Memory     Value // bytes in use, without page cache that can be dropped at once
	Swap       Value // bytes
	Processes  Value // and threads
	ReadBytes  Value // of block devices
	WriteBytes Value
	ReadOps    Value
	WriteOps   Value
	// OOMKills counts processes that were killed for lack of memory. In version 1
	// each group has only its own: those of [Inner] are added, those deeper are not.
	OOMKills Value
}

// Stats reads the counters: at most eleven small files, and no directory. Transfers
// are those of the devices in the list, or of all if it is empty: where devices
// are stacked, a loop device on a disk for example, all counts a transfer
// more than once. What cannot be read is not an error: the value says why.
func (g *Group) Stats(devices ...Device) Stats {
	var s Stats
	s.CPU = g.cpuTime()
	s.Memory, s.Swap = g.memoryUse()
	s.Processes = g.number(PIDs, "pids.current", "pids.current")
	s.OOMKills = g.oomKills()
	if g.layout.version(IO) == 1 {
		s.ReadBytes, s.WriteBytes = g.transfers("blkio.throttle.io_service_bytes_recursive", devices)
		s.ReadOps, s.WriteOps = g.transfers("blkio.throttle.io_serviced_recursive", devices)
		return s
	}
	text, err := g.Get(IO, "io.stat")
	var sum [4]uint64
	if err == nil {
		sum, err = parseIOStat(text, devices)
	}
	for i, v := range []*Value{&s.ReadBytes, &s.WriteBytes, &s.ReadOps, &s.WriteOps} {
		*v = value(sum[i], err)
	}
	return s
}

// value is n, or what kept it from being known.
func value(n uint64, err error) Value {
	switch {
	case err == nil:
		return Value{N: n}
	case errors.Is(err, ErrNoController):
		return Value{Reason: ErrNoController.Error()}
	case gone(err):
		return Value{Reason: "the kernel has no counter for it, or the group is not there"}
	}
	return Value{Reason: err.Error()}
}

// number reads a file with one number.
func (g *Group) number(c Controller, v1, v2 string) Value {
	name := v1
	if g.layout.version(c) == 2 {
		name = v2
	}
	text, err := g.Get(c, name)
	if err != nil {
		return value(0, err)
	}
	return value(parseCount(text))
}

// cpuTime needs no controller in version 2.
func (g *Group) cpuTime() Value {
	if g.layout.version(CPUAcct) == 1 {
		return g.number(CPUAcct, "cpuacct.usage", "")
	}
	text, err := g.core("cpu.stat")
	if err != nil {
		return value(0, err)
	}
	n, err := field(text, "usage_usec")
	return value(n*1000, err)
}

// memoryUse takes the page cache that nobody uses off.
func (g *Group) memoryUse() (used, swap Value) {
	used = g.number(Memory, "memory.usage_in_bytes", "memory.current")
	text, err := g.Get(Memory, "memory.stat")
	if err != nil {
		return value(0, err), value(0, err)
	}
	inactive, name, found := uint64(0), "inactive_file", false
	if g.layout.version(Memory) == 1 {
		name, swap = "total_inactive_file", value(0, errors.New(reasonNoMemsw))
	}
	err = fields(text, func(n string, v uint64) {
		switch n {
		case name:
			inactive, found = v, true
		case "total_swap": // of version 1, and only if it is counted
			swap = Value{N: v}
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("memory.stat has no %s", name)
	}
	if err != nil && used.Known() {
		used = value(0, err)
	}
	if used.Known() {
		used.N -= min(inactive, used.N) // two files, read one after the other
	}
	if g.layout.version(Memory) == 2 {
		swap = g.number(Memory, "", "memory.swap.current")
	}
	return used, swap
}

func (g *Group) oomKills() Value {
	if g.layout.version(Memory) == 1 {
		const name = "memory.oom_control"
		own, inner := g.keyed(name, "oom_kill"), g.keyed(filepath.Join(Inner, name), "oom_kill")
		own.N += inner.N
		return own
	}
	return g.keyed("memory.events", "oom_kill")
}

// keyed reads one number of a file of the memory controller.
func (g *Group) keyed(file, name string) Value {
	text, err := g.Get(Memory, file)
	if err != nil {
		return value(0, err)
	}
	return value(field(text, name))
}

// transfers adds the numbers of a file of version 1.
func (g *Group) transfers(file string, devices []Device) (reads, writes Value) {
	text, err := g.Get(IO, file)
	var r, w uint64
	if err == nil {
		r, w, err = parseTransfers(text, devices)
	}
	return value(r, err), value(w, err)
}

// counts says whether transfers of a device are asked for.
func counts(devices []Device, d Device) bool {
	for _, want := range devices {
		if want == d {
			return true
		}
	}
	return len(devices) == 0
}

// parseTransfers reads "8:0 Read 123" and the like. The line "Total 123" and
// the other kinds of transfers, which are counted as reads or writes too, are
// passed over.
func parseTransfers(text string, devices []Device) (reads, writes uint64, err error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 2 && words[0] == "Total" {
			words = append([]string{"0:0"}, words...)
		}
		if len(words) != 3 {
			return 0, 0, fmt.Errorf("line %q is not a device, a kind and a number", clip(line))
		}
		d, err := parseDevice(words[0])
		if err != nil {
			return 0, 0, err
		}
		n, err := parseCount(words[2])
		switch {
		case err != nil:
			return 0, 0, err
		case !counts(devices, d):
		case words[1] == "Read":
			reads += n
		case words[1] == "Write":
			writes += n
		}
	}
	return reads, writes, nil
}

// parseIOStat adds the numbers of io.stat: bytes read and written, and operations.
// What is not a number of these is passed over: other counters that a kernel has.
func parseIOStat(text string, devices []Device) (sum [4]uint64, err error) {
	for line := range strings.Lines(text) {
		var got [4]uint64
		d, err := keyed(line, func(name, value string) (err error) {
			for i, want := range []string{"rbytes", "wbytes", "rios", "wios"} {
				if name == want {
					got[i], err = parseCount(value)
				}
			}
			return err
		})
		if err != nil {
			return sum, err
		}
		if counts(devices, d) {
			for i := range got {
				sum[i] += got[i]
			}
		}
	}
	return sum, nil
}
