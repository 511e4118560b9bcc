//go:build linux

package kvm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
)

// startLimitsRig starts a libvirtd that has control groups and, if there are any,
// the host's huge pages.
func startLimitsRig(tb testing.TB, huge bool) *testrig.Libvirt {
	tb.Helper()
	return kvmrig.StartBrief(tb, &testrig.LibvirtOptions{Cgroups: true, HugePages: huge})
}

func limitsSpec(name string) provision.Spec {
	s := tinySpec(name)
	s.CPU = provision.CPU{Count: 2, Limit: 0.5, Weight: 50, Pin: []int{1}}
	s.Disks[0].IOPS, s.Disks[0].BPS = 1000, 50*provision.MiB
	return s
}

// limitsOf lists limits as "path want have enforcement: reason".
func limitsOf(list []provision.Limit) map[string]string {
	m := map[string]string{}
	for _, l := range list {
		text := fmt.Sprintf("%s %s %s", l.Want, l.Have, l.Enforcement)
		if l.Reason != "" {
			text += ": " + l.Reason
		}
		m[l.Path] = text
	}
	return m
}

// group reads a file of a guest's control group, of version 1.
func group(tb testing.TB, rig *testrig.Libvirt, controller, name, file string) string {
	tb.Helper()
	out, err := rig.Inside(tb.Context(), "sh", "-c", fmt.Sprintf("cat /sys/fs/cgroup/%s/machine/qemu-*-%s.libvirt-qemu/%s", controller, name, file))
	require.NoError(tb, err)
	return strings.TrimSpace(out)
}

func TestLimitsHold(t *testing.T) {
	rig := kvmrig.StartWith(t, &testrig.LibvirtOptions{Cgroups: true}) // with a guest that is busy for some time
	h := openHost(t, rig.URI, nil)
	s := limitsSpec("limited")
	p, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	want := map[string]string{
		"cpu.limit": "0.5 0.5 enforced", "cpu.weight": "50 50 enforced", "cpu.pin": "1 1 enforced",
		"disks[0].iops": "1000 1000 enforced", "disks[0].bps": "50MiB 50MiB enforced",
	}
	require.Subset(t, limitsOf(p.Limits), want, "foretold")
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Subset(t, limitsOf(st.Limits), want, "of a guest that is off")
	require.NoError(t, g.Start(t.Context(), nil))
	st, err = g.Status(t.Context())
	require.NoError(t, err)
	require.Subset(t, limitsOf(st.Limits), want, "of one that runs")
	for st, err := range h.Guests(t.Context(), nil) {
		require.NoError(t, err)
		require.Subset(t, limitsOf(st.Limits), want, "in a list")
	}

	// The kernel says the same.
	if _, err := rig.Inside(t.Context(), "test", "-d", "/sys/fs/cgroup/cpu"); err == nil {
		require.Equal(t, "50000", group(t, rig, "cpu", "limited", "cpu.cfs_quota_us"))
		require.Equal(t, "512", group(t, rig, "cpu", "limited", "cpu.shares"))
		require.Equal(t, "1", group(t, rig, "cpuset", "limited", "vcpu1/cpuset.cpus"))
		require.Eventually(t, func() bool { // it boots, which takes all it can get
			for line := range strings.Lines(group(t, rig, "cpu", "limited", "cpu.stat")) {
				if n, ok := strings.CutPrefix(strings.TrimSpace(line), "nr_throttled "); ok && n != "0" {
					return true
				}
			}
			return false
		}, time.Minute, 100*time.Millisecond, "the kernel throttles it")
	}
	out, err := rig.Virsh(t.Context(), "qemu-monitor-command", "limited", `{"execute":"query-block"}`)
	require.NoError(t, err)
	require.Contains(t, out, `"iops":1000`)
	require.Contains(t, out, `"bps":52428800`)
	for _, pid := range qemuThreads(t, rig, "CPU ") {
		text, err := os.ReadFile(filepath.Join(pid, "status"))
		require.NoError(t, err)
		require.Regexp(t, `Cpus_allowed_list:\s+1\n`, string(text))
	}
	p, err = h.Plan(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, p.Action, "%s", p)

	// None of it waits for a QEMU that hangs.
	for _, dir := range qemuThreads(t, rig, "qemu-system") {
		pid, err := strconv.Atoi(filepath.Base(dir))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	st, err = g.Status(ctx)
	require.NoError(t, err)
	require.Subset(t, limitsOf(st.Limits), want)
	sure := guaranteedSpec("sure", 64*provision.MiB)
	_, err = h.Plan(ctx, sure)
	require.NoError(t, err)
}

// What the host's kernel cannot do is said before a guest is made that would not
// start; where it can, the guest has it.
func TestRate(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	s := tinySpec("rated")
	s.NICs[0].Rate = provision.Rate{In: 100 * provision.Mbit, Out: 5000}
	no := h.Supports(provision.FeatureNICRate)
	_, err := h.Plan(t.Context(), s)
	if no != nil {
		require.ErrorIs(t, no, errors.ErrUnsupported)
		require.ErrorContains(t, no, "a trial guest with it does not start: ")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = h.Create(t.Context(), s, nil)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.Equal(t, before, leftovers(t, rig), "the trial leaves nothing")
		return
	}
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, `nics[0].rate.out: "5Kbit"`)
	s.NICs[0].Rate.Out = 50 * provision.Mbit
	g := bootedGuest(t, h, s)
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Subset(t, limitsOf(st.Limits), map[string]string{
		"nics[0].rate.in": "100Mbit 99999744 enforced", "nics[0].rate.out": "50Mbit 49995776 enforced",
	})
	out, err := rig.Inside(t.Context(), "tc", "class", "show", "dev", st.NICs[0].Device)
	require.NoError(t, err)
	require.Contains(t, out, "rate 100Mbit")
}

// qemuThreads returns the directories below /proc of the threads of guests whose
// name begins so.
func qemuThreads(tb testing.TB, rig *testrig.Libvirt, prefix string) []string {
	tb.Helper()
	pids, err := rig.Processes()
	require.NoError(tb, err)
	var list []string
	for _, pid := range pids {
		tasks, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*"))
		for _, dir := range tasks {
			if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil && strings.HasPrefix(string(comm), prefix) {
				list = append(list, dir)
			}
		}
	}
	require.NotEmpty(tb, list)
	return list
}

// What others change shows in status and plan, and nowhere twice.
func TestLimitsChangedByOthers(t *testing.T) {
	rig := startLimitsRig(t, false)
	h := openHost(t, rig.URI, nil)
	s := limitsSpec("meddled")
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	require.NoError(t, g.Start(t.Context(), nil))
	for _, args := range [][]string{
		{"schedinfo", "meddled", "--live", "--config", "global_quota=80000", "cpu_shares=2048"},
		{"blkdeviotune", "meddled", "vda", "--live", "--config", "--total-iops-sec", "0", "--total-bytes-sec", "1048576"},
		{"vcpupin", "meddled", "0", "0-1", "--live", "--config"}, {"vcpupin", "meddled", "1", "0-1", "--live", "--config"},
		{"emulatorpin", "meddled", "0-1", "--live", "--config"},
	} {
		_, err := rig.Virsh(t.Context(), args...)
		require.NoError(t, err)
	}
	want := map[string]string{
		"cpu.limit":     "0.5 0.8 not enforced: it was changed by other means",
		"cpu.weight":    "50 200 not enforced: it was changed by other means",
		"cpu.pin":       "1 0 1 not enforced: it was changed by other means",
		"disks[0].iops": "1000  not enforced: it was changed by other means",
		"disks[0].bps":  "50MiB 1MiB not enforced: it was changed by other means",
	}
	changes := []string{"cpu.limit 0.8 0.5", "cpu.pin 0 1 1", "cpu.weight 200 50", "disks[0].bps 1MiB 50MiB", "disks[0].iops  1000"}
	for _, off := range []bool{false, true} {
		if off {
			_, err := g.Stop(t.Context(), &provision.StopOptions{Force: true})
			require.NoError(t, err)
		}
		st, err := g.Status(t.Context())
		require.NoError(t, err)
		require.Subset(t, limitsOf(st.Limits), want, "off: %v", off)
		p, err := h.Plan(t.Context(), s)
		require.NoError(t, err)
		var have []string
		for _, c := range p.Changes {
			have = append(have, fmt.Sprintf("%s %s %s", c.Path, c.Have, c.Want))
		}
		require.Equal(t, changes, have, "off: %v", off)
	}
}

// A libvirtd without control groups takes a weight and forgets it, and a guest
// with a quota would not start: both are refused before anything is made.
func TestLimitsWithoutCgroups(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	for _, c := range []provision.CPU{{Limit: 0.5}, {Weight: 50}} {
		s := tinySpec("no-groups")
		s.CPU = c
		_, err := h.Plan(t.Context(), s)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "no control groups")
		_, err = h.Create(t.Context(), s, nil)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	require.ErrorContains(t, h.Supports(provision.FeatureCPULimit), "no control groups")
	require.ErrorContains(t, h.Supports(provision.FeatureCPUWeight), "cpu.weight is not supported")
	found, err := h.Check(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(found, func(f provision.Finding) bool { return f.Check == "limits" })
	require.Equal(t, provision.SeverityWarning, found[i].Severity)
	require.Contains(t, found[i].Evidence, "cpu.limit and cpu.weight: libvirtd has no control groups")
	s := tinySpec("no-groups")
	s.CPU.Pin = []int{0, 5000}
	_, err = h.Plan(t.Context(), s)
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, `cpu.pin[1]: "5000" is none of the host's processors: 0 `)
	require.Equal(t, before, leftovers(t, rig))
}
