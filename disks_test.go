package provision

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoundedUp(t *testing.T) {
	for _, c := range []struct {
		want, have Bytes
		is         bool
	}{
		{MiB, MiB, false}, // not rounded, and not different
		{49 * MiB, 52 * MiB, true},
		{48*MiB + 512, 48*MiB + 1024, true},
		{20 * GiB, 20*GiB + 4*MiB, false}, // a multiple of 4 MiB was none to round
		{20*GiB - 512, 20 * GiB, true},
		{GiB, 2 * GiB, false},
		{64 * MiB, 96 * MiB, false},
		{32 * MiB, 64 * MiB, false},
		{64 * MiB, 63 * MiB, false},
		{0, 0, false},
	} {
		require.Equal(t, c.is, roundedUp(c.want, c.have), "%s of %s", c.have, c.want)
	}
}

// TestReadBackOfDisks: sizes go by serials where there are any, may be rounded up by
// the storage, and a disk that is gone is not one that holds its size.
func TestReadBackOfDisks(t *testing.T) {
	r := &record{Spec: Spec{Disks: []Disk{{Size: GiB}, {Size: 49 * MiB}, {Size: 2 * GiB}}}}
	st := &Status{Disks: []DiskStatus{
		{Target: "vda", Size: GiB, Serial: "root"}, {Target: "vdc", Size: 3 * GiB, Serial: "disk2"}, {Target: "vdd", Size: 52 * MiB, Serial: "disk1"}, {Target: "vde", Size: GiB},
	}}
	require.Equal(t, []Limit{
		{Path: "disks[0].size", Want: "1GiB", Have: "1GiB", Enforcement: Enforced},
		{Path: "disks[1].size", Want: "49MiB", Have: "52MiB", Enforcement: Enforced},
		{Path: "disks[2].size", Want: "2GiB", Have: "3GiB", Enforcement: NotEnforced, Reason: "it was changed by other means"},
	}, readBack(st, r))
	have := observed(*st, r)
	require.Equal(t, []Disk{{Size: GiB}, {Size: 49 * MiB}, {Size: 3 * GiB}}, have.Disks)

	st.Disks = st.Disks[:2]
	require.Equal(t, Limit{Path: "disks[1].size", Want: "49MiB", Enforcement: NotEnforced, Reason: "it was changed by other means"}, readBack(st, r)[1])
	lost := []Limit{
		{Path: "disks[1].iops", Want: "9", Enforcement: NotEnforced, Reason: changedByOthers},
		{Path: "disks[0].iops", Want: "9", Enforcement: NotEnforced, Reason: changedByOthers},
		{Path: "cpu.weight", Want: "9", Enforcement: NotEnforced, Reason: changedByOthers},
	}
	lost = tellGone(st, append(lost, readBack(st, r)[1]))
	require.Equal(t, []string{"the disk is gone", changedByOthers, changedByOthers, "the disk is gone"}, []string{lost[0].Reason, lost[1].Reason, lost[2].Reason, lost[3].Reason})
	have = observed(*st, r)
	require.Equal(t, []Disk{{Size: GiB}, {}, {Size: 3 * GiB}}, have.Disks)
	require.Equal(t, Spec{Disks: r.Spec.Disks}.Disks, observed(Status{}, r).Disks, "a backend that tells no disks")

	st.Disks = []DiskStatus{{Size: GiB}, {Size: 49 * MiB}}
	require.Equal(t, []Disk{{Size: GiB}, {Size: 49 * MiB}, {}}, observed(*st, r).Disks, "without serials, by place")
}
