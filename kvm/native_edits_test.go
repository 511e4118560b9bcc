package kvm

import (
	"errors"
	"strings"
	"testing"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

func TestEditsInvalid(t *testing.T) {
	for path, edits := range map[string][]domainxml.Edit{
		"edits":          make([]domainxml.Edit, maxEdits+1),
		"edits[0].op":    {{Op: "replace", Path: "a"}},
		"edits[1].path":  {domainxml.Remove("a"), domainxml.Remove("")},
		"edits[0].value": {domainxml.Set("a", "\xff")},
	} {
		list := (&Native{Edits: edits}).Validate()
		require.Len(t, list, 1, path)
		require.Equal(t, path, list[0].Path)
		require.NotEmpty(t, list[0].Problem)
	}
	require.Len(t, (&Native{Edits: []domainxml.Edit{domainxml.Set(strings.Repeat("a", maxEditPath+1), strings.Repeat("a", maxEditValue+1))}}).Validate(), 2)
	require.Empty(t, (&Native{Edits: []domainxml.Edit{domainxml.Set("a", "b"), domainxml.Add("a", "<b/>"), domainxml.Remove("a")}}).Validate())
}

// editable is a domain that has all that edits must leave.
func editable(t *testing.T) []byte {
	t.Helper()
	text, err := domainxml.Build(domainxml.Guest{
		Name: "web1", UUID: string(testID), CPUs: 2, Memory: 1 << 30,
		CPU:      domainxml.CPU{Model: "EPYC", Limit: 1500, Shares: 200},
		Backing:  domainxml.Backing{Locked: true, HugePages: 2048, NoMerge: true, HardLimit: 2 << 30},
		Firmware: &domainxml.Firmware{NVRAM: "/pool/nvram.fd"},
		Kernel:   &domainxml.Kernel{Image: "/boot/k", Initrd: "/boot/i", Cmdline: "c"},
		Disks: []domainxml.Disk{
			{Path: "/pool/root", Format: "qcow2", Serial: "root", IOPS: 100},
			{Path: "/pool/seed", Format: "raw", Serial: "seed", ReadOnly: true},
		},
		NICs: []domainxml.NIC{{Bridge: "br0", MAC: "52:54:00:00:00:01", Device: "gf0", Filter: "clean-traffic", In: 100,
			Parameters: []domainxml.FilterParameter{{Name: "IP", Value: "192.0.2.1"}}}},
		ConsoleLog: "/pool/log", Agent: true, Metadata: []domainxml.Metadata{metadata(provision.Record("{}"))},
	})
	require.NoError(t, err)
	return text
}

// TestEditsLeave: an edit of anything that this package depends on is refused,
// named by its number.
func TestEditsLeave(t *testing.T) {
	text := editable(t)
	fine := domainxml.Set("description", "x")
	for _, e := range []domainxml.Edit{
		domainxml.Set("@type", "xen"),
		domainxml.Set("name", "other"),
		domainxml.Add("", "<name>other</name>"),
		domainxml.Set("uuid", "x"), domainxml.Remove("uuid"),
		domainxml.Remove("metadata"),
		domainxml.Set("metadata/provision:record", "{\"v\":1}"),
		domainxml.Set("vcpu", "3"), domainxml.Set("vcpu/@current", "1"),
		domainxml.Set("memory", "4194304"), domainxml.Set("currentMemory", "1"),
		domainxml.Remove("memtune"), domainxml.Set("memtune/soft_limit", "1"),
		domainxml.Set("cputune/shares", "10000"), domainxml.Remove("cputune/global_quota"), domainxml.Set("cputune/quota", "1000"),
		domainxml.Remove("memoryBacking/hugepages"), domainxml.Remove("memoryBacking/locked"), domainxml.Add("memoryBacking", "<allocation mode='immediate'/>"),
		domainxml.Set("devices/memballoon/@model", "none"), domainxml.Remove("devices/memballoon"), domainxml.Set("devices/memballoon/@freePageReporting", "on"),
		domainxml.Add("devices", "<memballoon model='none'/>"),
		domainxml.Set("os/nvram", "/etc/x"), domainxml.Set("os/kernel", "/x"), domainxml.Set("os/type/@machine", "pc"), domainxml.Remove("os/@firmware"),
		domainxml.Set("cpu/@mode", "host-passthrough"), domainxml.Set("cpu/model", "x"),
		domainxml.Set("devices/disk[1]/source/@file", "/x"), domainxml.Remove("devices/disk[2]"),
		domainxml.Set("devices/disk[1]/target/@dev", "vdc"), domainxml.Set("devices/disk[1]/@type", "block"),
		domainxml.Remove("devices/disk[1]/iotune"), domainxml.Set("devices/disk[1]/driver/@type", "raw"), domainxml.Set("devices/disk[1]/serial", "x"),
		domainxml.Remove("devices/interface"), domainxml.Set("devices/interface/mac/@address", "52:54:00:00:00:02"),
		domainxml.Set("devices/interface/source/@bridge", "br1"), domainxml.Remove("devices/interface/filterref"),
		domainxml.Remove("devices/interface/filterref/parameter"), domainxml.Set("devices/interface/bandwidth/inbound/@average", "1000"),
		domainxml.Add("devices/interface", "<vlan><tag id='5'/></vlan>"), domainxml.Remove("devices/interface/target"),
		domainxml.Remove("devices/serial"), domainxml.Set("devices/serial/log/@file", "/x"), domainxml.Remove("devices"),
		domainxml.Set("devices/graphics[@type='vnc']/@passwd", "SECRET"),
		domainxml.Set("x:y", "z"), domainxml.Remove("devices/sound"), domainxml.Set("devices[", "x"), domainxml.Add("devices", "<a>"),
	} {
		_, err := edited(text, []domainxml.Edit{fine, e})
		var wrong *provision.FieldError
		require.ErrorAs(t, err, &wrong, "%v", e)
		require.Equal(t, "native.edits[1]", wrong.Path)
		require.NotContains(t, err.Error(), "SECRET")
		require.NotContains(t, err.Error(), "domainxml:")
	}
}

func TestEditsMade(t *testing.T) {
	text := editable(t)
	same, err := edited(text, nil)
	require.NoError(t, err)
	require.Equal(t, string(text), string(same))
	out, err := edited(text, []domainxml.Edit{
		domainxml.Set("cputune/iothreadpin[@iothread='1']/@cpuset", "0"),
		domainxml.Set("devices/disk[1]/driver/@queues", "2"),
		domainxml.Set("devices/interface/driver/@queues", "2"),
		domainxml.Add("devices", "<serial type='pty'><target port='1'/></serial>"),
		domainxml.Add("metadata", "<x:y xmlns:x='urn:x'>z</x:y>"),
		domainxml.Add("memoryBacking", "<source type='memfd'/>"),
		domainxml.Add("devices", "<sound model='ich9'/>"),
		domainxml.Remove("devices/sound"), // each sees what those before it made
		domainxml.Remove("devices/rng"),
		domainxml.Set("name", "web1"), // it is so already
	})
	require.NoError(t, err)
	for _, part := range []string{"cpuset=\"0\"", "queues=\"2\"", "urn:x", "memfd", "port='1'"} {
		require.Contains(t, string(out), part)
	}
	require.NotContains(t, string(out), "<sound")
	require.NotContains(t, string(out), "<rng")
}

func TestBlameEdits(t *testing.T) {
	with := &provision.Spec{Native: &Native{Edits: []domainxml.Edit{domainxml.Remove("devices/rng")}}}
	refused := libvirt.Error{Code: uint32(libvirt.ErrXMLInvalidSchema), Message: "no such element"}
	err := blameEdits(with, refused)
	require.ErrorIs(t, err, provision.ErrInvalid)
	var native libvirt.Error
	require.ErrorAs(t, err, &native)
	require.ErrorContains(t, err, "no such element")
	require.Equal(t, refused, blameEdits(&provision.Spec{}, refused), "without edits it is not their doing")
	other := errors.New("the wire is cut")
	require.Equal(t, other, blameEdits(with, other))
	require.NoError(t, blameEdits(with, nil))
}
