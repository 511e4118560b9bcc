//go:build linux

package kvm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// BenchmarkList compares lists of many guests, without and with usage, with what
// virsh does in the same minute on the same daemon: "list --all" and "domstats",
// the latter with the same statistics. The metrics are how many times as long
// virsh takes.
//
// The test driver tells states alone. The domains of the qemu driver have disks,
// NICs and records as guests have them, and are off but for three.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("test/%d", n), func(b *testing.B) {
			rig := startRig(b)
			defineMany(b, rig.Socket, n)
			benchmarkList(b, "test+unix:///default?socket="+rig.Socket, n+1)
		})
	}
	b.Run("qemu/1000", func(b *testing.B) {
		rig := startRig(b)
		h := openHost(b, rig.URI, nil)
		for i := range 3 {
			bootedGuest(b, h, tinySpec(fmt.Sprintf("running%d", i)))
		}
		defineRealistic(b, rig, 997)
		benchmarkList(b, rig.URI, 1000)
	})
}

// defineRealistic defines domains of the qemu driver that have disks in files.
func defineRealistic(tb testing.TB, rig *testrig.Libvirt, n int) {
	tb.Helper()
	disk := filepath.Join(rig.PoolDir, "disk.qcow2")
	out, err := exec.CommandContext(tb.Context(), "qemu-img", "create", "-q", "-f", "qcow2", disk, "1G").CombinedOutput()
	require.NoError(tb, err, "%s", out)
	l := libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(rig.Socket)))
	require.NoError(tb, l.ConnectToURI("qemu:///system"))
	tb.Cleanup(func() { require.NoError(tb, l.Disconnect()) })
	for i := range n {
		id := uuid.NewString()
		root, seed := filepath.Join(rig.PoolDir, id+".root.qcow2"), filepath.Join(rig.PoolDir, id+".seed.img")
		require.NoError(tb, os.Link(disk, root))
		require.NoError(tb, os.Link(disk, seed))
		_, err := l.DomainDefineXML(fmt.Sprintf(`<domain type='qemu'><name>d%[1]d</name><uuid>%[2]s</uuid><memory unit='MiB'>512</memory><vcpu>1</vcpu>
<metadata><p:record xmlns:p='https://github.com/guestforge/provision/record/1'>{"v":1,"id":"%[2]s","phase":"complete","created":"2026-01-01T00:00:00Z","spec":{"name":"d%[1]d","labels":{"customer":"%[1]d"}}}</p:record></metadata>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%[3]s'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%[4]s'/><target dev='vdb' bus='virtio'/><readonly/></disk>
<interface type='bridge'><source bridge='br0'/><target dev='tap%[1]d'/><model type='virtio'/></interface></devices></domain>`, i, id, root, seed))
		require.NoError(tb, err)
	}
}

func benchmarkList(b *testing.B, uri string, n int) {
	b.Helper()
	h, err := provision.Open(b.Context(), kvm.New(&kvm.Options{URI: uri, Emulation: kvm.EmulateAlways, Timeout: time.Minute}), &provision.Options{LockDir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, h.Close()) }()
	list := func(usage bool) time.Duration {
		begin := time.Now()
		count := 0
		for st, err := range h.Guests(b.Context(), &provision.ListOptions{Usage: usage}) {
			require.NoError(b, err)
			require.Equal(b, usage && st.State.Live(), st.Usage != nil)
			count++
		}
		require.Equal(b, n, count)
		return time.Since(begin)
	}
	// The second list begins to keep what it reads.
	for i, first := 0, list(false); list(false) > first/2 && i < 200; i++ {
		time.Sleep(50 * time.Millisecond)
	}
	virsh := func(args ...string) time.Duration {
		begin := time.Now()
		out, err := exec.CommandContext(b.Context(), "virsh", append([]string{"-c", uri}, args...)...).CombinedOutput()
		require.NoError(b, err, "%.300s", out)
		return time.Since(begin)
	}
	for _, usage := range []bool{false, true} {
		b.Run(map[bool]string{false: "list", true: "list with usage"}[usage], func(b *testing.B) {
			var ours, listing, stats []time.Duration
			for b.Loop() {
				ours = append(ours, list(usage))
				b.StopTimer() // each measurement of ours has one of virsh beside it
				listing = append(listing, virsh("list", "--all"))
				stats = append(stats, virsh("domstats", "--nowait", "--cpu-total", "--balloon", "--interface", "--block"))
				b.StartTimer()
			}
			b.ReportMetric(float64(median(listing))/float64(median(ours)), "x_virsh_list")
			b.ReportMetric(float64(median(stats))/float64(median(ours)), "x_virsh_domstats")
			b.ReportMetric(float64(median(ours))/1e6, "ms")
			b.ReportMetric(float64(median(listing))/1e6, "ms_virsh_list")
		})
	}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
