package kvm

import (
	"testing"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Numbers of virDomainState and its reasons, from libvirt-domain.h.
func TestStateOf(t *testing.T) {
	const (
		noState, running, blocked, paused, shutdown, shutoff, crashed, pmsuspended = 0, 1, 2, 3, 4, 5, 6, 7
	)
	type answer struct {
		state  provision.State
		reason string
	}
	want := map[[2]int32]answer{
		{noState, 0}:     {provision.StateUnknown, "libvirt gives it state 0"},
		{8, 0}:           {provision.StateUnknown, "libvirt gives it state 8"},
		{-1, 3}:          {provision.StateUnknown, "libvirt gives it state -1"},
		{crashed, 0}:     {provision.StateCrashed, "the guest crashed"},
		{crashed, 1}:     {provision.StateCrashed, "the guest crashed"}, // panicked
		{pmsuspended, 0}: {provision.StatePaused, "the guest suspended itself"},
		{blocked, 0}:     {provision.StateRunning, ""},
	}
	// booted, migrated, restored, from snapshot, unpaused, migration cancelled,
	// save cancelled, wakeup, crashed, post-copy and its failure
	for reason := range int32(13) {
		want[[2]int32{running, reason}] = answer{provision.StateRunning, ""}
	}
	for reason := range int32(3) { // unknown, user
		want[[2]int32{shutdown, reason}] = answer{provision.StateStopping, ""}
	}
	for reason, text := range []string{"", "by a user", "it is being migrated", "it is being saved", "it is being dumped", "a disk error", "a watchdog",
		"it was restored so", "it is shutting down", "a snapshot is made", "it crashed", "", "it is being migrated", "its migration failed half-way", "the hypervisor's interface broke", ""} {
		want[[2]int32{paused, int32(reason)}] = answer{provision.StatePaused, text}
	}
	want[[2]int32{paused, 11}] = answer{provision.StateStarting, ""}
	// unknown, shutdown, destroyed, crashed, migrated, saved, failed, from
	// snapshot, by the daemon
	for reason, text := range []string{"", "", "", "", "it was migrated away", "its memory is saved", "it could not be started", "", "", ""} {
		want[[2]int32{shutoff, int32(reason)}] = answer{provision.StateStopped, text}
	}
	want[[2]int32{shutoff, 3}] = answer{provision.StateCrashed, "its QEMU process died"}

	for in, w := range want {
		state, reason := stateOf(in[0], in[1])
		require.Equal(t, w, answer{state, reason}, "state %d, reason %d", in[0], in[1])
	}
}

func TestFound(t *testing.T) {
	const head = `<domain type='kvm'><name>web1</name><uuid>` + string(testID) + `</uuid><memory>1024</memory><vcpu current='2'>4</vcpu>`
	disk := func(source, target string) string {
		return `<disk type='file' device='disk'><source file='` + source + `'/><target dev='` + target + `'/></disk>`
	}
	record := `<p:record xmlns:p='` + namespace + `'>{"v":1}</p:record>`
	base := provision.Status{Name: "web1", ID: testID, CPUs: 2, Memory: provision.MiB}
	for name, c := range map[string]struct {
		text   string
		change func(*provision.Found)
	}{
		"foreign": {"", func(*provision.Found) {}},
		"ours":    {`<metadata>` + record + `</metadata>`, func(f *provision.Found) { f.Record = provision.Record(`{"v":1}`) }},
		"ours beside others": {`<metadata><a xmlns='urn:a'>x</a>` + record + `<b xmlns='urn:b'/></metadata>`,
			func(f *provision.Found) { f.Record = provision.Record(`{"v":1}`) }},
		"an empty record": {`<metadata><record xmlns='` + namespace + `'/></metadata>`, func(f *provision.Found) { f.Record = provision.Record{} }},
		"another version": {`<metadata><record xmlns='` + namespace + `2'>x</record></metadata>`, func(*provision.Found) {}},
		"no namespace":    {`<metadata><record>x</record></metadata>`, func(*provision.Found) {}},
		"seed hidden": {`<devices>` + disk("/pool/"+rootName(testID), "vda") + disk("/pool/"+seedName(testID), "vdb") + `</devices>`,
			func(f *provision.Found) {
				f.Status.Disks = []provision.DiskStatus{{Target: "vda", Source: "/pool/" + rootName(testID)}}
			}},
		"another's seed shown": {`<devices>` + disk("/pool/"+seedName("0000"), "vda") + disk("", "sda") + `</devices>`,
			func(f *provision.Found) {
				f.Status.Disks = []provision.DiskStatus{{Target: "vda", Source: "/pool/0000.seed.img"}, {Target: "sda"}}
			}},
		"NICs": {`<devices><interface type='bridge'><mac address='52:54:00:A1:B2:C3'/><source bridge='br0'/><vlan><tag id='42'/></vlan><target dev='tap0'/></interface>` +
			`<interface type='user'/><interface type='bridge'><mac address='00:11:22:33:44:55:66:77'/></interface></devices>`,
			func(f *provision.Found) {
				f.Status.NICs = []provision.NICStatus{{Bridge: "br0", VLAN: 42, Device: "tap0", MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 0xc3}}, {}, {}}
			}},
	} {
		inv, err := domainxml.Read([]byte(head + c.text + `</domain>`))
		require.NoError(t, err, name)
		want := provision.Found{Status: base}
		c.change(&want)
		have := found(inv)
		require.Empty(t, cmp.Diff(want, have), name)
		require.Equal(t, want.Record == nil, have.Record == nil, "%s: only a foreign guest has no record", name)
	}
}

func TestIDs(t *testing.T) {
	d, err := domainOf(testID)
	require.NoError(t, err)
	require.Equal(t, string(testID), uuid.UUID(d.UUID).String())
	require.Equal(t, libvirt.UUID{0x5b, 0x1f, 0x0c, 0x1e, 0x6f, 0x0a, 0x4d, 0x0e, 0x9a, 0x53, 0x0d, 0x9c, 0x6c, 0x2f, 0x7a, 0x11}, d.UUID)
	upper, err := domainOf("5B1F0C1E-6F0A-4D0E-9A53-0D9C6C2F7A11")
	require.NoError(t, err)
	require.Equal(t, d.UUID, upper.UUID)
	for _, id := range []provision.ID{"", "web1", "5b1f0c1e", testID + "00", testID[:35], "5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a1g"} {
		_, err := domainOf(id)
		require.ErrorIs(t, err, provision.ErrNotFound, "%q", id)
	}
}

func TestImpact(t *testing.T) {
	b := New(nil)
	for path, want := range map[string]provision.Impact{
		"disks[0].size": provision.ImpactLive, "disks[1].size": provision.ImpactLive, "disks[15].size": provision.ImpactLive,
		"memory.size": provision.ImpactRestart, "cpu.count": provision.ImpactRestart, "nics[0].bridge": provision.ImpactRestart,
		"disks": provision.ImpactRestart, "disks[0]": provision.ImpactRestart, "disks[0].iops": provision.ImpactRestart,
		"disks.size": provision.ImpactRestart, "disks[0].fairsize": provision.ImpactRestart, "size": provision.ImpactRestart, "": provision.ImpactRestart, "native.machine": provision.ImpactRestart,
	} {
		for _, state := range []provision.State{provision.StateRunning, provision.StateStopped} {
			have, reason := b.Impact(provision.Status{State: state}, provision.Change{Path: path})
			require.Equal(t, want, have, path)
			require.Equal(t, want == provision.ImpactLive, reason == "", path)
		}
	}
}
