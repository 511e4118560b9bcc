//go:build linux

package kvm_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// imageName is what the tests import the tiny guest as.
const imageName = "tiny"

// startRig starts a private libvirtd, with the tiny guest's image in its pool,
// and stops it when the test ends.
func startRig(tb testing.TB) *testrig.Libvirt {
	tb.Helper()
	rig, cache := testrig.Start(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	path, err := testrig.CachedImage(ctx, cache)
	require.NoError(tb, err)
	importTiny(ctx, tb, rig, path)
	return rig
}

func importTiny(ctx context.Context, tb testing.TB, rig *testrig.Libvirt, path string) {
	tb.Helper()
	h := openHost(tb, rig.URI, nil)
	f, err := os.Open(path)
	require.NoError(tb, err)
	defer f.Close()
	_, err = h.ImportImage(ctx, imageName, f, &provision.ImportOptions{Format: "qcow2"})
	require.NoError(tb, err)
}

func newBackend(uri string) *kvm.Backend {
	return kvm.New(&kvm.Options{URI: uri, Emulation: kvm.EmulateAlways})
}

// openHost opens a Host that the end of the test closes.
func openHost(tb testing.TB, uri string, opts *provision.Options) *provision.Host {
	tb.Helper()
	if opts == nil {
		opts = &provision.Options{}
	}
	if opts.LockDir == "" {
		opts.LockDir = filepath.Join(tb.TempDir(), "lock")
	}
	h, err := provision.Open(tb.Context(), newBackend(uri), opts)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Close()) })
	return h
}

// tinySpec is a guest of the tiny image on the rig's bridge.
func tinySpec(name string) provision.Spec {
	return provision.Spec{
		Name: name, Image: imageName,
		Memory: provision.Memory{Size: 96 * provision.MiB},
		Disks:  []provision.Disk{{Size: 64 * provision.MiB}},
		NICs:   []provision.NIC{{Bridge: "br0"}},
	}
}

// leftovers lists all that belongs to guests and images of a rig.
func leftovers(tb testing.TB, rig *testrig.Libvirt) []string {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context()) // it is asked for at the end of tests too
	var list []string
	add := func(kind string, names ...string) {
		for _, n := range names {
			if n != "" {
				list = append(list, kind+" "+n)
			}
		}
	}
	domains, err := rig.Virsh(ctx, "list", "--all", "--name")
	require.NoError(tb, err)
	add("domain", strings.Fields(domains)...)
	entries, err := os.ReadDir(rig.PoolDir)
	require.NoError(tb, err)
	for _, e := range entries {
		add("file", e.Name())
	}
	guests, err := rig.Guests()
	require.NoError(tb, err)
	add("process", guests...)
	links, err := rig.Inside(ctx, "ip", "-o", "link", "show", "type", "tun")
	require.NoError(tb, err)
	for line := range strings.Lines(links) {
		add("tap", strings.Fields(line)[1])
	}
	return list
}

// bootedGuest creates and starts a guest, and waits until it is up.
func bootedGuest(tb testing.TB, h *provision.Host, s provision.Spec) *provision.Guest {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	g, err := h.Create(ctx, s, nil)
	require.NoError(tb, err)
	tb.Cleanup(func() { remove(tb, g) })
	require.NoError(tb, g.Start(ctx, nil))
	_, err = g.Wait(ctx, provision.UntilConsole("BOOTED-OK", 0))
	require.NoError(tb, err)
	return g
}

// remove deletes a guest, also when the test's own context has ended.
func remove(tb testing.TB, g *provision.Guest) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	if err := g.Delete(ctx, &provision.DeleteOptions{Force: true}); !errors.Is(err, fs.ErrClosed) {
		require.NoError(tb, err)
	}
}

func writeFile(tb testing.TB, path, text string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
}
