package provision

import (
	"fmt"
	"strconv"
	"strings"
)

// askedLimits are the limits that a Spec asks for beside counts and sizes, which
// readBack has.
func askedLimits(s *Spec) []Limit {
	var list []Limit
	add := func(want, path string, index ...any) {
		if want != "" && want != "0" && want != "false" {
			list = append(list, Limit{Path: fmt.Sprintf(path, index...), Want: want})
		}
	}
	add(strconv.FormatFloat(s.CPU.Limit, 'f', -1, 64), "cpu.limit")
	add(strconv.Itoa(s.CPU.Weight), "cpu.weight")
	if len(s.CPU.Pin) > 0 {
		list = append(list, Limit{Path: "cpu.pin", Want: strings.Trim(fmt.Sprint(s.CPU.Pin), "[]")}) // as plans write lists
	}
	add(s.Memory.Swap.String(), "memory.swap")
	add(strconv.FormatBool(s.Memory.Guaranteed), "memory.guaranteed")
	add(strconv.FormatBool(s.Memory.HugePages), "memory.hugePages")
	for i, d := range s.Disks {
		add(strconv.FormatUint(d.Inodes, 10), "disks[%d].inodes", i)
		add(strconv.FormatUint(d.IOPS, 10), "disks[%d].iops", i)
		add(d.BPS.String(), "disks[%d].bps", i)
	}
	for i, n := range s.NICs {
		add(n.Rate.In.String(), "nics[%d].rate.in", i)
		add(n.Rate.Out.String(), "nics[%d].rate.out", i)
	}
	add(strconv.FormatUint(s.Limits.Processes, 10), "limits.processes")
	add(strconv.FormatUint(s.Limits.OpenFiles, 10), "limits.openFiles")
	return list
}

// compared holds what a backend read back against what was asked for. A limit
// that nobody asked for, or that is gone, was changed by other means.
func compared(read []Limit, s *Spec) []Limit {
	asked, sizes := askedLimits(s), askedSizes(s)
	wants := make(map[string]string, len(asked))
	for _, l := range asked {
		wants[l.Path] = l.Want
	}
	var list []Limit
	for _, l := range read {
		want, ok := wants[l.Path]
		delete(wants, l.Path)
		switch {
		case ok:
			l.Want = want
			if l.Enforcement == Enforced && !sameAmount(l.Path, want, l.Have) {
				l.Enforcement, l.Reason = NotEnforced, changedByOthers
			}
		case sizes[l.Path] != "":
			l.Want = sizes[l.Path]
			if l.Enforcement == Enforced && !sameSize(l.Want, l.Have) {
				l.Enforcement, l.Reason = NotEnforced, changedByOthers
			}
		case isLimit(l.Path):
			l.Want, l.Enforcement, l.Reason = "", NotEnforced, changedByOthers
		}
		list = append(list, l)
	}
	for _, l := range asked {
		if _, missing := wants[l.Path]; missing {
			l.Enforcement, l.Reason = NotEnforced, changedByOthers
			list = append(list, l)
		}
	}
	return list
}

// askedSizes are the counts and sizes of a Spec, by path, for backends that tell of
// them among their limits. For others there is readBack.
func askedSizes(s *Spec) map[string]string {
	sizes := map[string]string{}
	if s.CPU.Count != 0 {
		sizes["cpu.count"] = strconv.Itoa(s.CPU.Count)
	}
	if s.Memory.Size != 0 {
		sizes["memory.size"] = s.Memory.Size.String()
	}
	for i, d := range s.Disks {
		if d.Size != 0 {
			sizes[fmt.Sprintf("disks[%d].size", i)] = d.Size.String()
		}
	}
	return sizes
}

// sameSize compares what was asked for with what is there, if that is told.
func sameSize(want, have string) bool {
	w, err := ParseBytes(want)
	h, err2 := ParseBytes(have)
	return have == "" || want == have || err == nil && err2 == nil && roundedUp(w, h)
}

// isLimit says whether a path is one of those of askedLimits.
func isLimit(path string) bool {
	switch indexRE.ReplaceAllString(path, "") {
	case "cpu.limit", "cpu.weight", "cpu.pin", "memory.swap", "memory.guaranteed", "memory.hugePages", "disks.inodes", "disks.iops",
		"disks.bps", "nics.rate.in", "nics.rate.out", "limits.processes", "limits.openFiles":
		return true
	}
	return false
}

// Hypervisors round: processor time to thousandths of a core, rates of networks
// to KiB a second, never up.
const (
	coreUnit = 0.001
	rateUnit = 8 * 1024
)

// sameAmount compares what was asked for with what is there, as far as it can be
// had.
func sameAmount(path, want, have string) bool {
	switch {
	case want == have:
		return true
	case path == "cpu.limit":
		w, err := strconv.ParseFloat(want, 64)
		h, err2 := strconv.ParseFloat(have, 64)
		return err == nil && err2 == nil && h <= w && w-h < coreUnit
	case strings.Contains(path, ".rate."):
		w, err := ParseBitRate(want)
		h, err2 := ParseBitRate(have)
		return err == nil && err2 == nil && h <= w && w-h < rateUnit
	}
	return false
}

// setLimit puts what was read back into a Spec, so that a plan shows it. Empty is
// no limit.
func setLimit(s *Spec, path, have string) {
	n, _ := strconv.ParseUint(have, 10, 63)
	size, _ := ParseBytes(have)
	rate, _ := ParseBitRate(have)
	var i int
	_, _ = fmt.Sscanf(path, "disks[%d]", &i)
	_, _ = fmt.Sscanf(path, "nics[%d]", &i)
	isDisk := strings.HasPrefix(path, "disks[") && i < len(s.Disks)
	isNIC := strings.HasPrefix(path, "nics[") && i < len(s.NICs)
	switch _, field, _ := strings.Cut(path, "."); {
	case path == "cpu.limit":
		s.CPU.Limit, _ = strconv.ParseFloat(have, 64)
	case path == "cpu.weight":
		s.CPU.Weight = int(n)
	case path == "cpu.pin":
		s.CPU.Pin = nil
		for f := range strings.FieldsSeq(have) {
			cpu, _ := strconv.Atoi(f)
			s.CPU.Pin = append(s.CPU.Pin, cpu)
		}
	case path == "memory.swap":
		s.Memory.Swap = size
	case path == "memory.guaranteed":
		s.Memory.Guaranteed = have == "true"
	case path == "memory.hugePages":
		s.Memory.HugePages = have == "true"
	case isDisk && field == "inodes":
		s.Disks[i].Inodes = n
	case isDisk && field == "iops":
		s.Disks[i].IOPS = n
	case isDisk && field == "bps":
		s.Disks[i].BPS = size
	case isNIC && field == "rate.in":
		s.NICs[i].Rate.In = rate
	case isNIC && field == "rate.out":
		s.NICs[i].Rate.Out = rate
	case path == "limits.processes":
		s.Limits.Processes = n
	case path == "limits.openFiles":
		s.Limits.OpenFiles = n
	}
}
