package kvm

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/guestforge/provision"
)

// controllers of cgroups that limits take, with their names in v1.
var controllers = []struct{ v2, v1 string }{{"cpu", "cpu"}, {"cpuset", "cpuset"}, {"io", "blkio"}, {"memory", "memory"}}

// chosenRE finds what qemu.conf restricts libvirtd to.
var chosenRE = regexp.MustCompile(`(?m)^[ \t]*cgroup_controllers[ \t]*=[ \t]*\[([^\]]*)\]`)

// cgroups tells which limits the kernel can enforce, and libvirtd may.
func (e *examination) cgroups(context.Context) ([]provision.Finding, error) {
	kind, have := "v2", strings.Fields(e.text("sys/fs/cgroup/cgroup.controllers"))
	if len(have) == 0 {
		kind = "v1"
		for _, c := range controllers {
			if e.has("sys/fs/cgroup/" + c.v1) {
				have = append(have, c.v2)
			}
		}
	}
	if len(have) == 0 {
		return warn("the kernel has no cgroups where libvirtd looks for them: limits of processor, memory and disks are not enforced", "/sys/fs/cgroup",
			"mount cgroup2 at /sys/fs/cgroup, as systemd does"), nil
	}
	var lost, off []string
	chosen := chosenRE.FindStringSubmatch(e.text("etc/libvirt/qemu.conf"))
	for _, c := range controllers {
		if !slices.Contains(have, c.v2) {
			lost = append(lost, c.v2)
		}
		if chosen != nil && !strings.Contains(chosen[1], `"`+c.v1+`"`) && !strings.Contains(chosen[1], `"`+c.v2+`"`) {
			off = append(off, c.v1)
		}
	}
	seen := kind + ": " + some(have)
	switch {
	case lost != nil:
		return warn("the kernel has not all controllers of cgroups: some limits are not enforced", seen+"; not "+some(lost),
			"look at cgroup_disable on the kernel's command line, and for a container at what it is given"), nil
	case off != nil:
		return warn("libvirtd was told not to use all controllers of cgroups: some limits are refused", seen+"; qemu.conf leaves out "+some(off),
			"remove cgroup_controllers from /etc/libvirt/qemu.conf and restart libvirtd"), nil
	}
	return fine("the kernel can enforce limits", seen), nil
}
