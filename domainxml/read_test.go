package domainxml_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

// Documents as libvirt of several versions and the tools around it write them.
func TestReadGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/read/*.xml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 15)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".xml")
		t.Run(name, func(t *testing.T) {
			doc, err := os.ReadFile(file)
			require.NoError(t, err)
			inv, err := read(t, doc)
			require.NoError(t, err)
			text, err := json.MarshalIndent(inv, "", "  ")
			require.NoError(t, err)
			golden.Check(t, "read/"+name+".json", string(text)+"\n")
		})
	}
}

// The official model of the schema finds the same in these documents.
func TestReadAgreesWithModel(t *testing.T) {
	for _, name := range []string{"virt-install", "libvirt-9-live", "openvswitch", "openstack-nova", "ovirt", "proxmox-import"} {
		doc, err := os.ReadFile("testdata/read/" + name + ".xml")
		require.NoError(t, err)
		var d libvirtxml.Domain
		require.NoError(t, d.Unmarshal(string(doc)))
		inv, err := read(t, doc)
		require.NoError(t, err)
		require.Equal(t, []string{d.Type, d.Name, d.UUID}, []string{inv.Type, inv.Name, inv.UUID}, name)
		cpus := int(d.VCPU.Value)
		if d.VCPU.Current != 0 {
			cpus = int(d.VCPU.Current)
		}
		require.Equal(t, cpus, inv.CPUs, name)
		require.Len(t, inv.Disks, len(d.Devices.Disks), name)
		for i, disk := range d.Devices.Disks {
			want := [3]string{disk.Device, disk.Target.Dev, disk.Target.Bus}
			require.Equal(t, want, [3]string{inv.Disks[i].Device, inv.Disks[i].Target, inv.Disks[i].Bus}, name)
			require.Equal(t, disk.ReadOnly != nil, inv.Disks[i].ReadOnly)
		}
		require.Len(t, inv.NICs, len(d.Devices.Interfaces), name)
		for i, nic := range d.Devices.Interfaces {
			require.Equal(t, strings.ToLower(nic.MAC.Address), inv.NICs[i].MAC, name)
		}
	}
}

func TestReadMemory(t *testing.T) {
	for text, want := range map[string]uint64{
		`<memory>1</memory>`: 1024, `<memory unit="">1</memory>`: 1024, `<memory unit="KiB">1</memory>`: 1024,
		`<memory unit="b">7</memory>`: 7, `<memory unit="bytes">7</memory>`: 7, `<memory unit="byte">7</memory>`: 7,
		`<memory unit="KB">7</memory>`: 7e3, `<memory unit="k">7</memory>`: 7 << 10,
		`<memory unit="MB">7</memory>`: 7e6, `<memory unit="M">7</memory>`: 7 << 20, `<memory unit="mib">7</memory>`: 7 << 20,
		`<memory unit="GB">7</memory>`: 7e9, `<memory unit="G">7</memory>`: 7 << 30, `<memory unit="GiB">7</memory>`: 7 << 30,
		`<memory unit="TB">7</memory>`: 7e12, `<memory unit="T">7</memory>`: 7 << 40, `<memory unit="TiB">7</memory>`: 7 << 40,
		`<memory unit="PB">7</memory>`: 7e15, `<memory unit="PiB">7</memory>`: 7 << 50, `<memory unit="EiB">7</memory>`: 7 << 60,
		`<memory unit="EB">7</memory>`:                                        7e18,
		`<memory unit="bytes">18446744073709551615</memory>`:                  math.MaxUint64,
		`<memory>4096</memory><currentMemory>1024</currentMemory>`:            1 << 20,
		`<memory>4096</memory><currentMemory>0</currentMemory>`:               4 << 20,
		`<memory>4096</memory><currentMemory unit="MiB">2</currentMemory>`:    2 << 20,
		`<maxMemory slots="2" unit="GiB">64</maxMemory><memory>4096</memory>`: 4 << 20,
		``: 0, `<memory/>`: 0,
	} {
		inv, err := read(t, []byte(`<domain>`+text+`</domain>`))
		require.NoError(t, err, text)
		require.Equal(t, want, inv.Memory, text)
	}
	for _, text := range []string{
		`<memory unit="KiBi">1</memory>`, `<memory unit="QiB">1</memory>`, `<memory>-1</memory>`, `<memory>1.5</memory>`, `<memory>one</memory>`,
		`<memory>18446744073709551615</memory>`, `<memory unit="EiB">16</memory>`, `<memory>18446744073709551616</memory>`, `<memory>1 2</memory>`,
		`<vcpu>many</vcpu>`, `<vcpu current="x">1</vcpu>`, `<vcpu>99999999999999999999</vcpu>`,
	} {
		_, err := read(t, []byte(`<domain>`+text+`</domain>`))
		require.ErrorContains(t, err, "domainxml: ", text)
	}
}

// Reading changes nothing and keeps nothing: the same bytes give the same.
func TestReadIsPure(t *testing.T) {
	doc, err := domainxml.Build(ordinary())
	require.NoError(t, err)
	kept := string(doc)
	one, err := read(t, doc)
	require.NoError(t, err)
	require.Equal(t, kept, string(doc))
	clear(doc)
	two, err := read(t, []byte(kept))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(one, two))
}
