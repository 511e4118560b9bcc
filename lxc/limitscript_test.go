//go:build linux

package lxc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
	"github.com/guestforge/provision/internal/golden"
)

// scriptLayouts are the kinds of hosts.
func scriptLayouts() map[string]*cgroup.Layout {
	v1 := &cgroup.Layout{SwapAccounting: true}
	for _, c := range []cgroup.Controller{cgroup.CPU, cgroup.CPUSet, cgroup.Memory, cgroup.PIDs, cgroup.IO} {
		v1.Hierarchies = append(v1.Hierarchies, cgroup.Hierarchy{Version: 1, Dir: "/sys/fs/cgroup/" + string(c), Controllers: []cgroup.Controller{c}})
	}
	return map[string]*cgroup.Layout{"v1": v1, "v2": {SwapAccounting: true, MemoryMin: true, Hierarchies: []cgroup.Hierarchy{{Version: 2, Dir: "/sys/fs/cgroup",
		Controllers: []cgroup.Controller{cgroup.CPU, cgroup.CPUSet, cgroup.Memory, cgroup.PIDs, cgroup.IO}}}}}
}

// What the hook writes at each start, to set limits and to lift those that there were.
func TestLimitScriptGolden(t *testing.T) {
	specs := map[string]provision.Spec{
		"least": {Memory: provision.Memory{Size: provision.GiB}, Disks: make([]provision.Disk, 1)},
		"most": {CPU: provision.CPU{Count: 2, Limit: 1.5, Weight: 300, Pin: []int{2, 3}}, Memory: provision.Memory{Size: provision.GiB, Swap: provision.GiB, Guaranteed: true},
			Disks: []provision.Disk{{Size: provision.GiB, IOPS: 100}}, Limits: provision.Limits{Processes: 500, OpenFiles: 4096}},
		"shared-disk": {Memory: provision.Memory{Size: provision.GiB}, Disks: []provision.Disk{{BPS: provision.MiB}}},
	}
	for kind, groups := range scriptLayouts() {
		for name, s := range specs {
			t.Run(kind+"/"+name, func(t *testing.T) {
				b := New(nil)
				b.groups, b.host.cpus = groups, []int{2, 3, 6, 7}
				b.volumesOf = func(string) ([]cgroup.Device, error) { return []cgroup.Device{{Major: 8}}, nil }
				s.Name = "web1"
				d := newDefinition(&provision.NewGuest{ID: "5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11", Spec: &s})
				d.Pin = s.CPU.Pin
				text, err := b.limitScript(d)
				require.NoError(t, err)
				golden.Check(t, "limits/"+kind+"-"+name+".sh", text)
			})
		}
	}
}

// A host without a disk that can be limited says so, and the guest starts.
func TestNoDisk(t *testing.T) {
	b := New(nil)
	b.groups, b.host.cpus = scriptLayouts()["v2"], []int{0}
	b.volumesOf = func(string) ([]cgroup.Device, error) {
		return nil, &cgroup.NoDiskError{Path: "/x", Type: "tmpfs", Reason: "it is in memory"}
	}
	s := provision.Spec{Name: "web1", CPU: provision.CPU{Count: 1}, Memory: provision.Memory{Size: provision.GiB}, Disks: []provision.Disk{{IOPS: 5, BPS: provision.MiB}}}
	d := newDefinition(&provision.NewGuest{ID: "a", Spec: &s})
	text, err := b.limitScript(d)
	require.NoError(t, err)
	require.NotContains(t, text, "io.max")
	limits, err := b.foretell(d)
	require.NoError(t, err)
	require.Len(t, limits, 2)
	for _, l := range limits {
		require.Equal(t, provision.NotEnforced, l.Enforcement)
		require.Contains(t, l.Reason, "it is in memory")
	}
}
