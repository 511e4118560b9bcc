//go:build linux

package kvm_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/kvm"
)

func uefiSpec(name string, f kvm.Firmware) provision.Spec {
	s := tinySpec(name)
	s.Memory.Size = 256 * provision.MiB
	s.Native = &kvm.Native{Firmware: f}
	return s
}

// TestUEFI: a guest boots with UEFI, has its seed, keeps its variables when it is
// defined anew, and leaves nothing of them behind.
func TestUEFI(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := uefiSpec("uefi", kvm.FirmwareUEFI)
	g, err := h.Create(ctx, s, nil)
	require.NoError(t, err)
	nvram := filepath.Join(rig.PoolDir, string(g.ID())+".nvram.fd")
	require.NoFileExists(t, nvram)
	require.Empty(t, changes(t, h, s))

	require.NoError(t, g.Start(ctx, nil))
	st, err := g.Wait(ctx, provision.UntilConsole("BOOTED-OK uefi", 0))
	require.NoError(t, err)
	require.Equal(t, provision.StateRunning, st.State)
	log, err := g.ConsoleLog(ctx, 0)
	require.NoError(t, err)
	require.Contains(t, string(log), "UEFI Interactive Shell")
	require.FileExists(t, nvram)
	require.Empty(t, changes(t, h, s))

	_, err = g.Stop(ctx, nil)
	require.NoError(t, err)
	redefine(t, rig, string(g.ID()), domainxml.Set("description", "by hand"))
	info, err := os.Stat(nvram)
	require.NoError(t, err, "variables outlive a new definition")
	require.Positive(t, info.Size())
	_, err = rig.Virsh(ctx, "pool-refresh", "default") // now the pool knows the file too
	require.NoError(t, err)
	require.NoError(t, g.Delete(ctx, nil))
	require.Equal(t, before, leftovers(t, rig))
	own, err := filepath.Glob(filepath.Join(rig.Dir, "lib", "qemu", "nvram", "*"))
	require.NoError(t, err)
	require.Empty(t, own, "nor in libvirt's own directory, where files have the names of guests")
}

// TestNativeOnHost: what native settings ask for is defined so, starts, and shows
// no drift; what the host has not is refused by Plan, and nothing is made.
func TestNativeOnHost(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	for name, tt := range map[string]struct {
		native kvm.Native
		has    []string
	}{
		"secure":  {kvm.Native{Firmware: kvm.FirmwareUEFISecure}, []string{"secure='yes'", ".nvram.fd</nvram>"}},
		"bios":    {kvm.Native{Firmware: kvm.FirmwareBIOS}, nil},
		"machine": {kvm.Native{Machine: "pc-q35-6.2"}, []string{"machine='pc-q35-6.2'"}},
		"newest":  {kvm.Native{Machine: "q35"}, []string{"machine='pc-q35-"}},
		"maximum": {kvm.Native{CPUModel: "maximum"}, []string{"mode='maximum'"}},
		"named":   {kvm.Native{CPUModel: "qemu64"}, []string{"mode='custom'", ">qemu64</model>"}},
		"model":   {kvm.Native{CPUModel: "host-model"}, []string{"mode='host-model'"}},
		"edits": {kvm.Native{Edits: []domainxml.Edit{
			domainxml.Add("devices", "<watchdog model='i6300esb' action='reset'/>"),
			domainxml.Set("title", "edited"),
		}}, []string{"<watchdog model='i6300esb' action='reset'>", "<title>edited</title>"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tinySpec("native-" + name)
			s.Native = &tt.native
			g, err := h.Create(t.Context(), s, nil)
			require.NoError(t, err)
			defer remove(t, g)
			text, err := rig.Virsh(t.Context(), "dumpxml", "--inactive", string(g.ID()))
			require.NoError(t, err)
			for _, part := range tt.has {
				require.Contains(t, text, part)
			}
			require.Empty(t, changes(t, h, s))
			require.NoError(t, g.Start(t.Context(), nil))
			require.Empty(t, changes(t, h, s))
			other := tinySpec(s.Name)
			if len(tt.native.Edits) > 0 {
				paths := []string{}
				for _, c := range changes(t, h, other) {
					paths = append(paths, c.Path)
				}
				require.Contains(t, strings.Join(paths, " "), "definition/title")
			}
		})
	}
	for path, n := range map[string]kvm.Native{
		"native.machine":  {Machine: "pc-q35-99.0"},
		"native.cpuModel": {CPUModel: "host-passthrough"}, // not without KVM
		"native.edits[0]": {Edits: []domainxml.Edit{domainxml.Remove("uuid")}},
		"native.edits":    {Edits: []domainxml.Edit{domainxml.Add("devices", "<frobnicator/>")}},
	} {
		s := tinySpec("refused")
		s.Native = &n
		_, err := h.Plan(t.Context(), s)
		if path != "native.edits" { // only libvirt knows
			require.ErrorIs(t, err, provision.ErrInvalid, path)
			require.ErrorContains(t, err, path)
		}
		_, err = h.Create(t.Context(), s, nil)
		require.ErrorIs(t, err, provision.ErrInvalid, path)
		require.ErrorContains(t, err, path)
	}
	require.Equal(t, before, leftovers(t, rig))
}

// TestHotPlug: a running guest has ports for as many devices as are promised.
func TestHotPlug(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	g := bootedGuest(t, h, tinySpec("plug"))
	attach := func(i int) error {
		mac := "52:54:00:00:01:0" + string(rune('0'+i))
		_, err := rig.Virsh(t.Context(), "attach-interface", string(g.ID()), "bridge", "br0", "--model", "virtio", "--mac", mac, "--live")
		return err
	}
	for i := range domainxml.SparePorts {
		require.NoError(t, attach(i), "device %d", i+1)
	}
	require.ErrorContains(t, attach(domainxml.SparePorts), "No more available PCI slots")
}
