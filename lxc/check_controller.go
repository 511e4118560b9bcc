package lxc

import (
	"context"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// controller is one of those that limits take.
type controller struct {
	v1, v2 string
	option string // of the kernel
	lost   string
	also   string // option that its limits take beside; "" if none
}

var controllerTable = []controller{
	{"cpu", "cpu", "CONFIG_CGROUP_SCHED", "limits of processors are refused", "CONFIG_CFS_BANDWIDTH"},
	{"cpuacct", "cpu", "CONFIG_CGROUP_CPUACCT", "what guests take of the processors is not counted", ""},
	{"cpuset", "cpuset", "CONFIG_CPUSETS", "guests cannot be bound to processors", ""},
	{"memory", "memory", "CONFIG_MEMCG", "limits of memory are refused", ""},
	{"pids", "pids", "CONFIG_CGROUP_PIDS", "limits of processes are refused: one guest can take all of the host's", ""},
	{"blkio", "io", "CONFIG_BLK_CGROUP", "limits of disk I/O are refused", "CONFIG_BLK_DEV_THROTTLING"},
	{"devices", "devices", "CONFIG_CGROUP_DEVICE", "a guest with privileges may use every device", ""},
	{"freezer", "freezer", "CONFIG_CGROUP_FREEZER", "guests cannot be paused", ""},
	{"hugetlb", "hugetlb", "CONFIG_CGROUP_HUGETLB", "huge pages are not limited", ""},
}

func (e *examination) controllers(ctx context.Context) []provision.Finding {
	var list []provision.Finding
	if e.groups.layout() == "" {
		return nil // controlGroups said so
	}
	for i := range controllerTable {
		c := &controllerTable[i]
		list = append(list, e.controller(c))
	}
	if e.kernel.config != nil {
		list = append(list, e.judgeAll(ctx, []feature{
			{check: "cgroup-cpu-quota", what: "quotas of processor time", lost: "limits of processors are refused", severity: cautions, option: "CONFIG_CFS_BANDWIDTH"},
			{check: "cgroup-io-throttle", what: "limits of block devices", lost: "limits of disk I/O are refused", severity: cautions, option: "CONFIG_BLK_DEV_THROTTLING"},
		})...)
	}
	return list
}

// severity of the absence: few ask for huge pages.
func (c *controller) severity() provision.Severity {
	if c.v1 == "hugetlb" {
		return informs
	}
	return cautions
}

func (e *examination) controller(c *controller) provision.Finding {
	g := &e.groups
	check := "cgroup-" + c.v2
	if c.v1 == "cpuacct" {
		check = "cgroup-cpuacct"
	}
	good := "there is the controller " + c.v1
	if g.unified != "" && c.v1 != c.v2 {
		good = "there is the controller " + c.v2
	}
	if at, ok := g.v1[c.v1]; ok {
		return has(check, "there is the controller "+c.v1, "v1 at "+at)
	}
	switch {
	case g.pure() && c.v1 == "freezer":
		return e.unifiedFreezer(check, c)
	case g.pure() && c.v1 == "devices":
		return e.unifiedDevices(check, c)
	case g.pure() && c.v1 == "cpuacct":
		if e.there(inside(g.unified) + "/cpu.stat") {
			return has(check, "there is what does the work of the controller cpuacct", "v2, cpu.stat")
		}
	}
	if g.unified != "" && slices.Contains(strings.Fields(e.text(inside(g.unified)+"/cgroup.controllers")), c.v2) {
		return has(check, good, "v2 at "+g.unified)
	}
	bad := "there is no controller " + c.v1 + ": " + c.lost
	on, ok := g.kernelHas[c.v1]
	switch {
	case ok && !on:
		return lacks(check, c.severity(), bad, "/proc/cgroups says that it is off", "remove cgroup_disable="+c.v1+" from the kernel's command line; for memory, some need cgroup_enable=memory")
	case ok && g.pure():
		return lacks(check, c.severity(), bad, "the kernel has it, but "+g.unified+"/cgroup.controllers has not", "in a container, have it handed in; else look for a v1 hierarchy that keeps it")
	case ok:
		return lacks(check, c.severity(), bad, "the kernel has it, but it is mounted nowhere", "mount -t cgroup -o "+c.v1+" cgroup "+cgroupRoot+"/"+c.v1)
	case g.kernelHas == nil:
		return unknown(check, c.severity(), good, "/proc/cgroups cannot be read", "mount /proc")
	}
	return lacks(check, c.severity(), bad, "/proc/cgroups has no "+c.v1, "boot a kernel with "+c.option)
}

// unifiedFreezer: cgroup.freeze of v2 is in every group but the first, since Linux 5.2.
func (e *examination) unifiedFreezer(check string, c *controller) provision.Finding {
	group, _ := e.anyGroup(e.groups.unified)
	switch {
	case group != "" && e.there(group+"/cgroup.freeze"):
		return has(check, "there is the controller freezer", "v2, /"+group+"/cgroup.freeze")
	case group != "" || e.kernel.version != 0 && e.kernel.version < 5002:
		return lacks(check, c.severity(), "there is no controller freezer: "+c.lost, "Linux "+e.kernel.name+", /"+group, "boot Linux 5.2 or later")
	case e.kernel.version == 0:
		return unknown(check, c.severity(), "there is the controller freezer", "no group to look at, and no version", "start a guest, and check again")
	}
	return has(check, "there is the controller freezer", "v2 of Linux "+e.kernel.name)
}

// unifiedDevices: v2 has no such controller, but programs of BPF that decide.
func (e *examination) unifiedDevices(check string, c *controller) provision.Finding {
	v, seen := e.option("CONFIG_CGROUP_BPF", "")
	switch v {
	case present:
		return has(check, "there is what does the work of the controller devices", "v2, BPF: "+seen)
	case absent:
		return lacks(check, c.severity(), "there is nothing that does the work of the controller devices: "+c.lost, seen, "boot a kernel with CONFIG_CGROUP_BPF")
	}
	return unknown(check, c.severity(), "there is what does the work of the controller devices", seen, "install the kernel's configuration as /boot/config-"+e.kernel.name)
}
