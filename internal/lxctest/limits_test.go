//go:build linux

package lxctest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// limited is a guest with a limit of every controller.
func limited(name string, native lxc.Native) provision.Spec {
	s := spec(name, native)
	s.Limits.Processes, s.CPU.Limit = 50, 0.5
	return s
}

// knobs are what limits it.
var knobs = map[string]string{"memory/memory.limit_in_bytes": "67108864", "pids/pids.max": "50", "cpu/cpu.cfs_quota_us": "50000"}

func (m *machine) requireKnobs(g *provision.Guest) {
	m.t.Helper()
	for knob, want := range knobs {
		controller, file := filepath.Split(knob)
		require.Equal(m.t, want, strings.TrimSpace(m.read(m.group(controller, g, "guest", file))), knob)
	}
}

// edit changes a file of a guest, as an administrator may by hand.
func (m *machine) edit(g *provision.Guest, file string, change func(line string) string) {
	m.t.Helper()
	path := filepath.Join(m.path, g.Name(), file)
	var out bytes.Buffer
	for line := range strings.Lines(m.read(path)) {
		out.WriteString(change(line))
	}
	require.NoError(m.t, os.WriteFile(path, out.Bytes(), 0o700))
}

// TestWrongKeys: liblxc ignores limits for the other version of control groups with a
// warning, and starts a guest without limits. Here the hook sets them nevertheless;
// and if that does not either, the start fails.
func TestWrongKeys(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	g := m.create(limited("a", lxc.Native{}))
	m.edit(g, "config", func(line string) string {
		if strings.HasPrefix(line, "lxc.cgroup.dir.") {
			return line
		}
		return strings.Replace(line, "lxc.cgroup.", "lxc.cgroup2.", 1)
	})
	require.NoError(t, g.Start(t.Context(), nil))
	m.requireKnobs(g)
	_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)

	// A hook that was changed by hand is made again at a start; so it is changed later.
	spoiled := filepath.Join(m.path, "start.sh")
	text := fmt.Sprintf("#!/bin/sh\n/bin/sed -i /pids.max/d %s\nexec /usr/bin/lxc-start \"$@\"\n", filepath.Join(m.path, g.Name(), "hook"))
	require.NoError(t, os.WriteFile(spoiled, []byte(text), 0o700))
	m.reopen(lxc.Options{Start: spoiled})
	g, err = m.Guest(t.Context(), g.Name())
	require.NoError(t, err)
	err = g.Start(t.Context(), nil)
	require.ErrorIs(t, err, provision.ErrUnavailable)
	require.ErrorContains(t, err, "not in effect")
	require.Equal(t, provision.StateStopped, m.state(g), "it does not run without its limits")
	require.NoError(t, os.Remove(spoiled))
	m.clean(before)
}

// TestGuestCannotLiftLimits: root in a guest writes to every file of control groups
// that it finds or mounts, also where it is root of the host.
func TestGuestCannotLiftLimits(t *testing.T) {
	const lift = `
for c in memory pids cpu; do
	mkdir -p /tmp/$c
	mount -t cgroup -o $c none /tmp/$c
done
mount -o remount,rw /sys/fs/cgroup
for d in $(find /sys/fs/cgroup /tmp -type d) /sys/fs/cgroup/*/..; do
	echo -1 >$d/memory.memsw.limit_in_bytes
	echo -1 >$d/memory.limit_in_bytes
	echo max >$d/pids.max
	echo -1 >$d/cpu.cfs_quota_us
	echo 1 >$d/cgroup.procs
done 2>/dev/null
true`
	for name, native := range map[string]lxc.Native{"unprivileged": {}, "privileged": {Privileged: true}, "nesting": {Privileged: true, Nesting: true}} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			before := m.leftovers()
			g := m.start(limited("a", native))
			m.says(g, "BOOTED-OK")
			first := m.first(g)
			m.inside(g, lift)
			m.requireKnobs(g)
			for line := range strings.Lines(m.read(fmt.Sprintf("/proc/%d/cgroup", first))) {
				if f := strings.SplitN(strings.TrimSpace(line), ":", 3); f[1] == "memory" || f[1] == "pids" || strings.HasPrefix(f[1], "cpu") {
					require.Equal(t, "/"+lxc.GroupsOf(m.path)+"/"+string(g.ID())+"/guest/ns", f[2], line)
				}
			}
			m.clean(before)
		})
	}
}

// TestGuestRebootsItself: what is not in liblxc's configuration is there again.
func TestGuestRebootsItself(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	s := lxcrig.Spec("a")
	s.Limits.Processes, s.CPU.Limit = 50, 0.5
	s.Disks = []provision.Disk{{BPS: 4 * provision.MiB}}
	s.NICs[0].Addresses = prefixes("192.0.2.10/24")
	s.NICs[0].Rate = provision.Rate{In: 20 * provision.Mbit, Out: 10 * provision.Mbit}
	g := m.start(s)
	m.says(g, "BOOTED-OK")
	was, err := g.Status(t.Context())
	require.NoError(t, err)
	for _, path := range []string{"nics[0].antiSpoof", "nics[0].rate.in", "nics[0].rate.out", "disks[0].bps", "limits.processes", "cpu.limit"} {
		require.NotEqual(t, provision.NotEnforced, limit(t, was, path).Enforcement, path)
	}
	for range 2 {
		first, monitor := m.first(g), m.monitor(g)
		ctx := t.Context()
		_, _ = m.attach(ctx, g, "busybox reboot -f") // it is killed with the guest
		m.eventually("the guest has rebooted", func() bool {
			return ended(first) && m.state(g) == provision.StateRunning
		})
		m.eventually("the guest is up", func() bool {
			out, err := m.attach(ctx, g, "echo up")
			return err == nil && strings.TrimSpace(out) == "up"
		})
		require.Equal(t, monitor, m.monitor(g), "nobody but liblxc has started it")
		require.NotEqual(t, first, m.first(g))
		is, err := g.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, was, is)
	}
	m.clean(before)
}
