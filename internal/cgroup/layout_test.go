package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// tables of mounts, as hosts have them.
const (
	legacyMounts = `24 29 0:22 / /proc rw,nosuid shared:12 - proc proc rw
31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,xattr,name=systemd
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:11 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
37 31 0:34 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
38 31 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
39 31 0:36 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
40 31 0:34 / /mnt/again rw - cgroup cgroup rw,blkio
`
	hybridMounts = legacyMounts + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
	unifiedMount = `24 29 0:22 / /proc rw,nosuid shared:12 - proc proc rw
29 23 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`
	swapTable = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-1                               partition\t1000\t0\t-2\n/swap\\040file file 24 0 -3\n"
)

// plant makes files below a new directory.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return root
}

// hosts of the three kinds. The one of version 1 has swap but does not count it.
func fakeHost(t testing.TB, kind Kind) (root string, l *Layout) {
	t.Helper()
	files := map[string]string{}
	switch kind {
	case Legacy:
		files["proc/self/mountinfo"], files["proc/swaps"] = legacyMounts, swapTable
	case Hybrid:
		files["proc/self/mountinfo"] = hybridMounts
		files["sys/fs/cgroup/unified/cgroup.controllers"] = "hugetlb\n"
		files["sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"] = "9223372036854771712\n"
		files["proc/swaps"] = "Filename\tType\tSize\tUsed\tPriority\n"
	case Pure:
		files["proc/self/mountinfo"], files["proc/swaps"] = unifiedMount, swapTable
		files["sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory hugetlb pids rdma misc\n"
	}
	root = plant(t, files)
	l, err := Detect(root)
	require.NoError(t, err)
	return root, l
}

func TestDetect(t *testing.T) {
	t.Parallel()
	root, l := fakeHost(t, Legacy)
	require.Equal(t, Legacy, l.Kind())
	require.Len(t, l.Hierarchies, 8, "a second mount of one is no other")
	both := Hierarchy{Version: 1, Dir: filepath.Join(root, "sys/fs/cgroup/cpu,cpuacct"), Controllers: []Controller{CPU, CPUAcct}}
	for _, c := range both.Controllers {
		h, ok := l.Find(c)
		require.True(t, ok)
		require.Empty(t, cmp.Diff(both, h))
	}
	require.Equal(t, "systemd", l.Hierarchies[0].Name)
	require.Equal(t, [3]bool{}, [3]bool{l.NSDelegate, l.SwapAccounting, l.MemoryMin})
	require.EqualValues(t, 1024*1024, l.HostSwap)

	_, l = fakeHost(t, Hybrid)
	require.Equal(t, Hybrid, l.Kind())
	require.Equal(t, 1, l.version(Memory))
	require.Equal(t, 2, l.version("hugetlb"))
	require.Equal(t, [3]bool{false, true, false}, [3]bool{l.NSDelegate, l.SwapAccounting, l.MemoryMin})
	require.Zero(t, l.HostSwap)

	_, l = fakeHost(t, Pure)
	require.Equal(t, Pure, l.Kind())
	require.Equal(t, 2, l.version(IO))
	require.Zero(t, l.version(Freezer))
	require.Equal(t, [4]bool{true, true, true, true}, [4]bool{l.NSDelegate, l.SwapAccounting, l.MemoryMin, l.MemoryRecursive})
}

// What the first group with the memory controller lacks, the host lacks.
func TestDetectMemoryFiles(t *testing.T) {
	t.Parallel()
	root := plant(t, map[string]string{
		"proc/self/mountinfo":                 unifiedMount,
		"sys/fs/cgroup/cgroup.controllers":    "memory\n",
		"sys/fs/cgroup/init.scope/memory.max": "max\n",
		"sys/fs/cgroup/init.scope/memory.min": "0\n",
	})
	l, err := Detect(root)
	require.NoError(t, err)
	require.True(t, l.MemoryMin)
	require.False(t, l.SwapAccounting)
	require.Zero(t, l.HostSwap, "a kernel without swap has no /proc/swaps")
}

func TestDetectFails(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"no table":      {},
		"table":         {"proc/self/mountinfo": "x\n"},
		"identifier":    {"proc/self/mountinfo": "x 1 0:1 / / rw - a b c\n"},
		"no list":       {"proc/self/mountinfo": unifiedMount},
		"table of swap": {"proc/self/mountinfo": legacyMounts, "proc/swaps": "Filename\n/dev/x partition many 0 1\n"},
		"short swap":    {"proc/self/mountinfo": legacyMounts, "proc/swaps": "Filename\n/dev/x\n"},
	} {
		_, err := Detect(plant(t, files))
		require.Error(t, err, name)
	}
	l, err := Detect(plant(t, map[string]string{"proc/self/mountinfo": "24 29 0:22 / /proc rw - proc proc rw\n"}))
	require.NoError(t, err)
	require.Equal(t, None, l.Kind())
}

func TestGroupPath(t *testing.T) {
	t.Parallel()
	l := &Layout{}
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.b", "a b", "a\nb", "a*", "-a", "ä"} {
		_, err := l.Group(bad)
		require.Error(t, err, "%q", bad)
	}
	g, err := l.Group("provision.lxc/5b0f2a3e-0000/guest")
	require.NoError(t, err)
	require.False(t, g.Exists())
	_, err = g.Get(Memory, "memory.max")
	require.ErrorIs(t, err, ErrNoController)
	require.ErrorIs(t, g.Set(Memory, "memory.max", "1"), ErrNoController)
	_, err = g.State()
	require.ErrorIs(t, err, ErrNoController)
	require.ErrorIs(t, g.Freeze(t.Context()), ErrNoController)
	require.ErrorContains(t, g.Remove(t.Context(), "other"), "not below")
}
