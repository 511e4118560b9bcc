package domainxml_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// What libvirt would see is seen: also where a tool, or somebody who wants to hide
// something, wrote it in an odd way. libvirt 9.0 was asked for each of these.
func TestReadsAsLibvirt(t *testing.T) {
	read := func(text string) *domainxml.Inventory {
		t.Helper()
		inv, err := domainxml.Read(example(text))
		require.NoError(t, err, text)
		return inv
	}
	inv := read(`<devices/><devices><disk type='file'><source file='/etc/shadow'/><target dev='vda'/></disk><interface type='bridge'/></devices>`)
	require.Len(t, inv.Disks, 1, "several <devices> count together")
	require.Len(t, inv.NICs, 1)

	inv = read(`<devices xmlns='u'><disk/></devices><devices><disk type='file'><source xmlns='u' file='/a'/><source file='/b'/></disk><disk xmlns='u'/></devices>`)
	require.Len(t, inv.Disks, 1, "elements of other namespaces do not")
	require.Equal(t, "/b", inv.Disks[0].Source)
	require.EqualValues(t, 64<<20, read(`<memory xmlns='u'>1</memory><memory>65536</memory>`).MaxMemory)
	require.Equal(t, 4, read(`<vcpu xmlns='u'>1</vcpu><vcpu>4</vcpu>`).MaxCPUs)

	require.EqualValues(t, 64<<20, read(`<memory>655<x>36</x></memory>`).MaxMemory, "text in elements counts")
	require.Equal(t, 16, read(`<vcpu>1<x>6</x></vcpu>`).MaxCPUs)

	inv = read(`<devices><disk type='block' xmlns:x='u'><source x:dev='/evil' dev='/good'/></disk><graphics type='vnc' xmlns:x='u' x:listen='0.0.0.0'/></devices>`)
	require.Equal(t, "/evil", inv.Disks[0].Source, "of attributes with and without a prefix the first")
	require.Equal(t, "0.0.0.0", inv.Graphics[0].Listen)

	inv = read(`<devices><disk type='block'><source file='/innocent' dev='/dev/sda'/></disk><disk><source dev='/a' file='/b'/></disk><interface type='direct'><source bridge='br0' dev='eth0'/></interface></devices>`)
	require.Equal(t, "/dev/sda", inv.Disks[0].Source, "the type says which attribute counts")
	require.Equal(t, "/b", inv.Disks[1].Source)
	require.Equal(t, "eth0", inv.NICs[0].Source)

	inv = read(`<metadata><a xmlns='u'>1</a><b xmlns='u'>2</b></metadata>`)
	require.Equal(t, "1", inv.Metadata["u"], "of one namespace the first")
}

// So Lint finds what libvirt would do.
func TestLintIsNotFooled(t *testing.T) {
	for rule, text := range map[string]string{
		"disk-cache-unsafe": `<devices/><devices><disk type='file'><driver name='qemu' type='raw' cache='unsafe'/><source file='/a'/><target dev='vda'/></disk></devices>`,
		"graphics-listen":   `<devices><graphics type='vnc' xmlns:x='u' x:listen='0.0.0.0'/></devices>`,
		"graphics-password": `<devices xmlns='u'/><devices><graphics type='vnc' passwd='S'/></devices>`,
		"nic-filter":        `<devices><interface type='bridge'><source bridge='br0'/><filterref/></interface></devices>`,
		"disk-format":       `<devices><disk><source file='/a'/><target dev='vda'/></disk></devices>`,
		"nic-bridge":        `<devices><interface><model type='virtio'/></interface></devices>`,
	} {
		require.NotEmpty(t, lint(t, example(text), rule, domainxml.LintOptions{}), rule)
	}
}
