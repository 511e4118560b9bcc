package cgroup

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Apply brings the group, which may have processes, to these limits; those that are
// not set are lifted. Limits that the host cannot have are passed over: see
// [Group.Verify].
//
// Lowering memory below what is in use makes version 1 refuse with EBUSY, and
// version 2 kill. Block I/O limits of version 1 hold for one group and not for those
// below, so they are written to the group [Inner] too.
func (g *Group) Apply(want *Limits) error {
	if err := g.apply(want); err != nil {
		return fmt.Errorf("limits of control group %s: %w", g.path, err)
	}
	return nil
}

func (g *Group) apply(want *Limits) error {
	if err := want.check(); err != nil {
		return err
	}
	have, err := g.Read()
	if err != nil {
		return err
	}
	full := *want
	full.IO = slices.Clone(want.IO)
	for _, old := range have.IO { // devices that are not limited any more
		if !slices.ContainsFunc(want.IO, func(l IOLimit) bool { return l.Device == old.Device }) {
			full.IO = append(full.IO, IOLimit{Device: old.Device})
		}
	}
	r := &renderer{layout: g.layout, all: true}
	r.limits(&full)
	for _, k := range raisingFirst(r.list, want.Memory > have.Memory && have.Memory > 0) {
		if err := g.put(k, want); err != nil {
			return err
		}
	}
	if len(want.CPUs) == 0 {
		if err := g.unpin(); err != nil {
			return err
		}
	}
	return g.Protect()
}

// raisingFirst swaps memory and the sum of memory and swap of version 1, which
// is to be raised before its part is.
func raisingFirst(list []Knob, raising bool) []Knob {
	is := func(name string) int {
		return slices.IndexFunc(list, func(k Knob) bool { return k.File == name })
	}
	memory, sum := is("memory.limit_in_bytes"), is("memory.memsw.limit_in_bytes")
	if raising && memory >= 0 && sum > memory {
		list[memory], list[sum] = list[sum], list[memory]
	}
	return list
}

// put writes one knob.
func (g *Group) put(k Knob, want *Limits) error {
	if k.Controller == CPUSet && k.Version == 1 {
		return g.pin(want.CPUs)
	}
	err := g.Set(k.Controller, k.File, k.Value)
	if err != nil || k.Controller != IO || k.Version != 1 {
		return err
	}
	return ignoreGone(g.Set(IO, filepath.Join(Inner, k.File), k.Value))
}

// pin sets the processors of a group of version 1 and of all below it. The kernel
// wants those of a group to be within those of the group above at each step: so
// they grow from the top, and shrink from below.
func (g *Group) pin(cpus []int) error {
	h, ok := g.layout.Find(CPUSet)
	if !ok {
		return nil
	}
	dir := filepath.Join(h.Dir, g.path)
	if err := ascend(dir, func(d *os.Root) error {
		text, err := d.ReadFile(cpusetFile)
		if err != nil {
			return ignoreGone(err)
		}
		have, err := parseSet(strings.TrimSpace(string(text)))
		if err != nil || len(have) == 0 { // a guest's own group that is not in use
			return err
		}
		return setCPUs(d, append(have, cpus...))
	}); err != nil {
		return err
	}
	return descend(dir, func(d *os.Root) error { return setCPUs(d, cpus) })
}

const cpusetFile = "cpuset.cpus"

func setCPUs(d *os.Root, cpus []int) error {
	return ignoreGone(d.WriteFile(cpusetFile, []byte(FormatSet(cpus)+"\n"), 0o644))
}

// unpin gives all processors that the group above has.
func (g *Group) unpin() error {
	h, ok := g.layout.Find(CPUSet)
	if !ok {
		return nil
	}
	if h.Version == 2 {
		return g.Set(CPUSet, cpusetFile, "")
	}
	text, err := read(filepath.Join(h.Dir, path.Dir(g.path), cpusetFile))
	if err != nil {
		return err
	}
	all, err := parseSet(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	have, err := g.Get(CPUSet, cpusetFile)
	if err != nil || have == FormatSet(all) {
		return err
	}
	return g.pin(all)
}
