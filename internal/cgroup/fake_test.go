package cgroup

import (
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// fakeFiles are those of a group of version 2.
var fakeFiles = map[string]string{
	"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "cpuset cpu io memory pids\n",
	"cgroup.events": "populated 1\nfrozen 0\n", "cgroup.freeze": "0\n", "cgroup.procs": "",
	"cpu.max": "max 100000\n", "cpu.weight": "100\n", "cpu.stat": "usage_usec 7\nuser_usec 3\n",
	"cpuset.cpus": "\n", "cpuset.cpus.effective": "0-3\n",
	"memory.max": "max\n", "memory.min": "0\n", "memory.swap.max": "max\n", "memory.current": "5000\n", "memory.swap.current": "300\n",
	"memory.stat": "anon 1\ninactive_file 2000\n", "memory.events": "low 0\noom_kill 3\n",
	"pids.max": "max\n", "pids.current": "9\n", "io.max": "", "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=9\n7:1 rbytes=10 wbytes=20 rios=30 wios=40\n",
}

// fakeGroup is a group in a tree of plain files.
func fakeGroup(t *testing.T, at string) *Group {
	t.Helper()
	files := map[string]string{"proc/self/mountinfo": unifiedMount}
	for dir := at; ; dir = path.Dir(dir) {
		for name, text := range fakeFiles {
			files[path.Join("sys/fs/cgroup", dir, name)] = text
		}
		if dir == "." {
			break
		}
	}
	l, err := Detect(plant(t, files))
	require.NoError(t, err)
	g, err := l.Group(at)
	require.NoError(t, err)
	return g
}

func TestFakeApply(t *testing.T) {
	t.Parallel()
	g := fakeGroup(t, "p/id/guest")
	want := limitSets[len(limitSets)-1].Limits
	require.NoError(t, g.Apply(&want))
	for name, value := range map[string]string{
		"cpu.max": "200000 100000", "cpu.weight": "200", "cpuset.cpus": "0-1", "memory.max": "1073741824", "memory.swap.max": "1073741824",
		"memory.min": "536870912", "pids.max": "64", "io.max": "8:0 rbps=1 wbps=2 riops=3 wiops=4",
	} {
		have, err := read(filepath.Join(g.dirs()[0], name))
		require.NoError(t, err)
		require.Equal(t, value+"\n", have, name)
	}
	for _, up := range []string{"..", "../.."} {
		have, err := read(filepath.Join(g.dirs()[0], up, "memory.min"))
		require.NoError(t, err)
		require.Equal(t, "536870912\n", have, "what is guaranteed below is guaranteed above")
	}
	have, verdicts, err := g.Verify(&want)
	require.NoError(t, err)
	want.CPUs = []int{0, 1, 2, 3} // a plain file does not follow cpuset.cpus
	require.Empty(t, cmp.Diff(&want, have))
	for _, v := range verdicts {
		switch v.Limit {
		case LimitCPUs:
			require.Equal(t, NotEnforced, v.Enforcement)
		case LimitSwap:
			require.Equal(t, reasonNoSwap, v.Reason)
		default:
			require.Equal(t, Enforced, v.Enforcement, v.Limit)
		}
	}
}

// The files are of a kernel that lacks some.
func TestFakeVerifyChanged(t *testing.T) {
	t.Parallel()
	g := fakeGroup(t, "guest")
	want := &Limits{CPU: 1, Weight: 50, Memory: gib, Processes: 5, IO: []IOLimit{{Device: Device{8, 0}, ReadBPS: 1}}}
	_, verdicts, err := g.Verify(want)
	require.NoError(t, err)
	require.Len(t, verdicts, 5)
	for _, v := range verdicts {
		require.Equal(t, NotEnforced, v.Enforcement, v.Limit)
		require.NotEmpty(t, v.Reason)
	}
}

func TestFakeStats(t *testing.T) {
	t.Parallel()
	g := fakeGroup(t, "guest")
	v := func(n uint64) Value { return Value{N: n} }
	require.Empty(t, cmp.Diff(Stats{v(7000), v(3000), v(300), v(9), v(11), v(22), v(33), v(44), v(3)}, g.Stats()))
	require.Equal(t, v(10), g.Stats(Device{7, 1}).ReadBytes)
	require.NoError(t, g.Set(Memory, "memory.stat", "anon x"))
	require.NoError(t, g.Set(IO, "io.stat", "8:0 rbytes=1 wbytes=z"))
	s := g.Stats()
	require.False(t, s.Memory.Known())
	require.False(t, s.WriteBytes.Known())
	gone, err := g.layout.Group("gone")
	require.NoError(t, err)
	require.Contains(t, gone.Stats().CPU.Reason, "not there")
	none, err := (&Layout{}).Group("none")
	require.NoError(t, err)
	require.Equal(t, Value{Reason: ErrNoController.Error()}, none.Stats().CPU)
}

// What is guaranteed to a group and not to one above it is not in effect.
func TestFakeProtect(t *testing.T) {
	t.Parallel()
	g := fakeGroup(t, "p/id/guest")
	want := Limits{Guaranteed: 1 << 20}
	verdict := func() Verdict {
		_, list, err := g.Verify(&want)
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list[0]
	}
	require.NoError(t, g.Set(Memory, minFile, "1048576"))
	require.Equal(t, NotEnforced, verdict().Enforcement)
	require.Contains(t, verdict().Reason, "p/id")
	require.NoError(t, g.Protect())
	require.Equal(t, Enforced, verdict().Enforcement)
	require.NoError(t, write(filepath.Join(g.dirs()[0], "../..", minFile), "4096"))
	require.Equal(t, NotEnforced, verdict().Enforcement)
	g.layout.MemoryRecursive = false
	require.Equal(t, reasonNotBelow, verdict().Reason)
}
