package kvm

import (
	"fmt"
	"testing"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// A weight is the same after a way through a definition, on either scale.
func TestWeights(t *testing.T) {
	for _, w := range []weights{weightsV1, weightsV2} {
		for weight := 1; weight <= 10000; weight++ {
			shares := w.shares(weight)
			require.Equal(t, weight, w.weight(shares))
			require.True(t, shares >= 2 && shares <= 262144 || w == weightsV2 && shares >= 1 && shares <= 10000, "%d", shares)
		}
	}
	require.EqualValues(t, 1024, weightsV1.shares(100))
	require.EqualValues(t, 100, weightsV2.shares(100))
	require.Zero(t, weightsUnknown.weight(1024))
}

func TestPinSet(t *testing.T) {
	for want, pin := range map[string][]int{"": nil, "3": {3}, "0-3,8": {8, 0, 1, 3, 2}, "1,3,5": {5, 3, 1}, "8190-8191": {8191, 8190}} {
		require.Equal(t, want, pinSet(pin))
	}
	for set, want := range map[string]string{"0-2,8": "0 1 2 8", "5": "5", "0,^1": "0,^1", "0-99999": "0-99999"} {
		require.Equal(t, want, setNumbers(set))
	}
	require.Equal(t, "0 9", bitNumbers([]byte{1, 2}))
}

// What is asked for comes back from the definition, to the unit that libvirt has,
// and never as more.
func TestLimitsFromDefinition(t *testing.T) {
	b := New(nil)
	b.know(func(h *host) { *h = host{weights: weightsV2, huge: 2048} })
	read := func(s *provision.Spec, w weights) map[string]string {
		text, err := domainxml.Build(b.domain(&provision.NewGuest{ID: testID, Spec: s}, testPool, true))
		require.NoError(t, err)
		tune, err := parseTuned(string(text))
		require.NoError(t, err)
		have := map[string]string{}
		for _, l := range tune.limits(w) {
			have[l.Path] = fmt.Sprint(l.Have, " ", l.Enforcement)
		}
		return have
	}
	all := specs()
	require.Empty(t, read(all["plain"], weightsV2))
	require.Equal(t, map[string]string{
		"cpu.limit": "1.5 enforced", "cpu.weight": "200 enforced", "cpu.pin": "0 1 2 8 enforced",
		"disks[0].iops": "2000 enforced", "disks[0].bps": "100MiB enforced",
		"nics[0].rate.in": "99999744 enforced", "nics[0].rate.out": "57344 enforced", "nics[1].rate.out": "999997440 enforced",
	}, read(all["limits"], weightsV2))
	require.Equal(t, "shares 200 enforced", read(all["limits"], weightsUnknown)["cpu.weight"])
	require.Equal(t, map[string]string{"memory.guaranteed": "true partial"}, read(all["guaranteed"], weightsV2))
	require.Equal(t, map[string]string{"memory.guaranteed": "true enforced", "memory.hugePages": "true enforced"}, read(all["guaranteed-huge-pages"], weightsV2))
	for _, limit := range []float64{0.01, 0.29, 0.57, 1.001, 2.3, 1024} { // 0.29*1000 is below 290
		s := *all["plain"]
		s.CPU.Limit = limit
		require.Equal(t, fmt.Sprint(limit, " enforced"), read(&s, weightsV2)["cpu.limit"])
	}
}

// A change of one vCPU's set by other means is not taken for what was asked for.
func TestPinsDiffer(t *testing.T) {
	for text, want := range map[string]string{
		`<domain><vcpu>2</vcpu><cputune><vcpupin vcpu="0" cpuset="0-1"/><vcpupin vcpu="1" cpuset="0,1"/></cputune></domain>`: "0 1",
		`<domain><vcpu>2</vcpu><cputune><vcpupin vcpu="0" cpuset="0-1"/><vcpupin vcpu="1" cpuset="1"/></cputune></domain>`:   "not the same for each vCPU",
		`<domain><vcpu>2</vcpu><cputune><vcpupin vcpu="0" cpuset="0-1"/></cputune></domain>`:                                 "not for each vCPU",
	} {
		tune, err := parseTuned(text)
		require.NoError(t, err)
		require.Equal(t, want, tune.pins())
	}
}

func TestRoom(t *testing.T) {
	s := &provision.Spec{CPU: provision.CPU{Count: 2}, Memory: provision.Memory{Size: provision.GiB, Guaranteed: true}}
	need := provision.GiB + overhead(s)
	require.EqualValues(t, 208*provision.MiB, overhead(s))
	for _, c := range []struct {
		name string
		room room
		huge bool
		fits bool
	}{
		{"just", room{available: need + 3, reserve: 2, promised: 1}, false, true},
		{"one byte less", room{available: need + 2, reserve: 2, promised: 1}, false, false},
		{"overdrawn", room{available: 1, reserve: 2, promised: 3}, false, false},
		{"pages", room{available: overhead(s), huge: provision.GiB}, true, true},
		{"pages promised", room{available: need, huge: provision.GiB, hugeDue: 1}, true, false},
		{"pages, and none for QEMU", room{available: overhead(s) - 1, huge: provision.GiB}, true, false},
	} {
		s.Memory.HugePages = c.huge
		err := c.room.admit(s)
		if c.fits {
			require.NoError(t, err, c.name)
		} else {
			require.ErrorIs(t, err, provision.ErrCapacity, c.name)
		}
	}
}

// The version of control groups shows in a quota that is not set: libvirt has -1
// for it in v1, and in v2 the largest number that it takes (vircgroup.h).
func TestSchedulerFrom(t *testing.T) {
	params := func(shares uint64, global, vcpu int64) []libvirt.TypedParam {
		var list []libvirt.TypedParam
		for _, p := range []struct {
			name  string
			value any
		}{{"cpu_shares", shares}, {"vcpu_period", uint64(100_000)}, {"vcpu_quota", vcpu}, {"global_period", uint64(100_000)}, {"global_quota", global}} {
			list = append(list, libvirt.TypedParam{Field: p.name, Value: libvirt.TypedParamValue{I: p.value}})
		}
		return list
	}
	require.Equal(t, scheduler{shares: 512, period: 100_000, quota: 50_000, weights: weightsV1}, schedulerFrom(params(512, 50_000, -1)))
	require.Equal(t, scheduler{shares: 50, period: 100_000, quota: 50_000, weights: weightsV2}, schedulerFrom(params(50, 50_000, 17_592_186_044_415)))
	require.Equal(t, weightsV2, schedulerFrom(params(50, 50_000, 18_446_744_073_709_551)).weights)
}
