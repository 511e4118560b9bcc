package kvm

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// host is what decides on how limits are put into effect on a host.
type host struct {
	weights weights // of processors
	locks   bool    // libvirtd may lock memory
	huge    uint64  // size of huge pages in KiB
}

// weights is the scale that libvirt's "shares" have: it writes them unchanged to
// cpu.shares of cgroup v1, 2 to 262144, where 1024 is ordinary, or to cpu.weight
// of v2, 1 to 10000, where 100 is (formatdomain, "CPU Tuning"; vircgroupv2.c).
type weights uint64

const (
	weightsUnknown weights = 0
	weightsV1      weights = 1024
	weightsV2      weights = 100
)

// ordinary is the weight of a guest of which nothing is said.
const ordinary = 100

func (w weights) shares(weight int) uint64 { return uint64(weight) * uint64(w) / ordinary }

// weight is the inverse of shares, which is exact for all weights.
func (w weights) weight(shares uint64) int {
	if w == weightsUnknown {
		return 0
	}
	return int(math.Round(float64(shares) * ordinary / float64(w)))
}

// limits puts the limits of processor and memory into the domain. Those of disks
// and NICs are with them.
func limits(d *domainxml.Guest, s *provision.Spec, h host) {
	d.CPUs, d.Memory = s.CPU.Count, uint64(s.Memory.Size)
	d.CPU.Limit = uint64(math.Floor(s.CPU.Limit*1000 + 1e-6)) // 0.29*1000 is 289.99999999999994
	d.CPU.Shares = h.weights.shares(s.CPU.Weight)
	d.CPU.Pin = pinSet(s.CPU.Pin)
	if s.Memory.HugePages {
		d.Backing.HugePages = h.huge
	}
	if s.Memory.Guaranteed {
		d.Backing.NoBalloon, d.Backing.NoMerge, d.Backing.Allocated = true, true, true
		if h.locks && !s.Memory.HugePages { // huge pages are never swapped out
			d.Backing.Locked, d.Backing.HardLimit = true, uint64(s.Memory.Size+lockSlack(s))
		}
	}
}

// lockSlack is what QEMU may have beside the guest's memory when all of it is
// locked. libvirt's manual demands a bound then (formatdomain, "locked"), and the
// kernel kills what exceeds it: so it is far more than QEMU ever needs, and keeps
// one that has gone mad from eating the host.
func lockSlack(s *provision.Spec) provision.Bytes { return 4*overhead(s) + provision.GiB }

// pinSet writes a set as libvirt does: "0-3,8".
func pinSet(pin []int) string {
	sorted := slices.Sorted(slices.Values(pin))
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		part := fmt.Sprint(sorted[i])
		if j > i {
			part += fmt.Sprintf("-%d", sorted[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// kibPerSecond is a rate in the unit that libvirt has, rounded down.
func kibPerSecond(r provision.BitRate) uint64 { return uint64(r) / 8 / 1024 }
