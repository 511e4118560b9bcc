//go:build linux

// Package kvmrig starts private libvirtds for tests of package kvm, and has the guests
// that run there.
package kvmrig

import (
	"bytes"
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

// ImageName is what the tests import the tiny guest as.
const ImageName = "tiny"

// Start starts a private libvirtd, with the tiny guest's image in its pool, and stops
// it when the test ends.
func Start(tb testing.TB) *testrig.Libvirt {
	tb.Helper()
	return StartWith(tb, &testrig.LibvirtOptions{})
}

// StartBrief is Start with the image of [BriefDisk] in place of the tiny guest's, by
// the same name: for tests that do not look into their guests.
func StartBrief(tb testing.TB, opts *testrig.LibvirtOptions) *testrig.Libvirt {
	tb.Helper()
	rig, _ := testrig.StartWith(tb, opts)
	Import(tb, Open(tb, rig.URI, nil), ImageName, BriefDisk())
	return rig
}

// Import imports a raw disk.
func Import(tb testing.TB, h *provision.Host, name string, disk []byte) {
	tb.Helper()
	_, err := h.ImportImage(tb.Context(), name, bytes.NewReader(disk), &provision.ImportOptions{Format: "raw"})
	require.NoError(tb, err)
}

// StartWith is Start with options.
func StartWith(tb testing.TB, opts *testrig.LibvirtOptions) *testrig.Libvirt {
	tb.Helper()
	rig, cache := testrig.StartWith(tb, opts)
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	path, err := testrig.CachedImage(ctx, cache)
	require.NoError(tb, err)
	importTiny(ctx, tb, rig, path)
	return rig
}

func importTiny(ctx context.Context, tb testing.TB, rig *testrig.Libvirt, path string) {
	tb.Helper()
	h := Open(tb, rig.URI, nil)
	f, err := os.Open(path)
	require.NoError(tb, err)
	defer f.Close()
	_, err = h.ImportImage(ctx, ImageName, f, &provision.ImportOptions{Format: "qcow2"})
	require.NoError(tb, err)
}

// New returns a backend that emulates its guests.
func New(uri string) *kvm.Backend {
	return kvm.New(&kvm.Options{URI: uri, Emulation: kvm.EmulateAlways})
}

// Open opens a Host that the end of the test closes.
func Open(tb testing.TB, uri string, opts *provision.Options) *provision.Host {
	tb.Helper()
	if opts == nil {
		opts = &provision.Options{}
	}
	if opts.LockDir == "" {
		opts.LockDir = filepath.Join(tb.TempDir(), "lock")
	}
	h, err := provision.Open(tb.Context(), New(uri), opts)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Close()) })
	return h
}

// TinySpec is a guest of the tiny image on the rig's bridge.
func TinySpec(name string) provision.Spec {
	return provision.Spec{
		Name: name, Image: ImageName,
		Memory: provision.Memory{Size: 96 * provision.MiB},
		Disks:  []provision.Disk{{Size: 64 * provision.MiB}},
		NICs:   []provision.NIC{{Bridge: "br0"}},
	}
}

// Leftovers lists all that belongs to guests and images of a rig.
func Leftovers(tb testing.TB, rig *testrig.Libvirt) []string {
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

// Booted creates and starts a guest, and waits until it is up.
func Booted(tb testing.TB, h *provision.Host, s provision.Spec) *provision.Guest {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 3*time.Minute) // emulated, on a machine that may be busy
	defer cancel()
	g, err := h.Create(ctx, s, nil)
	require.NoError(tb, err)
	tb.Cleanup(func() { Remove(tb, g) })
	require.NoError(tb, g.Start(ctx, nil))
	_, err = g.Wait(ctx, provision.UntilConsole("BOOTED-OK", 0))
	require.NoError(tb, err)
	return g
}

// Remove deletes a guest, also when the test's own context has ended.
func Remove(tb testing.TB, g *provision.Guest) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	if err := g.Delete(ctx, &provision.DeleteOptions{Force: true}); !errors.Is(err, fs.ErrClosed) {
		require.NoError(tb, err)
	}
}

// HaltSpec is a guest of that image, imported as "halt".
func HaltSpec(name string) provision.Spec {
	return provision.Spec{
		Name: name, Image: "halt",
		Memory: provision.Memory{Size: 32 * provision.MiB},
		Disks:  []provision.Disk{{Size: provision.MiB}},
	}
}

// Within fails when f takes longer: the bound is a multiple of what is due.
func Within(tb testing.TB, most time.Duration, f func()) {
	tb.Helper()
	begin := time.Now()
	f()
	require.Less(tb, time.Since(begin), most)
}
