//go:build linux

package kvm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// freezeGuest stops the QEMU of a guest with SIGSTOP until the test ends or thaw is
// called.
func freezeGuest(t *testing.T, rig *testrig.Libvirt, name string) (thaw func()) {
	t.Helper()
	pids, err := rig.Processes()
	require.NoError(t, err)
	for _, pid := range pids {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(cmdline, []byte("guest="+name+",")) {
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
			thaw = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
			t.Cleanup(thaw)
			return thaw
		}
	}
	require.Fail(t, "no QEMU", name)
	return nil
}

// addressed is a tiny guest with an address on the rig's bridge.
func addressed(name, address string) provision.Spec {
	s := tinySpec(name)
	s.NICs[0].Addresses = []netip.Prefix{netip.MustParsePrefix(address)}
	return s
}

// TestUsageIsTheGuests: counters are those of this guest, and In is what it
// receives.
func TestUsageIsTheGuests(t *testing.T) {
	rig := startLinux(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	busy := bootedGuest(t, h, addressed("busy", "192.0.2.10/24"))
	kvmrig.Import(t, h, "brief", kvmrig.BriefDisk())
	s := addressed("quiet", "192.0.2.11/24")
	s.Image = "brief"
	quiet := bootedGuest(t, h, s)
	usage := func(g *provision.Guest) provision.Usage {
		u, err := g.Usage(ctx)
		require.NoError(t, err)
		return u
	}
	// The bridge learns where the guest is, or it would send all of it to both.
	_, err := rig.Inside(ctx, "busybox", "ping", "-q", "-c", "3", "192.0.2.10")
	require.NoError(t, err)
	before, other := usage(busy), usage(quiet)
	// An address that the guest does not have, at its MAC: it answers nothing, so
	// all that is sent goes in.
	const packets, size = 50, 1200
	_, err = rig.Inside(ctx, "sh", "-c", fmt.Sprintf(
		"ip neigh replace 192.0.2.99 lladdr %s dev br0; busybox ping -q -i 0.05 -c %d -s %d -W 1 192.0.2.99; true", before.NICs[0].MAC, packets, size))
	require.NoError(t, err)
	var after provision.Usage
	require.Eventually(t, func() bool {
		after = usage(busy)
		return after.NICs[0].In-before.NICs[0].In >= packets*size
	}, 20*time.Second, 100*time.Millisecond, "%+v", before.NICs)
	require.GreaterOrEqual(t, after.NICs[0].PacketsIn-before.NICs[0].PacketsIn, uint64(packets))
	require.Less(t, after.NICs[0].Out-before.NICs[0].Out, provision.Bytes(packets*size/2), "what goes in is not counted as out")
	require.Less(t, usage(quiet).NICs[0].In-other.NICs[0].In, provision.Bytes(packets*size/2), "and not for the other guest")

	require.Equal(t, "vda", after.Disks[0].Target)
	require.Len(t, after.Disks, 1, "the seed is no disk of the guest's")
	require.Greater(t, after.Disks[0].Read, provision.MiB, "it has read its kernel")
	info, err := os.Stat(rig.PoolDir + "/" + string(busy.ID()) + ".root.qcow2")
	require.NoError(t, err)
	require.Equal(t, provision.Bytes(512*info.Sys().(*syscall.Stat_t).Blocks), after.Disks[0].Allocated)
	require.Greater(t, after.Memory.Host, 32*provision.MiB)
	require.Eventually(t, func() bool { u := usage(busy); return u.Known("memory.guest") }, time.Minute, 500*time.Millisecond, "the balloon tells")
	inside := usage(busy).Memory.Guest
	require.True(t, inside > provision.MiB && inside < 96*provision.MiB, "%s", inside)

	// The next run begins at zero, and what the disk takes up stays.
	_, err = busy.Stop(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	off := usage(busy)
	require.False(t, off.Live())
	require.Zero(t, off.CPU, "libvirt 9.0 tells its own CPU time here")
	require.Equal(t, after.Disks[0].Allocated, off.Disks[0].Allocated)
	require.True(t, off.Known("disks[0].allocated"))
	require.NoError(t, busy.Start(ctx, nil))
	next := usage(busy)
	require.NotEqual(t, after.Run, next.Run)
	require.Less(t, next.NICs[0].In, after.NICs[0].In)
}

// TestUsageWithHungQEMU: guests whose QEMU is stopped keep nobody's usage from
// being read, and their own is told as far as it is known.
func TestUsageWithHungQEMU(t *testing.T) {
	rig := startRig(t)
	making := openHost(t, rig.URI, nil)
	guests := map[string]*provision.Guest{}
	for _, name := range []string{"hung-a", "hung-b", "sound"} {
		guests[name] = bootedGuest(t, making, tinySpec(name))
	}
	open := func() *provision.Host {
		b := kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: 3 * time.Second})
		h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		return h
	}
	h := open()
	before := list(t, h)
	thaw := []func(){freezeGuest(t, rig, "hung-a"), freezeGuest(t, rig, "hung-b")}
	check := func(usage map[string]*provision.Usage) {
		t.Helper()
		require.Len(t, usage, 3)
		for name, u := range usage {
			sound := name == "sound"
			require.NotNil(t, u, name)
			require.Equal(t, sound, u.Known("memory.host"), "%s: %v", name, u.Unread)
			require.Equal(t, sound, u.Known("disks[0]"), "%s: %v", name, u.Unread)
			require.True(t, u.Known("nics[0]"), "%s: %v", name, u.Unread)
			require.Equal(t, before[name].Run, u.Run)
			require.Equal(t, before[name].NICs[0].MAC, u.NICs[0].MAC)
			if sound {
				require.GreaterOrEqual(t, u.CPU, before[name].CPU)
				require.Equal(t, before[name].Disks[0].Reads, u.Disks[0].Reads)
			} else {
				require.Contains(t, u.Unread[0].Reason, "QEMU")
			}
		}
	}
	// The second time, and for another program, nothing gets stuck any more: the
	// calls that were given up hold libvirt's locks on the guests.
	for _, host := range []*provision.Host{h, h, open()} {
		begin := time.Now()
		within(t, 30*time.Second, func() { check(list(t, host)) })
		t.Logf("with two of three guests hung: %s", time.Since(begin))
	}
	u, err := guests["hung-a"].Usage(t.Context())
	require.NoError(t, err)
	require.False(t, u.Known("memory.host"))

	for _, f := range thaw {
		f()
	}
	require.Eventually(t, func() bool {
		all := list(t, h)
		return all["hung-a"].Known("disks[0]") && all["hung-b"].Known("disks[0]")
	}, 30*time.Second, 200*time.Millisecond, "all is well again")
}

// TestAgentThatHangs: a source that does not answer is given up, and the others
// are heard. The proxy keeps the question from libvirtd, as if it never got an
// answer.
func TestAgentThatHangs(t *testing.T) {
	rig := startRig(t)
	const qemuProgram = 0x20008087
	proxy := countCalls(t, rig.Socket, func(packet []byte) bool {
		return binary.BigEndian.Uint32(packet[4:]) == qemuProgram && binary.BigEndian.Uint32(packet[12:]) == procAgentCommand
	})
	b := kvm.New(&kvm.Options{URI: "qemu+unix:///system?socket=" + proxy.path, Emulation: kvm.EmulateAlways, Timeout: 2 * time.Second})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	g, err := h.Create(t.Context(), addressed("mute", "192.0.2.10/24"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	within(t, 20*time.Second, func() {
		all, err := g.Addresses(t.Context())
		require.NoError(t, err)
		require.Len(t, all.Found, 1, "what the Spec says")
		require.Contains(t, fmt.Sprint(all.Failed), "agent: the agent in the guest did not answer within 2s")
		require.Contains(t, fmt.Sprint(all.Failed), "arp: the guest does not run")
	})
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = g.Addresses(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// list returns the usage of all guests.
func list(t *testing.T, h *provision.Host) map[string]*provision.Usage {
	t.Helper()
	all := map[string]*provision.Usage{}
	for st, err := range h.Guests(t.Context(), &provision.ListOptions{Usage: true}) {
		require.NoError(t, err)
		all[st.Name] = st.Usage
	}
	return all
}

// TestUsageOfFrozenDaemon: libvirtd itself does not answer.
func TestUsageOfFrozenDaemon(t *testing.T) {
	rig := startRig(t)
	b := kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, Timeout: 500 * time.Millisecond})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	g, err := h.Create(t.Context(), tinySpec("quiet"), nil)
	require.NoError(t, err)
	require.NoError(t, rig.Freeze())
	within(t, 10*time.Second, func() {
		_, err := b.Usage(t.Context(), nil)
		require.ErrorIs(t, err, provision.ErrUnavailable)
		_, err = b.Addresses(t.Context(), g.ID())
		require.ErrorIs(t, err, provision.ErrUnavailable)
		for _, err := range h.Guests(t.Context(), &provision.ListOptions{Usage: true}) {
			require.ErrorIs(t, err, provision.ErrUnavailable)
		}
	})
	require.NoError(t, rig.Thaw())
	remove(t, g)
}

// TestAddressesOfGuest: every source is heard, and each that fails is named.
func TestAddressesOfGuest(t *testing.T) {
	rig := startLinux(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	file := t.TempDir() + "/lan.xml"
	writeFile(t, file, `<network><name>lan</name><bridge name='virbr7'/><dns enable='no'/></network>`)
	_, err := rig.Virsh(ctx, "net-create", file)
	require.NoError(t, err)
	spec := addressed("known", "192.0.2.10/24")
	spec.NICs = append(spec.NICs, provision.NIC{Bridge: "virbr7"})
	spec.UserData = []byte("#cloud-config\n# test:no-agent\n")
	g := bootedGuest(t, h, spec)
	st, err := g.Status(ctx)
	require.NoError(t, err)
	// The file that libvirt's helper writes for dnsmasq, with leases of others and
	// what no server would write.
	leases := fmt.Sprintf(`[{"ip-address":"198.51.100.5","mac-address":"%s","hostname":"h","expiry-time":4000000000},
{"ip-address":"198.51.100.6","mac-address":"52:54:00:00:00:99","expiry-time":4000000000},
{"ip-address":"127.0.0.1","mac-address":"%[1]s","expiry-time":4000000000},
{"ip-address":"198.51.100.7","mac-address":"%[1]s","expiry-time":1}]`, st.NICs[1].MAC)
	writeFile(t, rig.Dir+"/leases", leases)
	_, err = rig.Inside(ctx, "sh", "-c", "mkdir -p /var/lib/libvirt/dnsmasq && cp "+rig.Dir+"/leases /var/lib/libvirt/dnsmasq/virbr7.status")
	require.NoError(t, err)
	_, err = rig.Inside(ctx, "busybox", "ping", "-c", "1", "-W", "10", "192.0.2.10")
	require.NoError(t, err)

	want := provision.Address{Address: netip.MustParsePrefix("192.0.2.10/24"), MAC: st.NICs[0].MAC, Source: provision.SourceSpec}
	leased := provision.Address{Address: netip.MustParsePrefix("198.51.100.5/32"), MAC: st.NICs[1].MAC, Source: provision.SourceLease}
	heard := provision.Address{Address: netip.MustParsePrefix("192.0.2.10/32"), MAC: st.NICs[0].MAC, Source: provision.SourceARP}
	all, err := g.Addresses(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, all.Failed)
	require.Equal(t, provision.SourceAgent, all.Failed[0].Source)
	require.Contains(t, all.Failed[0].Reason, "no agent answers in the guest")
	if len(all.Failed) == 1 {
		require.Equal(t, []provision.Address{want, leased, heard}, all.Found)
	} else {
		// libvirt 9.0 takes the end of the table, as newer kernels write it, for a
		// mistake.
		require.Contains(t, all.Failed[1].String(), "arp: libvirt error 1: internal error: wrong nlmsg len")
		require.Equal(t, []provision.Address{want, leased}, all.Found)
	}
	_, err = g.Wait(ctx, provision.UntilAddress())
	require.NoError(t, err)
	for st, err := range h.Guests(ctx, nil) {
		require.NoError(t, err)
		require.Equal(t, []netip.Prefix{want.Address, leased.Address}, st.Addresses)
	}

	_, err = g.Stop(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	all, err = g.Addresses(ctx)
	require.NoError(t, err)
	require.Equal(t, []provision.Address{want, leased}, all.Found)
	var failed []string
	for _, f := range all.Failed {
		failed = append(failed, f.String())
	}
	require.Equal(t, "agent: the guest does not run, arp: the guest does not run", strings.Join(failed, ", "))
	_, err = g.Wait(ctx, provision.UntilAddress(provision.SourceAgent))
	require.ErrorIs(t, err, provision.ErrState)
	require.NoError(t, g.Delete(ctx, nil))
	_, err = g.Addresses(ctx)
	require.True(t, errors.Is(err, provision.ErrNotFound), "%v", err)
}
