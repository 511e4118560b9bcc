//go:build linux

package lxc

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
	"github.com/guestforge/provision/internal/golden"
)

// rendered is a guest of each Spec on each kind of host.
func rendered(t *testing.T, f func(t *testing.T, name string, b *Backend, d *definition)) {
	t.Helper()
	all := specs()
	require.GreaterOrEqual(t, len(all), 14)
	for kind, groups := range layouts() {
		b := New(nil)
		b.groups = groups
		b.volumesOf = func(string) ([]cgroup.Device, error) { return []cgroup.Device{{Major: 8}}, nil }
		b.host = facts{seccomp: seccompProfile, appArmor: kind == "v2", cpus: []int{0, 1, 2, 3}}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				require.NoError(t, all[name].Validate(), "no such Spec comes to a Backend")
				d := newDefinition(&provision.NewGuest{ID: testID, Spec: all[name]})
				d.Spec.Autostart = all[name].Autostart
				if !d.Native.Privileged {
					d.Base = b.block(d.ID, 0)
				}
				if d.Pin = d.Spec.CPU.Pin; d.Pin == nil {
					d.Pin = b.host.cpus[:d.Spec.CPU.Count]
				}
				f(t, kind+"/"+name, b, d)
			})
		}
	}
}

// What liblxc gets of each Spec. Its own parser takes it, and what is read out of it
// is what was asked for.
func TestConfigGolden(t *testing.T) {
	lib, err := newLibrary()
	require.NoError(t, err)
	dir := t.TempDir()
	rendered(t, func(t *testing.T, name string, b *Backend, d *definition) {
		f, err := b.filesOf(d)
		require.NoError(t, err)
		golden.Check(t, "config/"+name+".conf", string(f.config))
		golden.Check(t, "hook/"+name+".sh", string(f.hook))
		require.True(t, untouched(f.config))

		file := filepath.Join(dir, "config")
		require.NoError(t, os.WriteFile(file, f.config, 0o600))
		require.NoError(t, lib.check(d.Spec.Name, "/var/lib/lxc", file))

		conf, err := parseConfig(f.config)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(byKey(f.items), conf))
		require.Len(t, nicsOf(conf), len(d.Spec.NICs))
		for i, n := range nicsOf(conf) {
			want := d.Spec.NICs[i]
			require.Equal(t, []any{want.Bridge, want.MAC, want.MTU, want.VLAN}, []any{n.Bridge, n.MAC, n.MTU, n.VLAN})
		}
		want := limitsOf(d)
		if !b.groups.MemoryMin {
			want.Guaranteed = 0
		}
		have, err := limitsIn(b.groups, conf)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, have, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(cgroup.Limits{}, "IO")))

		back, err := parseDefinition(f.definition)
		require.NoError(t, err)
		again, err := back.encode()
		require.NoError(t, err)
		require.Equal(t, string(f.definition), string(again))
	})
}

// Limits that somebody has written by hand, in the forms that the kernel takes.
func TestLimitsByHand(t *testing.T) {
	for _, c := range []struct {
		kind, text string
		want       cgroup.Limits
		bad        string
	}{
		{"hybrid", "", cgroup.Limits{}, ""},
		{"hybrid", "lxc.cgroup.memory.limit_in_bytes = 512M\nlxc.cgroup.memory.memsw.limit_in_bytes = 1G", cgroup.Limits{Memory: 512 << 20, Swap: 512 << 20}, ""},
		{"hybrid", "lxc.cgroup2.memory.max = 512M", cgroup.Limits{}, ""}, // liblxc ignores it
		{"v2", "lxc.cgroup2.memory.max = 2g\nlxc.cgroup2.memory.max = 1g\nlxc.cgroup2.memory.swap.max = 0", cgroup.Limits{Memory: 1 << 30}, ""},
		{"v2", "lxc.cgroup2.cpu.max = 150000 100000\nlxc.cgroup2.cpuset.cpus = 0-1,3\nlxc.cgroup2.pids.max = max", cgroup.Limits{CPU: 1.5, CPUs: []int{0, 1, 3}}, ""},
		{"v2", "lxc.cgroup2.io.max = 8:0 rbps=1048576 wbps=max riops=max wiops=max\nlxc.cgroup2.io.max = 8:16 rbps=max wbps=max riops=10 wiops=max",
			cgroup.Limits{IO: []cgroup.IOLimit{{Device: cgroup.Device{Major: 8}, ReadBPS: 1 << 20}, {Device: cgroup.Device{Major: 8, Minor: 16}, ReadIOPS: 10}}}, ""},
		{"hybrid", "lxc.cgroup.blkio.throttle.read_bps_device = 8:0 1048576\nlxc.cgroup.blkio.throttle.read_bps_device = 8:16 5",
			cgroup.Limits{IO: []cgroup.IOLimit{{Device: cgroup.Device{Major: 8}, ReadBPS: 1 << 20}, {Device: cgroup.Device{Major: 8, Minor: 16}, ReadBPS: 5}}}, ""},
		{"v2", "lxc.cgroup2.memory.max = much", cgroup.Limits{}, "memory.max"},
		{"v2", "lxc.cgroup2.memory.max = 99999999999999999999T", cgroup.Limits{}, "memory.max"},
	} {
		conf, err := parseConfig([]byte(c.text))
		require.NoError(t, err)
		have, err := limitsIn(layouts()[c.kind], conf)
		if c.bad != "" {
			require.ErrorContains(t, err, c.bad)
			continue
		}
		require.NoError(t, err, c.text)
		require.Empty(t, cmp.Diff(c.want, *have, cmpopts.EquateEmpty()), c.text)
	}
}

// A configuration that was changed by hand is told, and keeps what it says but for the
// settings that are changed.
func TestMerge(t *testing.T) {
	was := []item{{"lxc.uts.name", "a"}, {"lxc.start.auto", "0"}, {"lxc.idmap", "u 0 1 2"}, {"lxc.idmap", "g 0 1 2"}, {"lxc.no_new_privs", "1"}}
	now := []item{{"lxc.uts.name", "a"}, {"lxc.start.auto", "1"}, {"lxc.idmap", "u 0 1 2"}, {"lxc.idmap", "g 0 1 2"}, {"lxc.tty.max", "2"}}
	made, err := render(was)
	require.NoError(t, err)
	require.True(t, untouched(made))
	hand := strings.Replace(string(made), "name = a", "name=b", 1) + "# mine\nlxc.start.auto=7\nlxc.start.delay = 3"
	require.False(t, untouched([]byte(hand)))
	merged := merge([]byte(hand), was, now)
	require.False(t, untouched(merged))
	require.Equal(t, "lxc.uts.name=b\nlxc.idmap = u 0 1 2\nlxc.idmap = g 0 1 2\n# mine\nlxc.start.delay = 3\nlxc.start.auto = 1\nlxc.tty.max = 2\n",
		string(merged[strings.Index(string(merged), "lxc."):]))
	require.Equal(t, string(merged), string(merge(merged, was, now)), "a repeated change")
	require.False(t, untouched(nil))
	require.False(t, untouched([]byte(digestPrefix)))
}

// What differs between a configuration and the one that would be made.
func TestDifferences(t *testing.T) {
	have := settings{"lxc.uts.name": {"a"}, "lxc.start.auto": {"1"}, "lxc.include": {"/etc/x"}, "lxc.environment": {"PW=SECRET"}, "lxc.idmap": {"u 0 1 2", "g 0 1 2"}}
	want := settings{"lxc.uts.name": {"b"}, "lxc.start.auto": {"0"}, "lxc.idmap": {"u 0 1 2"}, "lxc.tty.max": {"2"}}
	require.Empty(t, cmp.Diff([]provision.Change{
		{Path: "lxc.environment", Have: "(not shown)", Impact: provision.ImpactRestart, Reason: byHand},
		{Path: "lxc.idmap", Have: "u 0 1 2; g 0 1 2", Want: "u 0 1 2", Impact: provision.ImpactRestart, Reason: byHand},
		{Path: "lxc.include", Have: "/etc/x", Impact: provision.ImpactRestart, Reason: unseen},
		{Path: "lxc.tty.max", Want: "2", Impact: provision.ImpactRestart, Reason: byHand},
		{Path: "lxc.uts.name", Have: "a", Want: "b", Impact: provision.ImpactRestart, Reason: byHand},
	}, differences(have, want, byHand)))
}

// Whatever stands in a configuration, its parser ends; and what it has read, written
// again, reads the same.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("lxc.uts.name = a\n# x\n lxc.idmap = u 0 1 2 \nlxc.idmap=\nlxc.net.0.type='veth'\n"))
	f.Add([]byte("lxc.environment = \"A=b\"\r\nx\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseConfig(data)
		if err != nil {
			return
		}
		_ = nicsOf(s)
		for _, l := range layouts() {
			_, _ = limitsIn(l, s) // it returns
		}
		var list []item
		for key, values := range s {
			for _, v := range values {
				if key == "" || key[0] == '#' || unquote(v) != v {
					return // no key of ours, or no value
				}
				list = append(list, item{key, v})
			}
		}
		text, err := render(list)
		if err != nil {
			return // control characters are never written
		}
		again, err := parseConfig(text)
		require.NoError(t, err)
		for key, values := range again {
			require.Equal(t, s[key], values)
		}
	})
}

// Whatever stands in a definition, its parser ends, and what it takes can be written.
func FuzzDefinition(f *testing.F) {
	for _, s := range specs() {
		data, err := newDefinition(&provision.NewGuest{ID: testID, Spec: s}).encode()
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"id":"x","spec":{"name":"a","disks":[{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDefinition(data)
		if err != nil {
			return
		}
		text, err := d.encode()
		require.NoError(t, err)
		back, err := parseDefinition(text)
		require.NoError(t, err)
		again, err := back.encode()
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

// Whatever the kernel told, reading it ends.
func FuzzNotes(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00web1\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, n := range parseNotes(data) {
			require.NotContains(t, n.name, "\x00")
		}
	})
}
