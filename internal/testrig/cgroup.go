//go:build linux

package testrig

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groupPrefix begins the names of control groups that rigs make; the pid of the
// starter follows.
const groupPrefix = "testrig-"

// hierarchy is a mount of control groups, of version 1 or 2, and the rig's own
// group in it, which a cgroup namespace makes the root.
type hierarchy struct {
	mount   string // where it is mounted on the host
	version int
	opts    string // "cpu,cpuacct" or "name=systemd"; empty for version 2
	group   string // directory of the rig's group, on the host
}

// cgroups are the groups of one rig, one in each hierarchy.
type cgroups struct{ list []hierarchy }

// cgroupsUsed are the controllers that a rig with control groups uses. The others
// are left alone: that of devices would have to know what QEMU may open. In version
// 2 there is no cpuacct, cpu has it.
var cgroupsUsed = []string{"cpu", "cpuset", "memory", "cpuacct"}

// newCgroups makes a group in each hierarchy of the host, for the rig in a directory. Those that a starter
// left which is dead are removed first.
func newCgroups(dir string) (*cgroups, error) {
	c := &cgroups{}
	found, err := hierarchies()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s%d-%s", groupPrefix, os.Getpid(), filepath.Base(dir))
	for _, h := range found {
		if !slices.ContainsFunc(cgroupsUsed, h.has) {
			continue // libvirt would take an empty one of version 2 for all there is
		}
		sweep(filepath.Dir(h.group))
		h.group = filepath.Join(filepath.Dir(h.group), name)
		c.list = append(c.list, h)
		if err := h.create(); err != nil {
			return nil, errors.Join(fmt.Errorf("control group %s: %w", h.group, err), c.remove())
		}
	}
	for _, want := range cgroupsUsed {
		if want != "cpuacct" && !slices.ContainsFunc(c.list, func(h hierarchy) bool { return h.has(want) }) {
			return nil, errors.Join(fmt.Errorf("the host has no hierarchy of control groups with the controller %q", want), c.remove())
		}
	}
	return c, nil
}

// hierarchies lists what /proc/self/mountinfo and /proc/self/cgroup tell. Groups
// of version 1 are made below that of this process, to stay within its bounds;
// of version 2 below the root, because a group with processes has no children
// there that have controllers.
func hierarchies() ([]hierarchy, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []hierarchy
	for s := bufio.NewScanner(f); s.Scan(); {
		before, after, _ := strings.Cut(s.Text(), " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 3 {
			continue
		}
		h := hierarchy{mount: where[4]}
		switch what[0] {
		case "cgroup2":
			h.version, h.group = 2, filepath.Join(h.mount, "any")
		case "cgroup":
			h.version = 1
			var opts []string
			for o := range strings.SplitSeq(what[2], ",") {
				if o != "rw" && o != "ro" && o != "xattr" && o != "seclabel" && !strings.HasPrefix(o, "release_agent=") && o != "clone_children" {
					opts = append(opts, o)
				}
			}
			h.opts = strings.Join(opts, ",")
			h.group = filepath.Join(h.mount, ownGroup(string(own), h.opts), "any")
		default:
			continue
		}
		if !slices.ContainsFunc(list, func(o hierarchy) bool { return o.version == h.version && o.opts == h.opts }) {
			list = append(list, h)
		}
	}
	return list, nil
}

// ownGroup finds the path of this process in the hierarchy with these options.
func ownGroup(text, opts string) string {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && parts[1] == opts {
			return parts[2]
		}
	}
	return "/"
}

func (h *hierarchy) create() error {
	if err := os.Mkdir(h.group, 0o755); err != nil {
		return err
	}
	if h.version == 2 {
		return h.enable(filepath.Dir(h.group))
	}
	if !slices.Contains(strings.Split(h.opts, ","), "cpuset") {
		return nil
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} { // empty in a new group, which then takes no process
		text, err := os.ReadFile(filepath.Join(filepath.Dir(h.group), name))
		if err == nil {
			err = os.WriteFile(filepath.Join(h.group, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enable gives the children of a group of version 2 the controllers that there
// are.
func (h *hierarchy) enable(parent string) error {
	text, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
	for _, name := range strings.Fields(string(text)) {
		if slices.Contains(cgroupsUsed, name) {
			err = errors.Join(err, os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+name), 0o644))
		}
	}
	return err
}

// has says whether it has a controller.
func (h *hierarchy) has(controller string) bool {
	list := strings.Split(h.opts, ",")
	if h.version == 2 {
		text, _ := os.ReadFile(filepath.Join(h.mount, "cgroup.controllers")) // absent: none
		list = strings.Fields(string(text))
	}
	return slices.Contains(list, controller)
}

// table is for holder.sh: a line for each hierarchy with its version, options,
// name below /sys/fs/cgroup and group.
func (c *cgroups) table() string {
	var b strings.Builder
	if c == nil {
		return ""
	}
	for _, h := range c.list {
		name := "."
		if rest, ok := strings.CutPrefix(h.mount, "/sys/fs/cgroup/"); ok {
			name = rest
		}
		opts := h.opts
		if opts == "" {
			opts = "-"
		}
		fmt.Fprintf(&b, "%d %s %s %s\n", h.version, opts, name, h.group)
	}
	return b.String()
}

// remove removes the groups and all below them, once their processes are dead.
func (c *cgroups) remove() error {
	if c == nil {
		return nil
	}
	var errs []error
	for _, h := range c.list {
		errs = append(errs, removeGroup(h.group, 10*time.Second))
	}
	return errors.Join(errs...)
}

// removeGroup waits for processes that are dying, for some time.
func removeGroup(dir string, patience time.Duration) error {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var dirs []string
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil // somebody else may be removing it
		})
		for _, d := range slices.Backward(dirs) {
			if e := syscall.Rmdir(d); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("remove control group %s: %w", d, e))
			}
		}
		if err == nil || time.Since(begin) > patience {
			return err
		}
	}
}

// sweep removes groups of starters that are dead.
func sweep(parent string) {
	groups, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, dir := range groups {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = removeGroup(dir, 0) // one that is busy still is somebody's
		}
	}
}
