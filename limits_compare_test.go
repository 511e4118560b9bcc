package provision

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// everyLimit asks for each limit that is compared.
func everyLimit() Spec {
	return Spec{
		CPU:    CPU{Limit: 1.5, Weight: 200, Pin: []int{0, 3}},
		Memory: Memory{Swap: GiB, Guaranteed: true, HugePages: true},
		Disks:  []Disk{{Inodes: 1000, IOPS: 2000, BPS: 50 * MiB}, {IOPS: 1}},
		NICs:   []NIC{{Rate: Rate{In: 100 * Mbit, Out: 50 * Mbit}}, {Rate: Rate{Out: Gbit}}},
		Limits: Limits{Processes: 500, OpenFiles: 4096},
	}
}

// What is read back stands in a plan as it stands in a Spec.
func TestLimitsInSpec(t *testing.T) {
	want := everyLimit()
	have := Spec{Disks: make([]Disk, 2), NICs: make([]NIC, 2)}
	asked := askedLimits(&want)
	require.Len(t, asked, 15)
	for _, l := range asked {
		require.True(t, isLimit(l.Path), l.Path)
		setLimit(&have, l.Path, l.Want)
	}
	require.Empty(t, cmp.Diff(want, have, cmp.Comparer(func(a, b MAC) bool { return a == b })))
	texts := map[string]string{}
	for _, f := range flatten(&want) {
		texts[f.path] = f.value
	}
	for _, l := range asked {
		require.Equal(t, texts[l.Path], l.Want, l.Path)
		setLimit(&have, l.Path, "")
	}
	require.Empty(t, askedLimits(&have))
	require.Empty(t, askedLimits(&Spec{Disks: make([]Disk, 1), NICs: make([]NIC, 1)}))
	setLimit(&have, "disks[9].iops", "1") // one that is not in the Spec
	require.Empty(t, askedLimits(&have))
}

func TestCompared(t *testing.T) {
	s := Spec{CPU: CPU{Limit: 0.5, Weight: 50, Pin: []int{1}}, Disks: []Disk{{IOPS: 10}}, NICs: []NIC{{Rate: Rate{In: 100 * Mbit}}}}
	list := compared([]Limit{
		{Path: "memory.size", Want: "1GiB", Have: "1GiB", Enforcement: Enforced}, // not compared here
		{Path: "cpu.limit", Have: "0.5", Enforcement: Enforced},
		{Path: "cpu.weight", Have: "60", Enforcement: Enforced},
		{Path: "cpu.pin", Have: "", Enforcement: NotEnforced, Reason: "no"},
		{Path: "nics[0].rate.in", Have: "99999744", Enforcement: Enforced},
		{Path: "disks[0].bps", Have: "1MiB", Enforcement: Enforced},
	}, &s)
	var have []string
	for _, l := range list {
		have = append(have, fmt.Sprintf("%s %q %q %s %s", l.Path, l.Want, l.Have, l.Enforcement, l.Reason))
	}
	require.Equal(t, []string{
		`memory.size "1GiB" "1GiB" enforced `,
		`cpu.limit "0.5" "0.5" enforced `,
		`cpu.weight "50" "60" not enforced it was changed by other means`,
		`cpu.pin "1" "" not enforced no`,
		`nics[0].rate.in "100Mbit" "99999744" enforced `,
		`disks[0].bps "" "1MiB" not enforced it was changed by other means`,
		`disks[0].iops "10" "" not enforced it was changed by other means`,
	}, have)
}

func TestSameAmount(t *testing.T) {
	for _, c := range []struct {
		path, want, have string
		same             bool
	}{
		{"cpu.limit", "1.2345", "1.234", true},
		{"cpu.limit", "1.2345", "1.233", false},
		{"cpu.limit", "1.5", "1.501", false},
		{"cpu.limit", "1.5", "", false},
		{"nics[0].rate.in", "100Mbit", "99999744", true},
		{"nics[0].rate.in", "100Mbit", "99991552", false},
		{"nics[0].rate.out", "100Mbit", "100008Kbit", false},
		{"disks[0].iops", "100", "99", false},
		{"disks[0].bps", "1MiB", "1MiB", true},
	} {
		require.Equal(t, c.same, sameAmount(c.path, c.want, c.have), "%+v", c)
	}
}
