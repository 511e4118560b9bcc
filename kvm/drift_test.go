//go:build linux

package kvm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/testrig"
)

// TestDrift: a plan shows what somebody changed in the definition behind the
// library's back, and nothing of what libvirt itself made of it.
func TestDrift(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("drift")
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.Empty(t, changes(t, h, s))

	redefine(t, rig, string(g.ID()),
		domainxml.Set("devices/disk[target/@dev='vda']/driver/@cache", "unsafe"),
		domainxml.Set("description", "by hand"),
		domainxml.Add("devices", "<sound model='ich9'/>"),
		domainxml.Remove("devices/rng"),
		domainxml.Set("@xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0"),
		domainxml.Set("qemu:commandline/qemu:env[@name='PW']/@value", "SECRET"),
		domainxml.Add("metadata", "<x:pw xmlns:x='urn:example:pw'>SECRET</x:pw>"),
		domainxml.Set("memory", "131072"), domainxml.Set("currentMemory", "131072"),
		domainxml.Set("devices/graphics[@type='vnc']/@passwd", "SECRET"))
	require.Empty(t, cmp.Diff([]provision.Change{
		{Path: "definition/description", Have: "<description>by hand</description>"},
		{Path: "definition/devices/disk[target/@dev='vda']/driver/@cache", Have: "unsafe", Want: "none"},
		{Path: "definition/devices/graphics", Have: "<graphics type='vnc' port='-1' autoport='yes'><listen type='address'/></graphics>"},
		{Path: "definition/devices/rng", Want: `<rng model="virtio"><backend model="random">/dev/urandom</backend></rng>`},
		{Path: "definition/metadata/x:pw", Have: "(not shown)"},
		{Path: "definition/qemu:commandline", Have: "(not shown)"},
		{Path: "memory.size", Have: "128MiB", Want: s.Memory.Size.String()},
	}, short(changes(t, h, s)), cmpopts.SortSlices(func(a, b provision.Change) bool { return a.Path < b.Path })))
}

// short leaves out devices, whose text has addresses, and words.
func short(list []provision.Change) []provision.Change {
	var kept []provision.Change
	for _, c := range list {
		if !strings.Contains(c.Have, "<address") {
			kept = append(kept, provision.Change{Path: c.Path, Have: c.Have, Want: c.Want})
		}
	}
	return kept
}

func changes(t *testing.T, h *provision.Host, s provision.Spec) []provision.Change {
	t.Helper()
	p, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	require.NotContains(t, p.String(), "SECRET")
	for _, c := range p.Changes {
		require.NotEmpty(t, c.Impact)
	}
	return p.Changes
}

// redefine changes a definition as an administrator would.
func redefine(t *testing.T, rig *testrig.Libvirt, id string, edits ...domainxml.Edit) {
	t.Helper()
	text, err := rig.Virsh(t.Context(), "dumpxml", "--inactive", "--security-info", id)
	require.NoError(t, err)
	d, err := domainxml.Parse([]byte(text))
	require.NoError(t, err)
	require.NoError(t, d.Apply(edits...))
	file := filepath.Join(t.TempDir(), "domain.xml")
	require.NoError(t, os.WriteFile(file, d.Bytes(), 0o600))
	_, err = rig.Virsh(t.Context(), "define", "--validate", file)
	require.NoError(t, err, "%s", d)
}
