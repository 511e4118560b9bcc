package lxc

import (
	"context"
	"slices"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/mountinfo"
)

// delegation looks at how v2 hands controllers to groups below, and keeps guests from
// lifting limits (cgroup-v2.rst, "Delegation").
func (e *examination) delegation(context.Context) []provision.Finding {
	g := &e.groups
	if !g.pure() {
		return nil
	}
	return []provision.Finding{e.handed(), e.strict(), e.recursive()}
}

func (e *examination) handed() provision.Finding {
	const check = "cgroup-delegation"
	dir := inside(e.groups.unified)
	handed := strings.Fields(e.text(dir + "/cgroup.subtree_control"))
	var kept []string
	for _, c := range strings.Fields(e.text(dir + "/cgroup.controllers")) {
		if slices.ContainsFunc(controllerTable, func(x controller) bool { return x.v2 == c }) && !slices.Contains(handed, c) {
			kept = append(kept, c)
		}
	}
	seen := "cgroup.subtree_control: " + strings.Join(handed, " ")
	switch {
	case !e.there(dir + "/cgroup.subtree_control"):
		return unknown(check, cautions, "controllers are handed to the groups of guests", "/"+dir+"/cgroup.subtree_control cannot be read", "mount cgroup2 at "+cgroupRoot)
	case kept == nil:
		return has(check, "controllers are handed to the groups of guests", seen)
	case e.there(dir+"/cgroup.type") && e.text(dir+"/cgroup.procs") != "":
		// Only a group that is not the very first has a type. With processes of its
		// own it may hand nothing down.
		return lacks(check, cautions, "controllers cannot be handed to the groups of guests: "+strings.Join(kept, " "), seen+"; there are processes in the group itself",
			"in a container, have its init move them to a group below")
	}
	return has(check, "controllers are handed to the groups of guests when one starts: "+strings.Join(kept, " "), seen)
}

func (e *examination) strict() provision.Finding {
	const check = "cgroup-nsdelegate"
	if e.groups.strict {
		return has(check, "a guest cannot lift its own limits by its group", "nsdelegate")
	}
	seen, remedy := "cgroup2 is mounted without nsdelegate", "mount -o remount,nsdelegate,memory_recursiveprot "+cgroupRoot+", at each boot"
	if slices.ContainsFunc(e.mounts, func(m mountinfo.Mount) bool { return m.Type == "fuse.lxcfs" }) {
		seen += "; lxcfs is running, and some of its versions take it away (lxcfs issue 681)"
		remedy += "; upgrade lxcfs"
	}
	return lacks(check, cautions, "a guest with privileges that uses its group directly can lift its limits", seen, remedy)
}

// recursive: a guest's processes are in a group below the one that has its limits, which
// its guaranteed memory reaches only with this option (cgroup-v2.rst).
func (e *examination) recursive() provision.Finding {
	const check = "cgroup-recursiveprot"
	if e.groups.recursive {
		return has(check, "memory that is guaranteed to a guest is kept for all that is in it", "memory_recursiveprot")
	}
	return lacks(check, cautions, "memory cannot be guaranteed to guests", "cgroup2 is mounted without memory_recursiveprot",
		"mount -o remount,nsdelegate,memory_recursiveprot "+cgroupRoot+", at each boot (Linux 5.7)")
}

// swap: without accounting, a limit of memory does not limit swap.
func (e *examination) swap(context.Context) []provision.Finding {
	const (
		check  = "cgroup-swap"
		good   = "swap of guests is counted"
		bad    = "swap of guests is not counted: limits of swap are refused"
		remedy = "boot with swapaccount=1"
	)
	g := &e.groups
	if at, ok := g.v1["memory"]; ok {
		file := inside(at) + "/memory.memsw.limit_in_bytes"
		if e.there(file) {
			return []provision.Finding{has(check, good, "/"+file)}
		}
		return []provision.Finding{lacks(check, cautions, bad, "there is no /"+file, remedy)}
	}
	if !g.pure() {
		return nil // there is no controller of memory, which is a finding
	}
	group, ok := e.anyGroup(g.unified)
	switch {
	case ok && e.there(group+"/memory.swap.max"):
		return []provision.Finding{has(check, good, "/"+group+"/memory.swap.max")}
	case ok && e.there(group+"/memory.max"):
		return []provision.Finding{lacks(check, cautions, bad, "there is no /"+group+"/memory.swap.max", remedy)}
	}
	return []provision.Finding{unknown(check, cautions, good, "no group has the controller of memory yet", "start a guest, and check again")}
}
