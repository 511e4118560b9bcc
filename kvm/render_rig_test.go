//go:build linux

package kvm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/kvm"
)

// TestRender: what Render shows is what Create defines, but for what follows from
// the ID.
func TestRender(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("rendered")
	s.Access.PasswordHash = "$6$saltsalt$SECRETSECRET"
	s.UserData = []byte("#cloud-config\n# SECRET\n")
	s.Native = &kvm.Native{Firmware: kvm.FirmwareUEFI, Edits: []domainxml.Edit{domainxml.Set("title", "edited")}}
	before := leftovers(t, rig)
	text, err := h.Render(t.Context(), s)
	require.NoError(t, err)
	require.NotContains(t, string(text), "SECRET")
	require.Equal(t, before, leftovers(t, rig))

	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	defer remove(t, g)
	defined, err := rig.Virsh(t.Context(), "dumpxml", "--inactive", string(g.ID()))
	require.NoError(t, err)
	is, err := domainxml.Parse([]byte(defined))
	require.NoError(t, err)
	would, err := domainxml.Parse(text)
	require.NoError(t, err)
	for _, d := range domainxml.Diff(is, would) {
		require.Regexp(t, `^(uuid|metadata/.*|os/nvram|devices/(disk|serial|console|interface).*)$`, d.Path, "%v", d)
		require.NotContains(t, d.Path, "driver")
	}
}
