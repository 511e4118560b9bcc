package kvm

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

// eachSpec runs f for each Spec, in order.
func eachSpec(t *testing.T, f func(*testing.T, string, *provision.Spec)) {
	t.Helper()
	all := specs()
	require.GreaterOrEqual(t, len(all), 12)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, all[name].Validate(), "no such Spec comes to a Backend")
			f(t, name, all[name])
		})
	}
}

var testPool = &pool{kind: "dir", dir: "/var/lib/libvirt/images", fit: fit{cache: "none"}}

const testRecord = `{"v":1,"note":"a < b & c ]]> \" '"}`

func TestDomainGolden(t *testing.T) {
	b := New(&Options{OpenVSwitch: []string{"ovs0"}})
	b.know(func(h *host) { *h = host{weights: weightsV1, locks: true, huge: 2048} })
	eachSpec(t, func(t *testing.T, name string, s *provision.Spec) {
		g := &provision.NewGuest{ID: testID, Spec: s, Record: provision.Record(testRecord)}
		d := b.domain(g, testPool, name == "plain")
		text, err := document(&d, s)
		require.NoError(t, err)
		golden.Check(t, "domain/"+name+".xml", string(text))

		inv, err := domainxml.Read(text)
		require.NoError(t, err)
		have := found(inv)
		want := provision.Status{
			Name: s.Name, ID: testID, CPUs: s.CPU.Count,
			Memory: (s.Memory.Size + provision.KiB - 1) / provision.KiB * provision.KiB,
		}
		for i := range s.Disks {
			if i > 0 || s.Image != "" || s.Disks[0].Size != 0 {
				want.Disks = append(want.Disks, provision.DiskStatus{
					Target: "vd" + string(rune('a'+len(want.Disks))), Serial: serial(i),
					Source: "/var/lib/libvirt/images/" + string(testID) + "." + serial(i) + ".qcow2",
				})
			}
		}
		if name == "edits" {
			want.Disks = append(want.Disks, provision.DiskStatus{Target: "sda", Source: "/iso/rescue.iso"})
		}
		for i, n := range s.NICs {
			want.NICs = append(want.NICs, provision.NICStatus{Bridge: n.Bridge, VLAN: n.VLAN, MAC: n.MAC, Device: tapName(testID, i), MTU: n.MTU, Isolated: n.Isolated})
			want.Limits = append(want.Limits, antiSpoof(i, inv.NICs[i]))
		}
		require.Empty(t, cmp.Diff(want, have.Status, cmpopts.EquateEmpty()))
		require.Equal(t, testRecord, string(have.Record))
		requireNoSecret(t, string(text))
	})
}

func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	require.NotContains(t, strings.ToLower(text), "secret")
}

// The order of disks is the order of their names in the guest: root is vda.
func TestDomainDisks(t *testing.T) {
	s := specs()["user"]
	d := New(nil).domain(&provision.NewGuest{ID: testID, Spec: s}, testPool, false)
	require.Equal(t, []domainxml.Disk{
		{Path: "/var/lib/libvirt/images/" + rootName(testID), Format: "qcow2", Serial: "root", DetectZeroes: true},
		{Path: "/var/lib/libvirt/images/" + seedName(testID), Format: "raw", Serial: "seed", ReadOnly: true},
	}, d.Disks)
	require.Equal(t, "/var/lib/libvirt/images/"+consoleName(testID), d.ConsoleLog)
	s.Name, s.Hostname, s.Key = "other", "other", "key"
	other := New(nil).domain(&provision.NewGuest{ID: testID, Spec: s}, testPool, false)
	require.Equal(t, d.Disks, other.Disks, "names of volumes follow from the ID alone")
	require.Equal(t, d.ConsoleLog, other.ConsoleLog)
}

func TestNamesBeginWithID(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{rootName(testID), diskName(testPool, testID, 1), diskName(lvmPool, testID, 1), seedName(testID), consoleName(testID), nvramName(testID)} {
		require.True(t, strings.HasPrefix(name, string(testID)+"."), "deleteVolumes would leave %s", name)
		require.NotContains(t, name, "/")
		seen[name] = true
	}
	require.Len(t, seen, 6)
}

func TestTapNames(t *testing.T) {
	ids := []provision.ID{testID, "5b1f0c1e-6f1a-4d0e-9a53-0d9c6c2f7a11", "ffffffff-ffff-4fff-bfff-ffffffffffff", "00000000-0000-4000-8000-000000000000"}
	seen := map[string]bool{}
	for _, id := range ids {
		for i := range 256 {
			name := tapName(id, i)
			require.Regexp(t, `^gf[0-9a-f]{12,13}$`, name)
			require.LessOrEqual(t, len(name), 15, "IFNAMSIZ")
			require.Equal(t, name, tapName(id, i))
			require.False(t, seen[name], name)
			seen[name] = true
		}
	}
	require.Equal(t, "gf5b1f0c1e6f00", tapName(testID, 0), "a name that counters and rules know: it must not change")
}

func TestVolumeGolden(t *testing.T) {
	for name, v := range map[string]volume{
		"empty":   {name: consoleName(testID), format: "raw"},
		"seed":    {name: seedName(testID), format: "raw", size: 1 << 20},
		"overlay": {name: rootName(testID), format: "qcow2", size: 20 << 30, backing: &backing{path: "/pool/image-debian-12.qcow2", format: "qcow2"}},
		"lvm":     {name: diskName(lvmPool, testID, 0), size: 20 << 30, whole: true},
		"on-raw":  {name: rootName(testID), format: "qcow2", size: 1<<63 - 512, backing: &backing{path: `/a "b" <c> & 'd'`, format: "raw"}},
	} {
		text, err := v.xml()
		require.NoError(t, err)
		golden.Check(t, "volume/"+name+".xml", text+"\n")
		var back libvirtxml.StorageVolume
		require.NoError(t, back.Unmarshal(text))
		require.Equal(t, v.name, back.Name)
		require.Equal(t, "0600", back.Target.Permissions.Mode)
		require.Equal(t, libvirtxml.StorageVolumeSize{Unit: "bytes", Value: v.size}, *back.Capacity)
		if v.backing == nil {
			require.Nil(t, back.BackingStore)
			continue
		}
		require.Equal(t, v.backing.path, back.BackingStore.Path)
		require.Equal(t, v.backing.format, back.BackingStore.Format.Type, "libvirt refuses to probe it")
	}
}

// The boot sector of the trial of KVM.
func TestTrialSector(t *testing.T) {
	s := trialSector()
	require.Len(t, s, 512)
	require.Equal(t, []byte{0x55, 0xaa}, s[510:], "the signature that a BIOS looks for")
	var written []byte
	for i := 0; i+2 < len(s); i++ {
		if s[i] == 0xb0 && s[i+2] == 0xee { // mov al, c; out dx, al
			written = append(written, s[i+1])
		}
	}
	require.Equal(t, trialLine, string(written))
	text := slices.Collect(slices.Chunk(s[:64], 16))
	golden.Check(t, "trial-sector.txt", hexLines(text))
	require.Equal(t, make([]byte, 510-64), s[64:510])
	s[0]++
	require.NotEqual(t, s, trialSector(), "each call has its own")
}
