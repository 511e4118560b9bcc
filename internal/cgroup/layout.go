package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/guestforge/provision/internal/mountinfo"
)

// Kind of a host, by where its controllers are.
type Kind string

// Kinds of hosts. Hybrid hosts have mounted version 2 too, with other controllers
// than those of version 1, or with none.
const (
	None   Kind = "none"
	Legacy Kind = "v1"
	Hybrid Kind = "hybrid"
	Pure   Kind = "v2"
)

// Hierarchy is one tree of groups.
type Hierarchy struct {
	Version int    // 1 or 2
	Dir     string // where it is mounted
	// Controllers by their names in version 2. Several may share a hierarchy of
	// version 1. In version 2 these are those of the mounted root.
	Controllers []Controller
	// Name of a hierarchy of version 1 without controllers, "systemd" mostly.
	Name string
}

// Layout says what control groups a host has. It does not change while the host
// runs, unless somebody mounts.
type Layout struct {
	Hierarchies []Hierarchy
	// NSDelegate says that version 2 keeps a guest with a cgroup namespace from
	// lifting the limits at its root. Without it, only ownership does.
	NSDelegate bool
	// SwapAccounting says that memory and swap can be limited apart.
	SwapAccounting bool
	// MemoryMin says that memory can be guaranteed: by version 2 only.
	MemoryMin bool
	// MemoryRecursive says that what is guaranteed to a group is so to those below
	// it, where the guest's processes are.
	MemoryRecursive bool
	// HostSwap is the size of the host's swap areas in bytes.
	HostSwap uint64
}

// Detect reads the layout of a host from /proc and /sys below root, which is "/"
// for this host. A host without control groups is no error: see [Layout.Kind].
func Detect(root string) (*Layout, error) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("layout of control groups: %w", err)
	}
	mounts, err := mountinfo.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("layout of control groups: %w", err)
	}
	l := &Layout{}
	for i := range mounts {
		if err := l.add(root, &mounts[i]); err != nil {
			return nil, fmt.Errorf("layout of control groups: %w", err)
		}
	}
	l.probeMemory()
	swaps, err := os.ReadFile(filepath.Join(root, "proc/swaps"))
	if os.IsNotExist(err) { // a kernel without swap
		return l, nil
	}
	if err == nil {
		l.HostSwap, err = parseSwaps(swaps)
	}
	if err != nil {
		return nil, fmt.Errorf("swap of the host: %w", err)
	}
	return l, nil
}

// add takes a mount if it is a hierarchy that is not known yet.
func (l *Layout) add(root string, m *mountinfo.Mount) error {
	h := Hierarchy{Dir: filepath.Join(root, m.Point)}
	switch m.Type {
	case "cgroup":
		h.Version = 1
		h.Controllers, h.Name = v1Controllers(m.Super)
	case "cgroup2":
		h.Version = 2
		text, err := os.ReadFile(filepath.Join(h.Dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for name := range strings.FieldsSeq(string(text)) {
			h.Controllers = append(h.Controllers, Controller(name))
		}
	default:
		return nil
	}
	same := func(o Hierarchy) bool {
		if o.Version == 2 || h.Version == 2 {
			return o.Version == h.Version
		}
		return o.Name == h.Name && slices.Equal(o.Controllers, h.Controllers) && (o.Name != "" || len(o.Controllers) > 0)
	}
	if slices.ContainsFunc(l.Hierarchies, same) {
		return nil
	}
	l.Hierarchies = append(l.Hierarchies, h)
	if h.Version == 2 {
		l.NSDelegate = slices.Contains(m.Super, "nsdelegate")
		l.MemoryRecursive = slices.Contains(m.Super, "memory_recursiveprot")
	}
	return nil
}

// v1Controllers finds the controllers among the options of a superblock, and the
// name if there is one. Unknown words are options, "xattr" for example.
func v1Controllers(options []string) (list []Controller, name string) {
	for _, o := range options {
		if n, ok := strings.CutPrefix(o, "name="); ok {
			name = n
		}
		if o == "blkio" {
			list = append(list, IO)
		} else if slices.Contains([]string{"cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer",
			"net_cls", "net_prio", "perf_event", "hugetlb", "rdma", "misc"}, o) {
			list = append(list, Controller(o))
		}
	}
	slices.Sort(list)
	return list, name
}

// probeMemory looks which files the memory controller has. In version 2 the root
// has none of them, so the first group that has the controller is looked at; where
// there is no such group, all files of Linux 4.18 and later are assumed.
func (l *Layout) probeMemory() {
	h, ok := l.Find(Memory)
	if !ok {
		return
	}
	if h.Version == 1 {
		l.SwapAccounting = exists(filepath.Join(h.Dir, "memory.memsw.limit_in_bytes"))
		return
	}
	l.SwapAccounting, l.MemoryMin = true, true
	if found, err := filepath.Glob(filepath.Join(h.Dir, "*", "memory.max")); err == nil && len(found) > 0 {
		dir := filepath.Dir(found[0])
		l.SwapAccounting = exists(filepath.Join(dir, "memory.swap.max"))
		l.MemoryMin = exists(filepath.Join(dir, "memory.min"))
	}
}

// Kind tells which of the two versions has the controllers that limits take.
func (l *Layout) Kind() Kind {
	_, two := l.unified()
	one := slices.ContainsFunc(l.Hierarchies, func(h Hierarchy) bool { return h.Version == 1 && len(h.Controllers) > 0 })
	switch {
	case one && two:
		return Hybrid
	case one:
		return Legacy
	case two:
		return Pure
	}
	return None
}

// Find returns the hierarchy that has a controller.
func (l *Layout) Find(c Controller) (Hierarchy, bool) {
	for _, h := range l.Hierarchies {
		if slices.Contains(h.Controllers, c) {
			return h, true
		}
	}
	return Hierarchy{}, false
}

// unified returns the hierarchy of version 2.
func (l *Layout) unified() (Hierarchy, bool) {
	i := slices.IndexFunc(l.Hierarchies, func(h Hierarchy) bool { return h.Version == 2 })
	if i < 0 {
		return Hierarchy{}, false
	}
	return l.Hierarchies[i], true
}

// version tells on which version a controller is, 0 for none.
func (l *Layout) version(c Controller) int {
	h, _ := l.Find(c)
	return h.Version
}

// parseSwaps adds the sizes in /proc/swaps, which are in KiB.
func parseSwaps(text []byte) (sum uint64, err error) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for _, line := range lines[1:] {
		fields := strings.Fields(string(line))
		if len(fields) < 5 {
			return 0, fmt.Errorf("line %q has not five fields", clip(string(line)))
		}
		n, err := parseCount(fields[2])
		if err != nil {
			return 0, err
		}
		sum += n * 1024
	}
	return sum, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
