package cgroup

import (
	"fmt"
	"math"
	"os"
	"slices"
)

// Enforcement says whether a limit holds.
type Enforcement int

// Values of [Enforcement].
const (
	NotEnforced Enforcement = iota
	Partial
	Enforced
)

// String returns "not enforced", "partial" or "enforced".
func (e Enforcement) String() string {
	return [...]string{"not enforced", "partial", "enforced"}[e]
}

// Name of a limit: that of the field of [Limits].
type Name string

// Names of limits. One of IO is told apart by its device.
const (
	LimitCPU        Name = "CPU"
	LimitWeight     Name = "Weight"
	LimitCPUs       Name = "CPUs"
	LimitMemory     Name = "Memory"
	LimitSwap       Name = "Swap"
	LimitGuaranteed Name = "Guaranteed"
	LimitProcesses  Name = "Processes"
	LimitIO         Name = "IO"
)

// Verdict is about one limit that was asked for.
type Verdict struct {
	Limit       Name
	Device      Device // of LimitIO
	Enforcement Enforcement
	Reason      string // empty when it is enforced
	Differs     bool   // the host could enforce it, and the group has another value, or none
}

// Reasons that hold for any value.
const (
	reasonBlkio     = "with version 1 of control groups only direct and synced transfers are held back, buffered writes are not, and a group that the guest makes itself escapes"
	reasonMin       = "version 1 of control groups cannot guarantee memory; boot the host with version 2 alone"
	reasonNoMin     = "the kernel has no memory.min; it takes Linux 4.18"
	reasonNotBelow  = "cgroup2 is mounted without memory_recursiveprot, and what is guaranteed to a group does not reach those below it; remount it with that (Linux 5.7)"
	reasonNoMemsw   = "the kernel does not count swap; boot the host with swapaccount=1"
	reasonNoSwap    = "the host has no swap"
	reasonSwapOpen  = "the kernel does not count swap: what is over the limit goes to the host's swap; boot the host with swapaccount=1"
	reasonNoLimited = "swap is limited together with memory, which has no limit"
)

// Judge says of each limit that is set whether this host can enforce it, before
// there is a group.
func (l *Layout) Judge(want *Limits) []Verdict {
	var list []Verdict
	add := func(name Name, e Enforcement, reason string) {
		list = append(list, Verdict{Limit: name, Enforcement: e, Reason: reason})
	}
	by := func(name Name, c Controller, set bool) {
		if e, reason := l.has(c); set {
			add(name, e, reason)
		}
	}
	by(LimitCPU, CPU, want.CPU > 0)
	if least := float64(minQuota) / maxPeriod; want.CPU > 0 && want.CPU < least && list[0].Enforcement == Enforced {
		list[0].Enforcement, list[0].Reason = Partial, fmt.Sprintf("the kernel limits to %v cores at the least", least)
	}
	by(LimitWeight, CPU, want.Weight > 0)
	by(LimitCPUs, CPUSet, len(want.CPUs) > 0)
	l.judgeMemory(want, by, add)
	by(LimitProcesses, PIDs, want.Processes > 0)
	for _, io := range want.IO {
		if !io.set() {
			continue
		}
		v := Verdict{Limit: LimitIO, Device: io.Device}
		v.Enforcement, v.Reason = l.has(IO)
		if l.version(IO) == 1 {
			v.Enforcement, v.Reason = Partial, reasonBlkio
		}
		list = append(list, v)
	}
	return list
}

func (l *Layout) judgeMemory(want *Limits, by func(Name, Controller, bool), add func(Name, Enforcement, string)) {
	version := l.version(Memory)
	if want.Memory > 0 && version > 0 && !l.SwapAccounting && l.HostSwap > 0 {
		add(LimitMemory, Partial, reasonSwapOpen)
	} else {
		by(LimitMemory, Memory, want.Memory > 0)
	}
	switch {
	case want.Swap == 0:
	case want.Memory == 0:
		add(LimitSwap, NotEnforced, reasonNoLimited)
	case version > 0 && !l.SwapAccounting:
		add(LimitSwap, NotEnforced, reasonNoMemsw)
	case version > 0 && l.HostSwap == 0:
		add(LimitSwap, NotEnforced, reasonNoSwap)
	default:
		by(LimitSwap, Memory, true)
	}
	switch {
	case want.Guaranteed == 0:
	case version == 1:
		add(LimitGuaranteed, NotEnforced, reasonMin)
	case version == 2 && !l.MemoryMin:
		add(LimitGuaranteed, NotEnforced, reasonNoMin)
	case version == 2 && !l.MemoryRecursive:
		add(LimitGuaranteed, NotEnforced, reasonNotBelow)
	default:
		by(LimitGuaranteed, Memory, true)
	}
}

// has judges a controller.
func (l *Layout) has(c Controller) (Enforcement, string) {
	if l.version(c) == 0 {
		return NotEnforced, fmt.Sprintf("the kernel has no controller %q of control groups; look at cgroup_disable on its command line, and in a container at what it is given", c)
	}
	return Enforced, ""
}

// Verify reads the group's limits back and says of each that is wanted whether it is
// in effect. What the kernel rounds, memory to pages and processor time to
// microseconds, counts as in effect.
func (g *Group) Verify(want *Limits) (have *Limits, list []Verdict, err error) {
	have, err = g.Read()
	if err != nil {
		return nil, nil, err
	}
	list = g.layout.Compare(want, have)
	for i := range list {
		v := &list[i]
		if v.Enforcement == NotEnforced || v.Limit != LimitGuaranteed {
			continue
		}
		at, err := g.unprotected()
		if err != nil {
			return nil, nil, err
		}
		if at != "" {
			v.Enforcement, v.Reason = NotEnforced, "less than that is guaranteed to the group above, "+at
		}
	}
	return have, list, nil
}

// Compare says what [Group.Verify] does, of limits that were read elsewhere.
func (l *Layout) Compare(want, have *Limits) []Verdict {
	list := l.Judge(want)
	for i := range list {
		v := &list[i]
		if v.Enforcement != NotEnforced && !v.holds(want, have) {
			v.Enforcement, v.Reason, v.Differs = NotEnforced, "the kernel has another value for it, or none", true
		}
	}
	return list
}

// holds compares what is wanted with what was read back.
func (v *Verdict) holds(want, have *Limits) bool {
	page := os.Getpagesize()
	switch v.Limit {
	case LimitCPU:
		quota, period := bandwidth(want.CPU)
		return have.CPU > 0 && math.Abs(float64(quota)/float64(period)-have.CPU) < 1e-6
	case LimitWeight:
		return have.Weight == want.Weight
	case LimitCPUs:
		return FormatSet(have.CPUs) == FormatSet(want.CPUs)
	case LimitMemory:
		return have.Memory == pages(want.Memory, page)
	case LimitSwap:
		return want.Swap == have.Swap || pages(want.Memory+want.Swap, page) == have.Memory+have.Swap || pages(want.Swap, page) == have.Swap
	case LimitGuaranteed:
		return have.Guaranteed == pages(want.Guaranteed, page)
	case LimitProcesses:
		return have.Processes == want.Processes
	case LimitIO:
		at := func(l IOLimit) bool { return l.Device == v.Device }
		i, j := slices.IndexFunc(want.IO, at), slices.IndexFunc(have.IO, at)
		return j >= 0 && want.IO[i] == have.IO[j]
	}
	return false
}
