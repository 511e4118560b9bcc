//go:build linux

package lxc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// limitsOf is what a definition asks of control groups, but for transfers.
func limitsOf(d *definition) *cgroup.Limits {
	l := &cgroup.Limits{CPU: d.Spec.CPU.Limit, Weight: d.Spec.CPU.Weight, CPUs: d.Pin, Memory: uint64(d.Spec.Memory.Size),
		Swap: uint64(d.Spec.Memory.Swap), Processes: d.Spec.Limits.Processes}
	if d.Spec.Memory.Guaranteed {
		l.Guaranteed = uint64(d.Spec.Memory.Size)
	}
	return l
}

// transfers adds the limits of reads and writes on these devices.
func transfers(l *cgroup.Limits, disk *provision.Disk, devices []cgroup.Device) {
	for _, dev := range devices {
		l.IO = append(l.IO, cgroup.IOLimit{Device: dev, ReadBPS: uint64(disk.BPS), WriteBPS: uint64(disk.BPS), ReadIOPS: disk.IOPS, WriteIOPS: disk.IOPS})
	}
}

// limitsTransfers says whether there is such a limit.
func limitsTransfers(disk *provision.Disk) bool { return disk.IOPS != 0 || disk.BPS != 0 }

// allLimits is what is to be in effect while a guest is on. An image file is on a
// loop device, which has its number only while it is mounted.
func (b *Backend) allLimits(d *definition) (*cgroup.Limits, error) {
	l := limitsOf(d)
	if !limitsTransfers(&d.Spec.Disks[0]) {
		return l, nil
	}
	at := b.opts.LXCPath
	if d.Root == RootImage {
		at = b.rootOf(d).Path()
	}
	devices, err := b.volumesOf(at)
	var none *cgroup.NoDiskError
	if errors.As(err, &none) {
		return l, nil
	}
	transfers(l, &d.Spec.Disks[0], devices)
	return l, err
}

// knobs are the limits that liblxc is to set itself: all but those on a loop device.
func (b *Backend) knobs(d *definition) ([]cgroup.Knob, error) {
	if d.Root == RootImage {
		return b.groups.Knobs(limitsOf(d))
	}
	l, err := b.allLimits(d)
	if err != nil {
		return nil, err
	}
	return b.groups.Knobs(l)
}

// reading turns limits of control groups into those of a Status.
type reading struct {
	d    *definition
	want *cgroup.Limits
	have *cgroup.Limits
	list []provision.Limit
}

// limitsInEffect lists what the kernel has, and of what was asked for, why it does
// not hold. What somebody has changed is told as it is: Host compares.
func limitsInEffect(d *definition, want, have *cgroup.Limits, verdicts []cgroup.Verdict) []provision.Limit {
	r := &reading{d: d, want: want, have: have}
	r.add("cpu.limit", have.CPU > 0, strconv.FormatFloat(have.CPU, 'f', -1, 64))
	r.add("cpu.weight", d.Spec.CPU.Weight != 0 || have.Weight != ordinaryWeight && have.Weight != 0, strconv.Itoa(have.Weight))
	r.add("cpu.pin", len(d.Spec.CPU.Pin) > 0, words(have.CPUs))
	r.add("memory.swap", have.Swap > 0, amount(have.Swap))
	r.add("memory.guaranteed", have.Guaranteed > 0, strconv.FormatBool(have.Guaranteed >= have.Memory))
	r.add("limits.processes", have.Processes > 0, strconv.FormatUint(have.Processes, 10))
	r.disk()
	for _, v := range verdicts {
		for _, path := range paths[v.Limit] {
			r.judge(path, v)
		}
	}
	return r.list
}

// ordinaryWeight is what a group has that was given none.
const ordinaryWeight = 100

// paths are the fields of a Spec that become limits of control groups.
var paths = map[cgroup.Name][]string{
	cgroup.LimitCPU:        {"cpu.limit"},
	cgroup.LimitWeight:     {"cpu.weight"},
	cgroup.LimitCPUs:       {"cpu.pin"},
	cgroup.LimitMemory:     {"memory.size"},
	cgroup.LimitSwap:       {"memory.swap"},
	cgroup.LimitGuaranteed: {"memory.guaranteed"},
	cgroup.LimitProcesses:  {"limits.processes"},
	cgroup.LimitIO:         {"disks[0].iops", "disks[0].bps"},
}

func (r *reading) add(path string, there bool, have string) {
	if there {
		r.list = append(r.list, provision.Limit{Path: path, Have: have, Enforcement: provision.Enforced})
	}
}

// disk reads the limits of transfers, which are the same for reads and writes, and
// for all devices that hold the root.
func (r *reading) disk() {
	if len(r.have.IO) == 0 {
		return
	}
	first := r.have.IO[0]
	same := !slices.ContainsFunc(r.have.IO, func(l cgroup.IOLimit) bool {
		return l.ReadBPS != first.ReadBPS || l.WriteBPS != first.ReadBPS || l.ReadIOPS != first.ReadIOPS || l.WriteIOPS != first.ReadIOPS
	})
	if !same || len(r.have.IO) < len(r.want.IO) {
		r.add("disks[0].iops", r.d.Spec.Disks[0].IOPS != 0, "not the same for all")
		r.add("disks[0].bps", r.d.Spec.Disks[0].BPS != 0, "not the same for all")
		return
	}
	r.add("disks[0].iops", first.ReadIOPS > 0, strconv.FormatUint(first.ReadIOPS, 10))
	r.add("disks[0].bps", first.ReadBPS > 0, provision.Bytes(first.ReadBPS).String())
}

// apart is what is wrong with limits of transfers that a kernel enforces.
const apart = "reads and writes are limited apart, each to this"

// changedByOthers is what Host says of a limit that is another one.
const changedByOthers = "it was changed by other means"

// amount writes bytes, of which there may be no limit.
func amount(n uint64) string {
	if n == cgroup.NoLimit {
		return "max"
	}
	return provision.Bytes(n).String()
}

// judge adds what is wrong with a limit that was asked for.
func (r *reading) judge(path string, v cgroup.Verdict) {
	if v.Differs && path != "memory.size" {
		return
	}
	if v.Differs {
		v.Reason = changedByOthers
	}
	i := slices.IndexFunc(r.list, func(l provision.Limit) bool { return l.Path == path })
	if v.Limit == cgroup.LimitIO && v.Enforcement == cgroup.Enforced {
		v.Enforcement, v.Reason = cgroup.Partial, apart
	}
	if v.Enforcement == cgroup.Enforced || i < 0 && !r.asked(path) {
		return
	}
	if i < 0 {
		r.list = append(r.list, provision.Limit{Path: path, Have: r.haveOf(path)})
		i = len(r.list) - 1
	}
	r.list[i].Enforcement, r.list[i].Reason = provision.Enforcement(v.Enforcement.String()), v.Reason
}

// asked says whether the Spec has such a limit: a verdict may be about several.
func (r *reading) asked(path string) bool {
	switch path {
	case "cpu.pin":
		return len(r.d.Spec.CPU.Pin) > 0
	case "disks[0].iops":
		return r.d.Spec.Disks[0].IOPS != 0
	case "disks[0].bps":
		return r.d.Spec.Disks[0].BPS != 0
	}
	return true
}

func (r *reading) haveOf(path string) string {
	if path == "memory.size" && r.have.Memory > 0 {
		return provision.Bytes(r.have.Memory).String()
	}
	return ""
}

// words writes numbers as plans do.
func words(list []int) string { return strings.Trim(fmt.Sprint(list), "[]") }
