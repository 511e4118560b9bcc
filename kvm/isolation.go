package kvm

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// isolations says of a running guest's isolated NICs whether it runs with them so,
// by its live document: its definition may be newer.
func isolations(text string, st *provision.Status) ([]provision.Limit, error) {
	live, err := domainxml.Read([]byte(text))
	if err != nil {
		return nil, err
	}
	return isolatedLimits(st, live.NICs), nil
}

func isolatedLimits(st *provision.Status, live []domainxml.NICItem) (list []provision.Limit) {
	for i, n := range st.NICs {
		if running(st) && n.Isolated {
			list = append(list, isolatedLimit(i, n.MAC, live))
		}
	}
	return list
}

func isolatedLimit(i int, mac provision.MAC, live []domainxml.NICItem) provision.Limit {
	is := slices.ContainsFunc(live, func(n domainxml.NICItem) bool { return n.MAC == mac.String() && n.Isolated })
	l := provision.Limit{Path: fmt.Sprintf("nics[%d].isolated", i), Want: "true", Have: strconv.FormatBool(is), Enforcement: provision.Enforced}
	if !is {
		l.Enforcement, l.Reason = provision.NotEnforced, "the guest runs without it until its next start"
	}
	return l
}
