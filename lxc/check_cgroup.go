package lxc

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/mountinfo"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroups is what is mounted of control groups.
type cgroups struct {
	unified   string            // mount point of v2, or ""
	v1        map[string]string // mount point by controller, or by "name=systemd"
	strict    bool              // v2 has nsdelegate
	recursive bool              // v2 has memory_recursiveprot
	// kernelHas says of each controller that the kernel has whether it is on; nil if
	// that is not known.
	kernelHas map[string]bool
}

// pure says whether there is v2 and no more, as liblxc sees it.
func (c *cgroups) pure() bool { return c.unified == cgroupRoot && len(c.v1) == 0 }

// layout names what there is as liblxc does.
func (c *cgroups) layout() string {
	switch {
	case c.pure():
		return "v2"
	case c.unified != "" && len(c.v1) > 0:
		return "hybrid"
	case len(c.v1) > 0:
		return "v1"
	}
	return ""
}

func findCgroups(m *machine, mounts []mountinfo.Mount) cgroups {
	c := cgroups{v1: map[string]string{}, kernelHas: parseCgroups(m.text("proc/cgroups"))}
	for _, mnt := range mounts {
		switch mnt.Type {
		case "cgroup2":
			c.unified, c.strict, c.recursive = mnt.Point, mnt.Has("nsdelegate"), mnt.Has("memory_recursiveprot")
		case "cgroup":
			for _, o := range mnt.Super {
				_, ok := c.kernelHas[o]
				known := slices.ContainsFunc(controllerTable, func(x controller) bool { return x.v1 == o })
				if ok || known || strings.HasPrefix(o, "name=") {
					c.v1[o] = mnt.Point
				}
			}
		}
	}
	return c
}

// parseCgroups reads /proc/cgroups: subsystem, hierarchy, number of groups, enabled.
func parseCgroups(text string) map[string]bool {
	var has map[string]bool
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 4 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if has == nil {
			has = map[string]bool{}
		}
		has[f[0]] = f[3] == "1"
	}
	return has
}

func (e *examination) controlGroups(context.Context) []provision.Finding {
	c := &e.groups
	var seen []string
	if len(c.v1) > 0 {
		seen = append(seen, "v1: "+strings.Join(slices.Sorted(maps.Keys(c.v1)), " "))
	}
	if c.unified != "" {
		seen = append(seen, "v2 at "+c.unified+": "+e.text(inside(c.unified)+"/cgroup.controllers"))
	}
	switch {
	case c.layout() == "" && e.mounts == nil:
		return []provision.Finding{unknown("cgroups", fails, "control groups are mounted", "/proc/self/mountinfo cannot be read", "mount /proc")}
	case c.layout() == "" && c.unified == "":
		v, why := e.option("CONFIG_CGROUPS", "")
		remedy := "mount cgroup2 at " + cgroupRoot + ", as systemd does"
		if v == absent {
			remedy = "boot a kernel with CONFIG_CGROUPS"
		}
		return []provision.Finding{lacks("cgroups", fails, "no control groups are mounted, and no guest starts", why, remedy)}
	case c.layout() == "":
		return []provision.Finding{lacks("cgroups", fails, "control groups are mounted where liblxc does not look, and no guest starts", "v2 at "+c.unified, "mount cgroup2 at "+cgroupRoot)}
	}
	list := []provision.Finding{has("cgroups", "control groups are mounted: "+c.layout(), strings.Join(seen, "; "))}
	if !c.pure() {
		list = append(list, e.legacy()...)
	}
	return list
}

// legacy looks at what only v1 has.
func (e *examination) legacy() []provision.Finding {
	c := &e.groups
	var list []provision.Finding
	if at, ok := c.v1["name=systemd"]; ok {
		list = append(list, has("cgroup-systemd", "the hierarchy of systemd is mounted", at))
	} else {
		list = append(list, lacks("cgroup-systemd", cautions, "the hierarchy of systemd is not mounted: guests whose init is an older systemd do not boot", "",
			"mount -t cgroup -o none,name=systemd cgroup "+cgroupRoot+"/systemd"))
	}
	at, ok := c.v1["cpuset"]
	if !ok {
		for _, name := range slices.Sorted(maps.Keys(c.v1)) {
			at = c.v1[name]
			break
		}
	}
	if at != "" && e.there(inside(at)+"/cgroup.clone_children") {
		return append(list, has("cgroup-clone-children", "groups of v1 can take over settings of their parent", at))
	}
	return append(list, lacks("cgroup-clone-children", cautions, "groups of v1 cannot take over settings of their parent", at, "boot Linux 3.0 or later, or use v2"))
}

// anyGroup returns a group below a mount point, for files that the first has not.
func (e *examination) anyGroup(point string) (string, bool) {
	entries, err := fs.ReadDir(e.files, inside(point))
	if err != nil || point == "" {
		return "", false
	}
	for _, d := range entries {
		if d.IsDir() {
			return inside(point) + "/" + d.Name(), true
		}
	}
	return "", false
}
