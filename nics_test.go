package provision

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// A letter stands for a NIC by its MAC.
func lettered(letters string) (spec []NIC, have []NICStatus) {
	for _, c := range []byte(letters) {
		mac := MAC{2, 0, 0, 0, 0, c}
		spec, have = append(spec, NIC{Bridge: "br0", MAC: mac}), append(have, NICStatus{Bridge: "br0", MAC: mac})
	}
	return spec, have
}

func TestPairNICs(t *testing.T) {
	for _, c := range []struct {
		spec, have string
		want       []int
	}{
		{"", "", []int{}},
		{"", "x", []int{}},
		{"ab", "ab", []int{0, 1}},
		{"ab", "ba", []int{1, 0}},
		{"ab", "b", []int{-1, 0}},
		{"ab", "a", []int{0, -1}},
		{"abc", "ac", []int{0, -1, 1}},
		{"ab", "", []int{-1, -1}},
		{"ab", "xb", []int{0, 1}}, // the MAC was changed
		{"ab", "bx", []int{1, 0}},
		{"abc", "bx", []int{1, 0, -1}},
		{"a", "xay", []int{1}}, // NICs were added
		{"aa", "aa", []int{0, 0}},
	} {
		spec, _ := lettered(c.spec)
		_, have := lettered(c.have)
		require.Equal(t, c.want, pairNICs(spec, have), "%q in %q", c.spec, c.have)
	}
}

func TestNICLimits(t *testing.T) {
	spec, _ := lettered("abc")
	_, have := lettered("bc")
	spec[2].AntiSpoof = Off
	limit := func(path string) Limit { return Limit{Path: path, Enforcement: Enforced} }
	st := &Status{NICs: have, Limits: []Limit{
		limit("memory.size"), limit("nics[0].antiSpoof"), limit("nics[1].antiSpoof"), limit("nics[0].rate.in"), limit("nics[1].rate.out"),
		limit("nics[2].antiSpoof"), limit("nics[x].rate.in"), limit("nics"),
	}}
	require.Empty(t, cmp.Diff([]Limit{
		limit("memory.size"), limit("nics[1].antiSpoof"), limit("nics[1].rate.in"), limit("nics[2].rate.out"), limit("nics[x].rate.in"), limit("nics"),
		{Path: "nics[0].antiSpoof", Want: "true", Enforcement: NotEnforced, Reason: "the NIC is gone"},
	}, nicLimits(st, &record{Spec: Spec{NICs: spec}})), "a was removed by hand, and c's filter is off")
	st.NICs = nil
	require.Len(t, nicLimits(st, &record{Spec: Spec{NICs: spec}}), 8, "a hypervisor that tells of no NICs counts as the Spec does")

	// The only one was removed.
	spec = spec[:1]
	spec[0].Isolated = true
	require.Empty(t, cmp.Diff([]Limit{
		{Path: "nics[0].antiSpoof", Want: "true", Enforcement: NotEnforced, Reason: "the NIC is gone"},
		{Path: "nics[0].isolated", Want: "true", Enforcement: NotEnforced, Reason: "the NIC is gone"},
	}, nicLimits(&Status{}, &record{Spec: Spec{NICs: spec}})))
}

func TestIsolatedReadBack(t *testing.T) {
	spec, have := lettered("abc")
	spec[0].Isolated, spec[1].Isolated = true, true
	have[1].Isolated = true
	require.Empty(t, cmp.Diff([]Limit{
		{Path: "nics[0].isolated", Want: "true", Have: "false", Enforcement: NotEnforced, Reason: "it was changed by other means"},
		{Path: "nics[1].isolated", Want: "true", Have: "true", Enforcement: Enforced},
	}, readBack(&Status{NICs: have}, &record{Spec: Spec{NICs: spec}})))
}
