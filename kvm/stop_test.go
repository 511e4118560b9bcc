//go:build linux

package kvm_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// behaving is the Spec of a guest without an agent and with a special behaviour,
// see init.sh of testrig.
func behaving(name, how string) provision.Spec {
	s := tinySpec(name)
	s.UserData = []byte("#cloud-config\n# test:no-agent test:" + how + "\n")
	return s
}

// stopped stops a guest and requires it to be off afterwards, for good.
func stopped(t *testing.T, rig *testrig.Libvirt, g *provision.Guest, grace time.Duration) provision.StopResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := g.Stop(ctx, &provision.StopOptions{Grace: grace})
	require.NoError(t, err)
	for range 5 {
		st, err := g.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, provision.StateStopped, st.State, st.Reason)
		guests, err := rig.Guests()
		require.NoError(t, err)
		require.NotContains(t, guests, g.Name())
		time.Sleep(100 * time.Millisecond)
	}
	return result
}

// TestStop asks guests of all kinds to shut down.
func TestStop(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	kvmrig.Import(t, h, "brief", kvmrig.BriefDisk())
	kvmrig.Import(t, h, "halt", kvmrig.HaltImage())
	until := func(g *provision.Guest, want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			out, err := rig.Virsh(t.Context(), "domstate", "--reason", g.Name())
			require.NoError(t, err)
			return strings.Contains(out, want)
		}, 30*time.Second, 50*time.Millisecond, want)
	}

	t.Run("it hears the power button", func(t *testing.T) {
		g := bootedGuest(t, h, behaving("good", "acpi"))
		result := stopped(t, rig, g, 20*time.Second)
		require.Equal(t, provision.StopShut, result)
		require.False(t, result.Killed())
	})
	t.Run("it ignores the power button", func(t *testing.T) {
		g, err := h.Create(t.Context(), kvmrig.HaltSpec("deaf"), nil)
		require.NoError(t, err)
		t.Cleanup(func() { remove(t, g) })
		require.NoError(t, g.Start(t.Context(), nil))
		begin := time.Now()
		result := stopped(t, rig, g, 2*time.Second)
		require.Equal(t, provision.StopKilled, result)
		require.True(t, result.Killed())
		require.GreaterOrEqual(t, time.Since(begin), 2*time.Second)
	})
	t.Run("it reboots instead", func(t *testing.T) {
		g := bootedGuest(t, h, behaving("again", "reboot-on-acpi"))
		require.Equal(t, provision.StopKilled, stopped(t, rig, g, 6*time.Second))
		log, err := g.ConsoleLog(t.Context(), 0)
		require.NoError(t, err)
		require.Contains(t, string(log), "reboot: Restarting system")
	})
	t.Run("it was paused", func(t *testing.T) {
		s := tinySpec("paused")
		s.Image = "brief"
		g := bootedGuest(t, h, s)
		require.NoError(t, g.Pause(t.Context()))
		require.Equal(t, provision.StopShut, stopped(t, rig, g, 20*time.Second))
	})
	t.Run("it has no ACPI", func(t *testing.T) {
		kernel, err := testrig.Kernel()
		require.NoError(t, err)
		s := tinySpec("bare")
		s.Image, s.Disks = "", nil
		s.Native = &kvm.Native{Kernel: &kvm.Kernel{Image: kernel, Cmdline: "console=ttyS0 acpi=off panic=0"}}
		g, err := h.Create(t.Context(), s, nil)
		require.NoError(t, err)
		t.Cleanup(func() { remove(t, g) })
		require.NoError(t, g.Start(t.Context(), nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = g.Wait(ctx, provision.UntilConsole("Kernel panic", 0)) // it has no root file system
		require.NoError(t, err)
		require.Equal(t, provision.StopKilled, stopped(t, rig, g, 2*time.Second))
	})
	t.Run("it has suspended itself to memory", func(t *testing.T) {
		g := bootedGuest(t, h, behaving("sleeper", "suspend-to-ram"))
		until(g, "pmsuspended")
		st, err := g.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, provision.StatePaused, st.State)
		require.NoError(t, g.Resume(t.Context()))
		until(g, "running")
		// How well its kernel wakes up is its own affair.
		require.NotEqual(t, provision.StopNone, stopped(t, rig, g, 3*time.Second))
	})
	t.Run("its disk is full and it cannot go on", func(t *testing.T) {
		small := rig.Dir + "/small"
		_, err := rig.Inside(t.Context(), "sh", "-c", "mkdir "+small+" && mount -t tmpfs -o size=56m tmpfs "+small)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := rig.Inside(context.WithoutCancel(t.Context()), "umount", small)
			require.NoError(t, err)
		})
		_, err = rig.Virsh(t.Context(), "pool-create-as", "small", "dir", "--target", small)
		require.NoError(t, err)
		tight, err := provision.Open(t.Context(), kvm.New(&kvm.Options{URI: rig.URI, Pool: "small", Emulation: kvm.EmulateAlways}),
			&provision.Options{LockDir: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, tight.Close()) })
		importImage(t, tight)
		s := behaving("tight", "fill-disk")
		s.Disks[0].Size = 200 * provision.MiB
		g := bootedGuest(t, tight, s)
		until(g, "paused")
		st, err := g.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, provision.StatePaused, st.State)
		require.Equal(t, "a disk error", st.Reason)
		require.Equal(t, provision.StopKilled, stopped(t, rig, g, 2*time.Second))
	})
}

// TestStopWithoutAnAgent: a channel nobody listens on takes no time from the
// guest, which hears the power button.
func TestStopWithoutAnAgent(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	b := newOpened(t, rig)
	g := bootedGuest(t, h, behaving("plain", "acpi"))
	err := b.StopByAgent(t.Context(), g.ID())
	require.ErrorContains(t, err, "does not answer", "a channel and nobody at its end")
	require.NotErrorIs(t, err, errUnsupported)
	require.NotErrorIs(t, err, provision.ErrUnavailable, "the hypervisor is there")
	begin := time.Now()
	require.Equal(t, provision.StopShut, stopped(t, rig, g, 20*time.Second))
	require.Less(t, time.Since(begin), 10*time.Second)
	require.NoError(t, b.StopByAgent(t.Context(), g.ID()), "of a guest that is off")

	rewrite(t, rig, "plain", withoutChannel)
	require.NoError(t, g.Start(t.Context(), nil))
	_, err = g.Wait(t.Context(), provision.UntilConsole("BOOTED-OK", 0))
	require.NoError(t, err)
	err = b.StopByAgent(t.Context(), g.ID())
	require.ErrorIs(t, err, errUnsupported, "no channel")
	require.Equal(t, provision.StopShut, stopped(t, rig, g, 20*time.Second))
}

// agentGuest boots a guest with a channel to an agent, which behaves as told.
func agentGuest(t *testing.T, h *provision.Host, name, how string) *provision.Guest {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g, err := h.Create(ctx, behaving(name, how), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	require.NoError(t, g.Start(ctx, nil))
	_, err = g.Wait(ctx, provision.UntilConsole("BOOTED-OK", 0))
	require.NoError(t, err)
	require.Contains(t, how, facts(t, g)["agent"]+"-agent")
	return g
}

// TestStopByRealAgent: the real one, which answers before it does it.
func TestStopByRealAgent(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("real")
	s.UserData = []byte("#cloud-config\n# test:ignore-acpi\n")
	g := bootedGuest(t, h, s)
	require.Equal(t, "real", facts(t, g)["agent"])
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := g.Wait(ctx, provision.UntilExec()) // one that does not listen yet is not waited for
	require.NoError(t, err)
	require.Equal(t, provision.StopAgent, stopped(t, rig, g, 40*time.Second))
}

// TestStopByAgent: the agent is asked first, and the result says so. libvirt does
// not answer before the guest is gone, so the answer is not waited for.
func TestStopByAgent(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	g := agentGuest(t, h, "able", "power-agent test:ignore-acpi")
	begin := time.Now()
	require.Equal(t, provision.StopAgent, stopped(t, rig, g, 40*time.Second))
	t.Logf("it took %s", time.Since(begin))
	log, err := g.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	require.Contains(t, string(log), "AGENT power off")
}

// TestStopHungAgent: an agent that has opened its end and never answers takes a
// few seconds of the grace, and the guest hears the power button.
func TestStopHungAgent(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	b := newOpened(t, rig)
	g := agentGuest(t, h, "hung", "hung-agent")
	begin := time.Now()
	err := b.StopByAgent(t.Context(), g.ID())
	t.Logf("libvirt found out after %s", time.Since(begin))
	require.ErrorContains(t, err, "does not answer")
	require.Equal(t, provision.StopShut, stopped(t, rig, g, 30*time.Second))
}

// withoutChannel takes the channel to the agent out of a domain.
func withoutChannel(xml string) string {
	before, rest, _ := strings.Cut(xml, "<channel ")
	_, after, _ := strings.Cut(rest, "</channel>")
	return before + after
}
