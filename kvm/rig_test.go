//go:build linux

package kvm_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// Short names of what the tests of this package share with those of kvmtest.

const imageName = kvmrig.ImageName

// startRig starts a rig with guests that are brief, and startLinux one with those that
// boot Linux: a test that has to look into them takes that.
func startRig(tb testing.TB) *testrig.Libvirt {
	tb.Helper()
	return kvmrig.StartBrief(tb, &testrig.LibvirtOptions{})
}

func startLinux(tb testing.TB) *testrig.Libvirt { tb.Helper(); return kvmrig.Start(tb) }

func newBackend(uri string) *kvm.Backend { return kvmrig.New(uri) }

func openHost(tb testing.TB, uri string, opts *provision.Options) *provision.Host {
	tb.Helper()
	return kvmrig.Open(tb, uri, opts)
}

func tinySpec(name string) provision.Spec { return kvmrig.TinySpec(name) }

func leftovers(tb testing.TB, rig *testrig.Libvirt) []string {
	tb.Helper()
	return kvmrig.Leftovers(tb, rig)
}

func bootedGuest(tb testing.TB, h *provision.Host, s provision.Spec) *provision.Guest {
	tb.Helper()
	return kvmrig.Booted(tb, h, s)
}

func remove(tb testing.TB, g *provision.Guest) { tb.Helper(); kvmrig.Remove(tb, g) }

func within(tb testing.TB, most time.Duration, f func()) { tb.Helper(); kvmrig.Within(tb, most, f) }

func writeFile(tb testing.TB, path, text string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
}
