//go:build linux

package kvm_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// testKey is a public key that was made for this test and thrown away.
const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example.net"

// facts reads what the tiny guest says about itself on its console.
func facts(t *testing.T, g *provision.Guest) map[string]string {
	t.Helper()
	text, err := g.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	m := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "FACT "), "="); ok {
			m[name] = value
		}
	}
	return m
}

// TestGuestSeesItsSpec boots a guest and compares what it sees with what was
// asked for, strings included that no format likes.
func TestGuestSeesItsSpec(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	data := "#cloud-config\n# '\"<&>]]> $(reboot) `id` \\ \u2028 😀\r\n" + strings.Repeat("# padding é\n", 5000)
	s := provision.Spec{
		Name: "seen", Hostname: "web1.example.net", Image: imageName, Key: "order '\"<&>]]> 4711 😀",
		CPU:    provision.CPU{Count: 2},
		Memory: provision.Memory{Size: 128 * provision.MiB},
		Disks:  []provision.Disk{{Size: 96 * provision.MiB}},
		NICs: []provision.NIC{
			{Bridge: "br0", MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, 0xc3}, Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
				Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("2001:db8::10/64")}},
			{Bridge: "br0"},
		},
		DNS:      provision.DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Search: []string{"example.net"}},
		Access:   provision.Access{User: "admin", AuthorizedKeys: []string{testKey}},
		UserData: provision.UserData(data),
		Labels:   map[string]string{"odd": "'\"<&>]]>\n\r\t\\ \u2028 😀 </metadata>"},
	}
	require.NoError(t, s.Validate())
	g := bootedGuest(t, h, s)
	have := facts(t, g)

	sum := sha256.Sum256([]byte(data))
	require.Equal(t, "web1.example.net", have["hostname"])
	require.Equal(t, string(g.ID()), have["instance-id"])
	require.Equal(t, hex.EncodeToString(sum[:]), have["userdata-sha256"], "user data arrives byte for byte")
	require.Regexp(t, `virtio_net.*virtio_net`, have["virtio"])
	require.Regexp(t, `virtio_blk`, have["virtio"])
	require.Regexp(t, `virtio_rng`, have["rng"]+have["virtio"])
	require.Equal(t, "2", have["cpus"])
	text, err := g.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`mac=52:54:00:a1:b2:c3 addr=192\.0\.2\.10/24,2001:db8::10/64`), string(text))
	require.Regexp(t, regexp.MustCompile(`disk=vda size=100663296 ro=0`), string(text), "the root disk has grown")
	require.Regexp(t, regexp.MustCompile(`disk=vdb size=\d+ ro=1`), string(text), "the seed cannot be written")

	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.Key, st.Key)
	require.Equal(t, s.Labels, st.Labels)
	out, err := rig.Inside(t.Context(), "busybox", "ping", "-c", "1", "-W", "5", "192.0.2.10")
	require.NoError(t, err, out)
}

// TestSecretsStayOut: the hypervisor's definition and its logs have none.
func TestSecretsStayOut(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("secretive")
	s.UserData = []byte("#cloud-config\n# hunter2-user-data\n")
	s.Access = provision.Access{AuthorizedKeys: []string{testKey}, PasswordHash: "$6$saltsalt$hunter2passwordhashxxxxxxxx"}
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	xml, err := rig.Virsh(t.Context(), "dumpxml", "secretive")
	require.NoError(t, err)
	require.Contains(t, xml, string(g.ID()))
	require.NotContains(t, xml, "hunter2")
	require.NotContains(t, xml, "AAAAC3")
	mode, err := rig.Inside(t.Context(), "stat", "-c", "%a", rig.PoolDir+"/"+string(g.ID())+".seed.img")
	require.NoError(t, err)
	require.Equal(t, "600", strings.TrimSpace(mode))
}

// TestKVM: what Check says of KVM is what Create does.
func TestKVM(t *testing.T) {
	rig := startLinux(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	open := func(e kvm.Emulation) *provision.Host {
		h, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Emulation: e}), &provision.Options{LockDir: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		return h
	}
	before := leftovers(t, rig)
	strict := open(kvm.EmulateNever)
	list, err := strict.Check(ctx)
	require.NoError(t, err)
	i := slices.IndexFunc(list, func(f provision.Finding) bool { return f.Check == "kvm" })
	require.GreaterOrEqual(t, i, 0)
	verdict := list[i]
	t.Logf("KVM on this machine: %s (%s)", verdict.Message, verdict.Evidence)
	require.Equal(t, before, leftovers(t, rig), "the trial leaves nothing")

	_, err = strict.Create(ctx, tinySpec("fast"), nil)
	if verdict.Severity == provision.SeverityError {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "Options.Emulation")
	} else {
		require.NoError(t, err)
		g, err := strict.Guest(ctx, "fast")
		require.NoError(t, err)
		remove(t, g)
	}
	g := bootedGuest(t, open(kvm.EmulateIfMust), tinySpec("slow"))
	require.Equal(t, "slow", facts(t, g)["hostname"])
}

// TestDirectKernelBoot boots without an image, as Native asks.
func TestDirectKernelBoot(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	s := tinySpec("direct")
	s.Image = ""
	s.Disks = nil
	_, err := h.Create(t.Context(), s, nil)
	require.ErrorIs(t, err, provision.ErrInvalid)

	kernel, err := testrig.Kernel()
	require.NoError(t, err)
	s.Native = &kvm.Native{Kernel: &kvm.Kernel{Image: kernel, Cmdline: "console=ttyS0 panic=-1"}}
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	require.NoError(t, g.Start(t.Context(), nil))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = g.Wait(ctx, provision.UntilConsole("Kernel panic", 0))
	require.NoError(t, err, "a kernel without a root file system says so")
}

// TestRotatedLogs: virtlogd renames console logs that grow; the pool does not
// know the new names, and they go with the guest all the same.
func TestRotatedLogs(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	for _, count := range []int{0, 1, 3} {
		g, err := h.Create(t.Context(), tinySpec("chatty"), nil)
		require.NoError(t, err)
		for i := range count {
			writeFile(t, fmt.Sprintf("%s/%s.console.log.%d", rig.PoolDir, g.ID(), i), "old")
		}
		require.NoError(t, g.Delete(t.Context(), nil))
		require.Equal(t, before, leftovers(t, rig), "%d rotated logs", count)
	}
}

// TestPreflight: what a machine cannot do for a Spec is said before anything is
// made, all at once.
func TestPreflight(t *testing.T) {
	rig := startLinux(t)
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	s := tinySpec("picky")
	s.Disks[0].Size = provision.MiB
	s.NICs, s.DNS.Servers = nil, []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	for _, try := range []func() error{
		func() error { _, err := h.Plan(t.Context(), s); return err },
		func() error { _, err := h.Create(t.Context(), s, nil); return err },
	} {
		err := try()
		require.ErrorIs(t, err, provision.ErrInvalid)
		require.ErrorContains(t, err, "disks[0].size")
		require.ErrorContains(t, err, "dns: ")
	}
	s = tinySpec("picky")
	s.Image = "unknown"
	_, err := h.Plan(t.Context(), s)
	require.ErrorIs(t, err, provision.ErrNotFound)
	require.ErrorContains(t, err, `image "unknown"`)
	var field *provision.FieldError
	require.ErrorAs(t, err, &field)
	require.Equal(t, "image", field.Path)
	s = tinySpec("picky")
	s.Image, s.Disks = "", []provision.Disk{{IOPS: 50}}
	s.Native = &kvm.Native{Kernel: &kvm.Kernel{Image: "/boot/vmlinuz"}}
	_, err = h.Plan(t.Context(), s)
	require.ErrorContains(t, err, "disks[0].size")
	require.Equal(t, before, leftovers(t, rig))
}

// TestDeleteTakesDisksFromElsewhere: Options.Pool was another one when the guest
// was made, or a snapshot tool has added files that no pool knows.
func TestDeleteTakesDisksFromElsewhere(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)

	g, err := h.Create(ctx, tinySpec("snapped"), nil)
	require.NoError(t, err)
	_, err = rig.Virsh(ctx, "snapshot-create-as", "snapped", "s1", "--disk-only", "--no-metadata", "--diskspec", "vdb,snapshot=no")
	require.NoError(t, err)
	require.NoError(t, g.Delete(ctx, nil))
	require.Equal(t, before, leftovers(t, rig), "the file of an external snapshot goes too")

	_, err = h.Create(ctx, tinySpec("moved"), nil)
	require.NoError(t, err)
	other := t.TempDir()
	_, err = rig.Virsh(ctx, "pool-create-as", "other", "dir", "--target", other)
	require.NoError(t, err)
	second, err := provision.Open(ctx, kvm.New(&kvm.Options{URI: rig.URI, Pool: "other", Emulation: kvm.EmulateAlways}), &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()) })
	moved, err := second.Guest(ctx, "moved")
	require.NoError(t, err)
	require.NoError(t, moved.Delete(ctx, nil))
	require.Equal(t, before, leftovers(t, rig))
}
