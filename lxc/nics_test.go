//go:build linux

package lxc_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostnet"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// Several cards have the names of their order, and gateways of one family: the first
// one's is the way out. A gateway may be outside of a prefix of one address.
func TestCards(t *testing.T) {
	path := lxcrig.Machine(t)
	before := lxcrig.Leftovers(t, path)
	lxcrig.Run(t, "ip", "link", "add", "br-jumbo", "mtu", "9000", "type", "bridge")
	t.Cleanup(func() { lxcrig.Run(t, "ip", "link", "del", "br-jumbo") })
	lxcrig.Run(t, "ip", "link", "set", "br-jumbo", "up")
	s := lxcrig.Spec("a")
	s.NICs = []provision.NIC{
		{Bridge: "br-jumbo", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::7/64")},
			Gateways: []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("fe80::1")}, Rate: provision.Rate{In: provision.Mbit}},
		{Bridge: lxcrig.Bridge, Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/24")},
			Gateways: []netip.Addr{netip.MustParseAddr("203.0.113.1")}},
		{Bridge: lxcrig.Bridge},
	}
	_, g := running(t, path, s)
	for _, l := range status(t, g).Limits {
		require.NotEqual(t, provision.NotEnforced, l.Enforcement, "%+v", l)
	}
	links := inside(t, path, "a", "ip -o link")
	for i, n := range status(t, g).NICs {
		name := " eth" + string(rune('0'+i)) + "@"
		require.Contains(t, links, name)
		line := links[strings.Index(links, name):]
		require.Contains(t, line[:strings.IndexByte(line, '\n')], n.MAC.String(), name)
	}
	require.Contains(t, links, "mtu 9000")
	routes := inside(t, path, "a", "ip route")
	require.Contains(t, routes, "default via 198.51.100.1 dev eth0")
	require.Contains(t, inside(t, path, "a", "ip -6 route"), "default via fe80::1 dev eth0")
	addresses := inside(t, path, "a", "ip addr")
	require.Contains(t, addresses, "192.0.2.7/32")
	require.Contains(t, addresses, "2001:db8::7/64")

	// A queue has room for the largest frame of the bridge.
	require.Contains(t, lxcrig.Run(t, "ip", "link", "show", hostnet.Device(string(g.ID()), 0)), "mtu 9000")
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	require.Equal(t, before, lxcrig.Leftovers(t, path))
}

// A privileged guest, to which no id is refused, makes and opens no device but those
// that all guests have.
func TestPrivilegedDevices(t *testing.T) {
	path := lxcrig.Machine(t)
	s := lxcrig.Spec("a")
	s.Native = &lxc.Native{Privileged: true}
	_, g := running(t, path, s)
	said := inside(t, path, "a", `
		/bin/busybox mknod /dev/disk b 7 0 2>&1 || echo no disk
		/bin/busybox mknod /dev/console2 c 5 1 2>&1 || echo no console
		/bin/busybox mknod /dev/kmsg2 c 1 11 2>&1 || echo no kmsg
		/bin/busybox mknod /dev/null2 c 1 3 && echo x >/dev/null2 && echo null`)
	require.Contains(t, said, "no disk\n")
	require.Contains(t, said, "no console\n")
	require.Contains(t, said, "no kmsg\n")
	require.Contains(t, said, "\nnull\n")
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}

// What an image or the host cannot have is refused before anything is made.
func TestPreflight(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	var bare bytes.Buffer
	w := tar.NewWriter(&bare)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "sbin/", Typeflag: tar.TypeDir, Mode: 0o755}))
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "sbin/init", Typeflag: tar.TypeReg, Mode: 0o755}))
	require.NoError(t, w.Close())
	lxcrig.Import(t, h, "bare", bare.Bytes(), "tar")
	before := lxcrig.Leftovers(t, path)
	for field, set := range map[string]func(*provision.Spec){
		"limits.openFiles": func(s *provision.Spec) { s.Limits.OpenFiles = 1 << 40 },
		"disks[0].inodes": func(s *provision.Spec) {
			s.Disks = []provision.Disk{{Size: provision.GiB, Inodes: 20}}
		},
		"is more than the": func(s *provision.Spec) { s.Disks = []provision.Disk{{Size: 1 << 50}} },
		"userData":         func(s *provision.Spec) { s.Image, s.UserData = "bare", []byte("#cloud-config\n") },
		"image":            func(s *provision.Spec) { s.Image = "none" },
		"memory.size":      func(s *provision.Spec) { s.Memory.Size = 2 * h.Info().Memory },
		"cpu.pin[0]":       func(s *provision.Spec) { s.CPU.Pin = []int{4000} },
		"nics[0].bridge":   func(s *provision.Spec) { s.NICs[0].Bridge = "br-none" },
		"nics[0].rate.in":  func(s *provision.Spec) { s.NICs[0].Rate.In = 1000 },
		"disks[0].size":    func(s *provision.Spec) { s.Disks = []provision.Disk{{Size: provision.MiB}} },
		"native.root": func(s *provision.Spec) {
			s.Disks, s.Native = []provision.Disk{{Size: provision.GiB}}, &lxc.Native{Root: lxc.RootCopy}
		},
	} {
		s := lxcrig.Spec("a")
		set(&s)
		_, err := h.Create(t.Context(), s, nil)
		require.ErrorIs(t, err, provision.ErrInvalid, field)
		require.ErrorContains(t, err, field)
	}
	strict := lxcrig.Spec("a")
	strict.Native, strict.Needs.Strict = &lxc.Native{Privileged: true}, true
	_, err := h.Create(t.Context(), strict, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported, "root of a privileged guest can leave it, on a host without AppArmor")
	require.ErrorContains(t, err, "memory.size would be partial")
	require.Equal(t, before, lxcrig.Leftovers(t, path))
	require.NoDirExists(t, filepath.Join(path, "a"))
}

// A port with a small MTU makes that of its bridge small, too: the other guests there
// are as they were made all the same.
func TestNeighboursMTU(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	s := lxcrig.Spec("a")
	a, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	small := lxcrig.Spec("b")
	small.NICs[0].MTU = 1400
	_, b := running(t, path, small)
	plan, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, provision.ActionNone, plan.Action, "%s", plan)
	require.NoError(t, b.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
	require.NoError(t, a.Delete(t.Context(), nil))
}
