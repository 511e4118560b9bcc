package kvm

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

func TestWordsOf(t *testing.T) {
	want := map[string]bool{"/pool/a.qcow2": true, "a.qcow2": true, "provision-x": true}
	for text, have := range map[string][]string{
		`<domain><devices><disk><source file='/pool/a.qcow2'/></disk></devices></domain>`: {"/pool/a.qcow2"},
		`<disk><backingStore><source file="/pool/a.qcow2"/></backingStore></disk>`:        {"/pool/a.qcow2"},
		`<disk type='volume'><source pool='default' volume='a.qcow2'/></disk>`:            {"a.qcow2"},
		`<os><kernel> /pool/a.qcow2 </kernel></os>`:                                       {"/pool/a.qcow2"},
		`<interface><filterref filter='provision-x'/></interface>`:                        {"provision-x"},
		`<x:disk xmlns:x='urn:x' y='/pool/a.qcow2.bak'>/pool/a.qcow2/b</x:disk>`:          nil,
		`<domain><description>stands on /pool/a.qcow2</description></domain>`:             nil,
		`<a b='a.qcow2'/><torn`: {"a.qcow2"},
		`<?xml version="1.0" encoding="latin1"?><domain><source file='/pool/a.qcow2' a='provision-x'/></domain>`: {"/pool/a.qcow2", "a.qcow2", "provision-x"},
		``: nil,
	} {
		require.Empty(t, cmp.Diff(have, slices.Sorted(maps.Keys(wordsOf([]string{text}, want)))), text)
	}
	require.Len(t, wordsOf([]string{`<a b='a.qcow2'/>`, `<a b='provision-x'/>`}, want), 2)
}

func TestUndefineFlags(t *testing.T) {
	require.Zero(t, undefineFlags(8_008_999)&libvirt.DomainUndefineTpm, "an older libvirt refuses a flag that it does not know")
	require.NotZero(t, undefineFlags(8_009_000)&libvirt.DomainUndefineTpm)
	for _, v := range []uint64{1_003_000, 8_008_000, 8_009_000, 11_010_000} {
		require.Equal(t, undefineAll, undefineFlags(v)&undefineAll)
		require.Zero(t, undefineFlags(v)&(libvirt.DomainUndefineKeepNvram|libvirt.DomainUndefineKeepTpm))
	}
}

func TestCandidates(t *testing.T) {
	const id = string(testID)
	for name, kind := range map[string]provision.OrphanKind{
		rootName(testID): provision.OrphanVolume, id + ".root.s1": provision.OrphanVolume, id + ".disk1.qcow2": provision.OrphanVolume,
		id + ".root": provision.OrphanVolume, id + ".disk1": provision.OrphanVolume, id + ".disk12": provision.OrphanVolume, // of LVM
		nvramName(testID): provision.OrphanVolume,
		seedName(testID):  provision.OrphanSeed, consoleName(testID): provision.OrphanLog, consoleName(testID) + ".0": provision.OrphanLog,
		trialName(testID): provision.OrphanTrial, trialLogName(testID): provision.OrphanTrial,
		id: "", id + ".qcow2": "", id + "-root.qcow2": "", "x" + rootName(testID): "", "web1.root.qcow2": "", id + ".root.a b": "",
		"5B1F0C1E-6F0A-4D0E-9A53-0D9C6C2F7A11.root.qcow2": "", "5b1f0c1e-6f0a-1d0e-9a53-0d9c6c2f7a11.root.qcow2": "", // other versions of UUIDs
	} {
		list := candidates(&pool{name: "p"}, []libvirt.StorageVol{{Name: name}})
		if kind == "" {
			require.Empty(t, list, name)
			continue
		}
		require.Len(t, list, 1, name)
		require.Equal(t, kind, list[0].Kind, name)
		require.Equal(t, testID, list[0].ID, name)
		require.Len(t, ownerless(list, nil)[0].Evidence, 2)
		d, err := domainOf(testID)
		require.NoError(t, err)
		require.Empty(t, ownerless(list, []libvirt.Domain{d}), "%s has a domain", name)
	}
}

// A trial says in its ID when it began, so that one that is under way is no orphan.
func TestTrialOrphans(t *testing.T) {
	trial := func(id provision.ID) libvirt.Domain {
		d, err := domainOf(id)
		require.NoError(t, err)
		d.Name = trialPrefix + string(id)
		return d
	}
	young, err := newTrial()
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), trialTimeOf(young), time.Minute)
	require.Zero(t, trialTimeOf(testID))
	const old = "01900000-0000-7000-8000-000000000001" // of 2024
	other := trial(testID)
	other.Name = trialPrefix + old
	require.Empty(t, trialOrphans([]libvirt.Domain{trial(young), other, {Name: "web1"}}))
	list := trialOrphans([]libvirt.Domain{trial(young), trial(old), trial(testID)})
	require.Len(t, list, 2)
	require.Equal(t, provision.ID(old), list[0].ID)
	require.Equal(t, 2024, list[0].Modified.Year())
	require.True(t, isTrial(trial(young)))
	require.False(t, isTrial(other), "a guest may have such a name")
	require.Len(t, candidates(&pool{}, []libvirt.StorageVol{{Name: trialName(young)}}), 1)
}

func TestOursOfPools(t *testing.T) {
	o := &Options{Pool: "vg", FilePool: "files"}
	require.True(t, o.ours("vg"))
	require.True(t, o.ours("files"))
	require.False(t, o.ours("default"))
}

func TestModified(t *testing.T) {
	doc := func(mtime string) *libvirtxml.StorageVolume {
		return &libvirtxml.StorageVolume{Target: &libvirtxml.StorageVolumeTarget{Timestamps: &libvirtxml.StorageVolumeTargetTimestamps{Mtime: mtime}}}
	}
	require.Equal(t, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), modified(doc("1795348800.123456789")))
	require.Equal(t, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), modified(doc("1795348800")))
	for _, bad := range []*libvirtxml.StorageVolume{doc(""), doc("soon"), {}, {Target: &libvirtxml.StorageVolumeTarget{}}} {
		require.Zero(t, modified(bad))
	}
}

func TestShortList(t *testing.T) {
	require.Equal(t, "a, b", shortList([]string{"b", "a", "b"}))
	require.Equal(t, "a, b, c, d, e and 2 more", shortList([]string{"g", "f", "e", "d", "c", "b", "a"}))
}
