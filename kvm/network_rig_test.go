//go:build linux

package kvm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

func inside(t *testing.T, rig *testrig.Libvirt, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := rig.Inside(t.Context(), words[0], words[1:]...)
	require.NoError(t, err)
	return out
}

// limitOf returns a limit from the guest's status, which has to be the same in a
// list.
func limitOf(t *testing.T, h *provision.Host, g *provision.Guest, path string) provision.Limit {
	t.Helper()
	find := func(list []provision.Limit) provision.Limit {
		for _, l := range list {
			if l.Path == path {
				return l
			}
		}
		require.Fail(t, "no limit", "%s in %v", path, list)
		return provision.Limit{}
	}
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	one := find(st.Limits)
	for other, err := range h.Guests(t.Context(), nil) {
		require.NoError(t, err)
		if other.ID == g.ID() {
			require.Equal(t, one, find(other.Limits), "in a list")
		}
	}
	return one
}

// TestAntiSpoofIsReadBack: the status says what libvirtd has in force, whatever the
// definition says.
func TestAntiSpoofIsReadBack(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	s := tinySpec("held")
	s.NICs[0].Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}
	s.Needs.Strict = true
	plan, err := h.Plan(ctx, s)
	require.NoError(t, err, "IPv4 is enforced in full")

	// Several processes at once make the filter once.
	var wg sync.WaitGroup
	errs := make([]error, 4)
	guests := make([]*provision.Guest, len(errs))
	for i := range errs {
		other := openHost(t, rig.URI, nil)
		wg.Go(func() {
			one := s.Copy()
			one.Name = fmt.Sprintf("held%d", i)
			one.NICs[0].Addresses[0] = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), 24)
			guests[i], errs[i] = other.Create(ctx, one, nil)
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, g := range guests {
		t.Cleanup(func() { remove(t, g) })
	}
	g := guests[0]
	names, err := rig.Virsh(ctx, "nwfilter-list")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(names, "provision-"), "%s", names)

	const path = "nics[0].antiSpoof"
	planned := plan.Limits[len(plan.Limits)-1]
	require.Equal(t, planned, limitOf(t, h, g, path), "what was planned")
	require.Equal(t, provision.Enforced, planned.Enforcement)
	filter := planned.Have

	require.NoError(t, g.Start(ctx, nil))
	st, err := g.Status(ctx)
	require.NoError(t, err)
	tap := st.NICs[0].Device
	require.Equal(t, provision.Enforced, limitOf(t, h, g, path).Enforcement)
	rules := inside(t, rig, "ebtables -t nat -L libvirt-I-"+tap)
	require.Contains(t, rules, "192.0.2.10")
	t.Logf("in the kernel:\n%s", rules)

	_, err = rig.Virsh(ctx, "nwfilter-binding-delete", tap)
	require.NoError(t, err)
	l := limitOf(t, h, g, path)
	require.Equal(t, provision.NotEnforced, l.Enforcement)
	require.Contains(t, l.Reason, "has not bound")
	_, err = g.Stop(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, provision.Enforced, limitOf(t, h, g, path).Enforcement, "at the next start it will be")

	// A filter that is gone is made anew by a start; one that was changed is not
	// touched, and the guest stays off.
	_, err = rig.Virsh(ctx, "nwfilter-undefine", filter)
	require.NoError(t, err)
	require.NoError(t, g.Start(ctx, nil))
	require.Equal(t, provision.Enforced, limitOf(t, h, g, path).Enforcement)
	doc, err := rig.Virsh(ctx, "nwfilter-dumpxml", filter)
	require.NoError(t, err)
	file := t.TempDir() + "/filter.xml"
	writeFile(t, file, strings.Replace(doc, "<mac match='no' srcmacaddr='$MAC'/>", "<mac match='no' srcmacaddr='02:00:00:00:00:01'/>", 1))
	_, err = rig.Virsh(ctx, "nwfilter-define", file)
	require.NoError(t, err)
	l = limitOf(t, h, g, path)
	require.Equal(t, provision.NotEnforced, l.Enforcement)
	require.Contains(t, l.Reason, "rules were changed")
	require.NoError(t, newOpened(t, rig).Start(ctx, g.ID()), "it runs already")
	_, err = g.Stop(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	err = g.Start(ctx, nil)
	require.ErrorIs(t, err, provision.ErrConflict)
	require.ErrorContains(t, err, filter)
	again, err := rig.Virsh(ctx, "nwfilter-dumpxml", filter)
	require.NoError(t, err)
	require.Contains(t, again, "02:00:00:00:00:01", "it is somebody's, and left alone")
}

// TestIsolatedNICs: MTU, queues and static addresses by MAC reach the guest, and
// isolated guests do not reach each other.
func TestIsolatedNICs(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	inside(t, rig, "ip link set br0 mtu 1500")
	guest := func(name string, last byte) *provision.Guest {
		s := tinySpec(name)
		s.CPU.Count = 2
		s.NICs[0].Isolated, s.NICs[0].MTU = true, 1400
		s.NICs[0].Addresses = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 24)}
		return bootedGuest(t, h, s)
	}
	a, b := guest("a", 10), guest("b", 11)
	have := facts(t, a)
	require.Equal(t, "2", have["cpus"])
	text, err := a.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	require.Contains(t, string(text), "addr=192.0.2.10/24 mtu=1400")
	sh := openShell(t, rig, a)
	require.Equal(t, "0", sh.run(t, "ls -d /sys/class/net/eth0/queues/tx-1"), "a queue for each processor")
	require.Equal(t, "0", sh.run(t, "ping -c 1 -W 20 192.0.2.1"), "the host is reached")
	inside(t, rig, "busybox ping -c 1 -W 20 192.0.2.11")
	require.Equal(t, "1", sh.run(t, "ping -c 3 -W 3 192.0.2.11"), "the other guest is not")
	for _, g := range []*provision.Guest{a, b} {
		require.Equal(t, provision.Enforced, limitOf(t, h, g, "nics[0].isolated").Enforcement)
	}
	st, err := b.Status(t.Context())
	require.NoError(t, err)
	tap := st.NICs[0].Device
	require.Contains(t, inside(t, rig, "bridge -d link show dev "+tap), "isolated on")
	inside(t, rig, "bridge link set dev "+tap+" isolated off")
	require.Equal(t, "0", sh.run(t, "ping -c 3 -W 20 192.0.2.11"), "without isolation it would be")
}

// TestIsolationIsReadBack: a definition that is newer than the running guest is not
// taken for what holds.
func TestIsolationIsReadBack(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("apart")
	s.NICs[0].Isolated = true
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	redefine(t, rig, string(g.ID()), domainxml.Remove("devices/interface/port"))
	require.NoError(t, g.Start(t.Context(), nil))
	l := limitOf(t, h, g, "nics[0].isolated")
	require.Equal(t, provision.NotEnforced, l.Enforcement, "it was taken away by other means")
	redefine(t, rig, string(g.ID()), domainxml.Set("devices/interface/port/@isolated", "yes"))
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Contains(t, st.Limits, provision.Limit{Path: "nics[0].isolated", Want: "true", Have: "false",
		Enforcement: provision.NotEnforced, Reason: "the guest runs without it until its next start"})
	_, err = g.Stop(t.Context(), &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	require.Equal(t, provision.Enforced, limitOf(t, h, g, "nics[0].isolated").Enforcement)
}

// TestOpenVSwitch: frames of a guest with a VLAN are tagged on a trunk, and reach
// ports of that VLAN only.
func TestOpenVSwitch(t *testing.T) {
	rig := startLinux(t)
	ctx := t.Context()
	require.NoError(t, rig.AddOpenVSwitch(ctx, "ovs0"))
	captures := map[string]*testrig.Capture{}
	for port, tag := range map[string]string{"trunk": "", "in42": "tag=42", "in43": "tag=43"} {
		inside(t, rig, "ip link add "+port+" type veth peer name "+port+"x")
		inside(t, rig, "ip link set "+port+" up")
		inside(t, rig, "ip link set "+port+"x up")
		inside(t, rig, strings.TrimSpace("ovs-vsctl add-port ovs0 "+port+"x "+tag))
		captures[port] = capture(t, rig, port)
	}
	h, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Emulation: kvm.EmulateAlways, OpenVSwitch: []string{"ovs0", "br0"}}), &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	s := tinySpec("tagged")
	before := leftovers(t, rig)

	for name, c := range map[string]struct {
		nic  provision.NIC
		want error
		text string
	}{
		"a Linux bridge":   {provision.NIC{Bridge: "br0"}, provision.ErrInvalid, "is a bridge of Linux"},
		"no bridge":        {provision.NIC{Bridge: "ovs1"}, provision.ErrInvalid, "no network device"},
		"anti-spoofing":    {provision.NIC{Bridge: "ovs0", AntiSpoof: provision.On}, errors.ErrUnsupported, "ebtables"},
		"isolation":        {provision.NIC{Bridge: "ovs0", Isolated: true}, errors.ErrUnsupported, "Linux bridges only"},
		"no bridge at all": {provision.NIC{Bridge: "lo"}, provision.ErrInvalid, "name it in kvm.Options.OpenVSwitch"},
	} {
		s.NICs = []provision.NIC{c.nic}
		_, err := h.Create(ctx, s, nil)
		require.ErrorIs(t, err, c.want, name)
		require.ErrorContains(t, err, c.text, name)
	}
	require.Equal(t, before, leftovers(t, rig))
	plain := openHost(t, rig.URI, nil)
	s.NICs = []provision.NIC{{Bridge: "br0", VLAN: 42}}
	for _, err := range []error{plain.Supports(provision.FeatureNICVLAN), func() error { _, err := plain.Plan(ctx, s); return err }()} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "a bridge for each VLAN", "with advice, as this libvirt is older than 11")
	}

	s.NICs = []provision.NIC{{Bridge: "ovs0", VLAN: 42, MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 0}}}
	g := bootedGuest(t, h, s)
	l := limitOf(t, h, g, "nics[0].antiSpoof")
	require.Equal(t, provision.NotEnforced, l.Enforcement)
	require.Contains(t, l.Reason, "Open vSwitch")
	plan, err := h.Plan(ctx, s)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, plan.Action, "%s", plan)

	sh, mac := openShell(t, rig, g), hw(s.NICs[0].MAC)
	frame := marked(eth(broadcast, mac, 0x88b5, make([]byte, 48)), 0, 1)
	require.Equal(t, "0", sh.run(t, testrig.SendCommand(2, frame)))
	tagged := append(append(append([]byte{}, frame[:12]...), 0x81, 0, 0, 42), frame[12:]...)
	requireFrame(t, captures["trunk"], tagged)
	requireFrame(t, captures["in42"], frame)
	for deadline := time.Now().Add(200 * time.Millisecond); ; {
		have, err := captures["in43"].Next(deadline)
		if err != nil {
			break
		}
		require.False(t, bytes.Contains(have, mac[:]), "%x", have)
	}
	// The finding behind what the status says: a spoofed frame passes here.
	spoofed := marked(eth(broadcast, neighbourMAC, 0x88b5, make([]byte, 48)), 0, 2)
	require.Equal(t, "0", sh.run(t, testrig.SendCommand(2, spoofed)))
	requireFrame(t, captures["in42"], spoofed)
}

// requireFrame waits until the frame arrives.
func requireFrame(t *testing.T, c *testrig.Capture, want []byte) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		have, err := c.Next(deadline)
		require.NoError(t, err, "%x did not arrive", want)
		if bytes.Equal(have, want) {
			return
		}
	}
}

// TestNoFilters: a libvirtd without network filters says so, and guests are made
// without.
func TestNoFilters(t *testing.T) {
	rig := startRig(t)
	uri := strings.Replace(rig.URI, "qemu+unix:///system", "test+unix:///default", 1)
	b := kvm.New(&kvm.Options{URI: uri, Emulation: kvm.EmulateAlways})
	info, err := b.Probe(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	require.Contains(t, info.Missing[provision.FeatureNICAntiSpoof], "no network filters")
	require.NoError(t, b.Close())
}
