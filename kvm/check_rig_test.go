//go:build linux

package kvm_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
)

// TestCheck examines the rig: it finds no error there, sees the files of libvirtd's
// own namespaces, and says the same each time.
func TestCheck(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	g, err := h.Create(t.Context(), tinySpec("checked"), nil)
	require.NoError(t, err)
	defer remove(t, g)
	before := leftovers(t, rig)
	found, err := h.Check(t.Context())
	require.NoError(t, err)
	by := map[string][]provision.Finding{}
	for _, f := range found {
		t.Logf("%s: %s: %s (%s) -> %s", f.Check, f.Severity, f.Message, f.Evidence, f.Remedy)
		require.NotEqual(t, provision.SeverityError, f.Severity, "%+v", f)
		require.NotEqual(t, "not examined", f.Message, "%+v", f)
		require.True(t, f.Severity == provision.SeverityInfo || f.Remedy != "" || f.Check == "kvm", "%+v", f)
		by[f.Check] = append(by[f.Check], f)
	}
	for _, name := range []string{"libvirt", "known-issues", "pool", "kvm", "cpu", "kvm-device", "nested", "drivers", "firmware", "bridge",
		"vhost-net", "hugepages", "security", "cgroups", "qdisc", "clock", "ksm"} {
		require.NotEmpty(t, by[name], name)
	}
	require.Equal(t, "br0 (1 guests)", by["bridge"][0].Evidence, "a bridge in the network namespace of libvirtd")
	require.Equal(t, "uefi, uefi-secure", by["firmware"][0].Evidence)
	require.Contains(t, by["security"][0].Evidence, "none")
	require.Equal(t, before, leftovers(t, rig))
	again, err := h.Check(t.Context())
	require.NoError(t, err)
	for i := range found {
		if found[i].Check == "pool" {
			found[i].Evidence, again[i].Evidence = "", "" // free space changes by itself
		}
	}
	require.Empty(t, cmp.Diff(found, again))

	_, err = rig.Inside(t.Context(), "ip", "link", "del", "br0")
	require.NoError(t, err)
	found, err = h.Check(t.Context())
	require.NoError(t, err)
	for _, f := range found {
		require.Equal(t, f.Check == "bridge", f.Severity == provision.SeverityError, "%+v", f)
	}
}

// TestCheckOtherDriver: a driver that lacks much is examined all the same.
func TestCheckOtherDriver(t *testing.T) {
	rig, _ := testrig.Start(t)
	h := openHost(t, "test+unix:///default?socket="+rig.Socket, nil)
	found, err := h.Check(t.Context())
	require.NoError(t, err)
	require.Greater(t, len(found), 17)
}
