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

// Reasons of limits that are not as the record says.
const (
	changedByOthers = "it was changed by other means"
	diskGone        = "the disk is gone"
	waitsForStart   = "it takes effect with the next restart"
	halfResized     = "a resize did not finish; the same Resize again finishes it"
)

// differs reports that what is in effect is not what the record says.
func (l *Limit) differs() bool {
	return l.Reason == changedByOthers || l.Reason == waitsForStart || l.Reason == halfResized
}

// tellResized says of limits that are not as the record says when that is the
// doing of a Resize. What somebody else changes until the guest is started by us is
// then told as waiting, too.
func tellResized(st *Status, r *record, list []Limit) []Limit {
	for i := range list {
		switch l := &list[i]; {
		case l.Reason != changedByOthers:
		case r.Resizing != nil:
			l.Reason = halfResized
		case st.State.Live() && slices.Contains(r.Waiting, l.Path):
			l.Reason = waitsForStart
		}
	}
	return list
}

// tellGone says of limits that are not as they were made when that is because
// their disk is gone.
func tellGone(st *Status, list []Limit) []Limit {
	for i := range list {
		l := &list[i]
		var disk int
		if n, _ := fmt.Sscanf(l.Path, "disks[%d].", &disk); n != 1 || l.Reason != changedByOthers || l.Have != "" || len(st.Disks) == 0 {
			continue
		}
		if _, found := st.disk(disk); !found {
			l.Reason = diskGone
		}
	}
	return list
}

// readBack compares the sizes that were asked for with those that the
// hypervisor has. What it does not tell is left to the backend's own Limits.
func readBack(st *Status, r *record) []Limit {
	var list []Limit
	add := func(path, want, have string, rounded bool) {
		if slices.ContainsFunc(st.Limits, func(l Limit) bool { return l.Path == path }) {
			return
		}
		l := Limit{Path: path, Want: want, Have: have, Enforcement: Enforced}
		if want != have && !rounded {
			l.Enforcement, l.Reason = NotEnforced, changedByOthers
		}
		list = append(list, l)
	}
	if st.CPUs != 0 {
		add("cpu.count", strconv.Itoa(r.Spec.CPU.Count), strconv.Itoa(st.CPUs), false)
	}
	if st.Memory != 0 {
		add("memory.size", r.Spec.Memory.Size.String(), st.Memory.String(), false)
	}
	pairs := pairNICs(r.Spec.NICs, st.NICs)
	for i, n := range r.Spec.NICs {
		if n.Isolated && pairs[i] >= 0 {
			add(fmt.Sprintf("nics[%d].isolated", i), "true", strconv.FormatBool(st.NICs[pairs[i]].Isolated), false)
		}
	}
	for i, d := range r.Spec.Disks {
		have, found := st.disk(i)
		switch at := fmt.Sprintf("disks[%d].size", i); {
		case d.Size == 0 || found && have.Size == 0:
		case found:
			add(at, d.Size.String(), have.Size.String(), roundedUp(d.Size, have.Size))
		case len(st.Disks) > 0:
			add(at, d.Size.String(), "", false)
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
