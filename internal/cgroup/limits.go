package cgroup

import (
	"fmt"
	"math"
	"slices"
)

// NoLimit is the swap of a group that may take all that the host has.
const NoLimit = math.MaxUint64

// Limits of a group. The zero value of a field is no limit.
type Limits struct {
	CPU    float64 // processor time in cores
	Weight int     // against other groups, 1 to 10000; 100 is the kernel's own
	CPUs   []int   // numbers of the processors that may be used; default: all
	Memory uint64  // bytes, page cache included
	// Swap is bytes on top of Memory, without which it means nothing. Here zero is
	// no swap at all, and all that the host has is NoLimit.
	Swap       uint64
	Guaranteed uint64 // bytes of memory that are never reclaimed: memory.min
	Processes  uint64 // and threads
	IO         []IOLimit
}

// IOLimit limits the transfers of one device in a second.
type IOLimit struct {
	Device    Device // one of the [Volumes]; the kernel refuses partitions
	ReadBPS   uint64 // bytes
	WriteBPS  uint64
	ReadIOPS  uint64 // operations
	WriteIOPS uint64
}

// set says whether it limits anything.
func (l IOLimit) set() bool { return l.ReadBPS|l.WriteBPS|l.ReadIOPS|l.WriteIOPS > 0 }

// Device is the number of a block or character device.
type Device struct{ Major, Minor uint32 }

// String returns "8:0".
func (d Device) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

func compareDevices(a, b Device) int {
	if a.Major != b.Major {
		return int(a.Major) - int(b.Major)
	}
	return int(a.Minor) - int(b.Minor)
}

// check refuses what no kernel takes.
func (l *Limits) check() error {
	switch {
	case math.IsNaN(l.CPU) || l.CPU < 0 || l.CPU > maxCores:
		return fmt.Errorf("%v cores: write 0 to %d", l.CPU, maxCores)
	case l.Weight < 0 || l.Weight > 10000:
		return fmt.Errorf("weight %d: write 1 to 10000, or 0 for the ordinary one", l.Weight)
	case slices.ContainsFunc(l.CPUs, func(n int) bool { return n < 0 || n > maxCPU }):
		return fmt.Errorf("processors %v: write 0 to %d", l.CPUs, maxCPU)
	case l.Memory > math.MaxInt64 || l.Guaranteed > math.MaxInt64 || l.Swap != NoLimit && l.Swap > math.MaxInt64:
		return fmt.Errorf("memory %d, swap %d, guaranteed %d: at most %d bytes", l.Memory, l.Swap, l.Guaranteed, math.MaxInt64)
	case l.Processes > maxPIDs:
		return fmt.Errorf("%d processes: at most %d", l.Processes, maxPIDs)
	}
	var seen []Device
	for _, io := range l.IO {
		if slices.Contains(seen, io.Device) {
			return fmt.Errorf("device %s is limited twice", io.Device)
		}
		seen = append(seen, io.Device)
	}
	return nil
}

// Bounds of what the kernel takes, or more than any machine has.
const (
	maxCores = 8192
	maxCPU   = 8191
	maxPIDs  = 4 << 20 // PID_MAX_LIMIT
)

// Period and quota of processor time, in microseconds (sched-bwc.rst): the kernel
// takes periods of 1 ms to 1 s, and quotas of 1 ms or more.
const (
	ordinaryPeriod = 100_000
	maxPeriod      = 1_000_000
	minQuota       = 1000
)

// bandwidth turns cores into a quota for each period. Below a hundredth of a core the
// period is longer, and below a thousandth nothing less can be had.
func bandwidth(cores float64) (quota, period uint64) {
	quota, period = uint64(math.Floor(cores*ordinaryPeriod+1e-6)), ordinaryPeriod
	if quota >= minQuota {
		return quota, period
	}
	return minQuota, uint64(min(math.Ceil(minQuota/cores-1e-6), maxPeriod))
}

// Weights of version 1, cpu.shares, are 2 to 262144, and 1024 is the ordinary one;
// of version 2, cpu.weight, 1 to 10000 and 100.
const (
	ordinaryWeight = 100
	ordinaryShares = 1024
)

// shares turns a weight into that of version 1, linearly, as systemd and the kvm
// backend do. All weights come back as they were.
func shares(weight int) uint64 { return uint64(weight) * ordinaryShares / ordinaryWeight }

func weight(shares uint64) int {
	return int(math.Round(float64(shares) * ordinaryWeight / ordinaryShares))
}

// pages rounds down to what the kernel counts.
func pages(n uint64, page int) uint64 { return n - n%uint64(page) }
