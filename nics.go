package provision

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pairNICs tells which of the hypervisor's NICs each of a Spec is, or -1 where it
// is gone: that with its MAC and, of what then remains on both sides, one after the
// other, as a MAC may have been changed by other means.
func pairNICs(spec []NIC, have []NICStatus) []int {
	pairs, taken := make([]int, len(spec)), make([]bool, len(have))
	for i, n := range spec {
		pairs[i] = slices.IndexFunc(have, func(h NICStatus) bool { return h.MAC == n.MAC })
		if pairs[i] >= 0 {
			taken[pairs[i]] = true
		}
	}
	for i := range pairs {
		if free := slices.Index(taken, false); pairs[i] < 0 && free >= 0 {
			pairs[i], taken[free] = free, true
		}
	}
	return pairs
}

// observeNICs puts what the hypervisor has over what was asked for. A NIC that is
// gone becomes zero. A hypervisor that tells of none is taken to tell nothing.
func observeNICs(spec []NIC, have []NICStatus) {
	if len(have) == 0 {
		return
	}
	for i, at := range pairNICs(spec, have) {
		if at < 0 {
			spec[i] = NIC{}
			continue
		}
		n := have[at]
		spec[i].Bridge, spec[i].VLAN, spec[i].MAC = n.Bridge, n.VLAN, n.MAC
		spec[i].MTU, spec[i].Isolated = n.MTU, n.Isolated
	}
}

// nicLimits are the backend's limits, with those of NICs under the numbers that
// the Spec gives them: a backend counts what it finds, and a NIC may be gone. It
// does not know either whether the default was wanted, so what it says of
// antiSpoof is left out where that was switched off.
func nicLimits(st *Status, r *record) []Limit {
	pairs := pairNICs(r.Spec.NICs, st.NICs)
	var list []Limit
	for _, l := range st.Limits {
		at, field, ok := nicPath(l.Path)
		if ok && len(st.NICs) > 0 {
			i := slices.Index(pairs, at)
			if i < 0 || field == "antiSpoof" && r.Spec.NICs[i].AntiSpoof == Off {
				continue
			}
			l.Path = fmt.Sprintf("nics[%d].%s", i, field)
		}
		list = append(list, l)
	}
	return append(list, goneNICs(list, r, pairs)...)
}

// nicGone is the reason of limits of a NIC that is in the Spec alone.
const nicGone = "the NIC is gone"

// goneNICs are the limits of NICs that somebody has taken away, beside those that
// are told. Of rates, compared says that.
func goneNICs(told []Limit, r *record, pairs []int) (list []Limit) {
	for i, n := range r.Spec.NICs {
		if pairs[i] >= 0 {
			continue
		}
		gone := func(field string) {
			l := Limit{Path: fmt.Sprintf("nics[%d].%s", i, field), Want: "true", Enforcement: NotEnforced, Reason: nicGone}
			list = append(list, untold(told, l)...)
		}
		if n.AntiSpoof != Off {
			gone("antiSpoof")
		}
		if n.Isolated {
			gone("isolated")
		}
	}
	return list
}

// untold are those of more whose paths are not told yet.
func untold(told []Limit, more ...Limit) []Limit {
	return slices.DeleteFunc(more, func(m Limit) bool {
		return slices.ContainsFunc(told, func(l Limit) bool { return l.Path == m.Path })
	})
}

// nicPath takes "nics[1].rate.in" apart.
func nicPath(path string) (nic int, field string, ok bool) {
	rest, ok := strings.CutPrefix(path, "nics[")
	if !ok {
		return 0, "", false
	}
	number, field, ok := strings.Cut(rest, "].")
	nic, err := strconv.Atoi(number)
	return nic, field, ok && err == nil
}
