package provision

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var indexRE = regexp.MustCompile(`\[\d+\]`)

// feature returns the feature that a limit belongs to.
func (l *Limit) feature() Feature {
	path := indexRE.ReplaceAllString(l.Path, "")
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".in"), ".out")
	return Feature(path)
}

// readBack compares the sizes that were asked for with those that the
// hypervisor has. What it does not tell is left to the backend's own Limits.
func readBack(st *Status, r *record) []Limit {
	var list []Limit
	add := func(path, want, have string) {
		if slices.ContainsFunc(st.Limits, func(l Limit) bool { return l.Path == path }) {
			return
		}
		l := Limit{Path: path, Want: want, Have: have, Enforcement: Enforced}
		if want != have {
			l.Enforcement, l.Reason = NotEnforced, "it was changed by other means"
		}
		list = append(list, l)
	}
	if st.CPUs != 0 {
		add("cpu.count", strconv.Itoa(r.Spec.CPU.Count), strconv.Itoa(st.CPUs))
	}
	if st.Memory != 0 {
		add("memory.size", r.Spec.Memory.Size.String(), st.Memory.String())
	}
	for i, d := range r.Spec.Disks {
		if d.Size != 0 && i < len(st.Disks) && st.Disks[i].Size != 0 {
			add(fmt.Sprintf("disks[%d].size", i), d.Size.String(), st.Disks[i].Size.String())
		}
	}
	return list
}

// addresses are those that the guest was configured to have, and then those
// that it was seen with.
func addresses(r *record, seen []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, n := range r.Spec.NICs {
		list = append(list, n.Addresses...)
	}
	for _, a := range seen {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}
