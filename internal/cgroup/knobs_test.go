package cgroup

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/golden"
)

const gib = 1 << 30

// limitSets are those that a golden file shows for each kind of host.
var limitSets = []struct {
	name string
	Limits
}{
	{"nothing", Limits{}},
	{"one and a half cores", Limits{CPU: 1.5}},
	{"0.29 cores", Limits{CPU: 0.29}},
	{"a two-hundredth of a core", Limits{CPU: 0.005}},
	{"less than can be had", Limits{CPU: 0.0001}},
	{"least weight", Limits{Weight: 1}},
	{"greatest weight", Limits{Weight: 10000}},
	{"processors", Limits{CPUs: []int{8, 0, 2, 1, 0}}},
	{"memory without swap", Limits{Memory: gib}},
	{"memory and swap", Limits{Memory: gib, Swap: gib / 2}},
	{"memory and all the swap", Limits{Memory: gib, Swap: NoLimit}},
	{"swap of no memory", Limits{Swap: gib}},
	{"guaranteed memory", Limits{Memory: gib, Guaranteed: gib}},
	{"processes", Limits{Processes: 500}},
	{"reads of a disk", Limits{IO: []IOLimit{{Device: Device{8, 0}, ReadBPS: 1 << 20, ReadIOPS: 100}}}},
	{"two disks", Limits{IO: []IOLimit{{Device: Device{253, 1}, WriteBPS: 4096}, {Device: Device{8, 16}, ReadIOPS: 10, WriteIOPS: 20}}}},
	{"a disk without limit", Limits{IO: []IOLimit{{Device: Device{8, 0}}}}},
	{"all", Limits{CPU: 2, Weight: 200, CPUs: []int{0, 1}, Memory: gib, Swap: gib, Guaranteed: gib / 2, Processes: 64,
		IO: []IOLimit{{Device{8, 0}, 1, 2, 3, 4}}}},
}

// What liblxc is told, and what is said of it.
func TestKnobsGolden(t *testing.T) {
	for _, kind := range []Kind{Legacy, Hybrid, Pure} {
		_, l := fakeHost(t, kind)
		var b strings.Builder
		for _, set := range limitSets {
			fmt.Fprintf(&b, "# %s\n", set.name)
			knobs, err := l.Knobs(&set.Limits)
			require.NoError(t, err)
			for _, k := range knobs {
				fmt.Fprintf(&b, "%s = %s\n", k.Key(), k.Value)
			}
			for _, v := range l.Judge(&set.Limits) {
				fmt.Fprintf(&b, "  %s: %s", v.Limit, v.Enforcement)
				if v.Reason != "" {
					fmt.Fprintf(&b, ", because %s", v.Reason)
				}
				b.WriteString("\n")
			}
		}
		golden.Check(t, "knobs-"+string(kind)+".txt", b.String())
	}
}

// A host without control groups limits nothing and says so of each limit.
func TestJudgeNothing(t *testing.T) {
	t.Parallel()
	all := limitSets[len(limitSets)-1].Limits
	l := &Layout{}
	knobs, err := l.Knobs(&all)
	require.NoError(t, err)
	require.Empty(t, knobs)
	list := l.Judge(&all)
	require.Len(t, list, 8)
	for _, v := range list {
		require.Equal(t, NotEnforced, v.Enforcement, v.Limit)
		require.Contains(t, v.Reason, "no controller", v.Limit)
	}
}

func TestLimitsRefused(t *testing.T) {
	t.Parallel()
	_, l := fakeHost(t, Pure)
	for name, bad := range map[string]Limits{
		"cores": {CPU: -1}, "not a number": {CPU: math.NaN()}, "endless": {CPU: math.Inf(1)},
		"weight": {Weight: 10001}, "negative weight": {Weight: -1},
		"processor": {CPUs: []int{-1}}, "far processor": {CPUs: []int{8192}},
		"memory": {Memory: 1 << 63}, "swap": {Swap: 1 << 63}, "guaranteed": {Guaranteed: 1 << 63},
		"processes": {Processes: maxPIDs + 1}, "device twice": {IO: []IOLimit{{}, {}}},
	} {
		_, err := l.Knobs(&bad)
		require.Error(t, err, name)
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	for w := 1; w <= 10000; w++ {
		require.Equal(t, w, weight(shares(w)))
		require.True(t, shares(w) >= 2 && shares(w) <= 262144)
	}
}

func TestBandwidth(t *testing.T) {
	t.Parallel()
	for cores, want := range map[float64][2]uint64{
		1: {100000, 100000}, 0.29: {29000, 100000}, 0.01: {1000, 100000}, 0.005: {1000, 200000}, 0.001: {1000, 1000000}, 0.0001: {1000, 1000000}, 64: {6400000, 100000},
	} {
		quota, period := bandwidth(cores)
		require.Equal(t, want, [2]uint64{quota, period}, "%v cores", cores)
	}
}

func TestRaisingFirst(t *testing.T) {
	t.Parallel()
	_, l := fakeHost(t, Hybrid)
	first := func(raising bool) string {
		knobs, err := l.Knobs(&Limits{Memory: gib})
		require.NoError(t, err)
		return raisingFirst(knobs, raising)[0].File
	}
	require.Equal(t, "memory.memsw.limit_in_bytes", first(true))
	require.Equal(t, "memory.limit_in_bytes", first(false))
}

func TestDeviceKnobs(t *testing.T) {
	t.Parallel()
	nodes := []Node{{Major: 1, Minor: 3, Access: "rwm"}, {Block: true, Major: 7, Minor: AnyNumber, Access: "r"}}
	for kind, prefix := range map[Kind]string{Hybrid: "lxc.cgroup.", Pure: "lxc.cgroup2."} {
		_, l := fakeHost(t, kind)
		knobs, err := l.DeviceKnobs(nodes)
		require.NoError(t, err)
		var have []string
		for _, k := range knobs {
			have = append(have, k.Key()+" = "+k.Value)
		}
		require.Equal(t, []string{prefix + "devices.deny = a", prefix + "devices.allow = c 1:3 rwm", prefix + "devices.allow = b 7:* r"}, have)
		for _, bad := range []Node{{Access: "x"}, {}, {Major: -2, Access: "r"}, {Access: "rwmr"}} {
			_, err := l.DeviceKnobs([]Node{bad})
			require.Error(t, err)
		}
	}
	_, err := (&Layout{}).DeviceKnobs(nil)
	require.ErrorIs(t, err, ErrNoController)
}
