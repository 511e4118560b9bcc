//go:build linux

package kvmtest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
	"github.com/guestforge/provision/provisiontest"
)

// quick is the tiny guest without a filter against spoofing, which takes half a second
// of each start. The case capability/together has one, and other tests.
func quick(name string) provision.Spec {
	s := kvmrig.TinySpec(name)
	s.NICs[0].AntiSpoof = provision.Off
	return s
}

// TestConformance runs the suite on a private libvirtd that has control groups,
// with guests that boot.
func TestConformance(t *testing.T) {
	// Only the first process starts the machine; the others find it by its
	// directory.
	var rig *testrig.Libvirt
	uri := func(dir string) string {
		return "qemu+unix:///system?socket=" + filepath.Join(dir, "run", "libvirt-sock")
	}
	provisiontest.Run(t, provisiontest.Config{
		Machine: func(tb testing.TB) string {
			rig = kvmrig.StartWith(tb, &testrig.LibvirtOptions{Cgroups: true})
			return rig.Dir
		},
		New:  func(_ testing.TB, dir string) provision.Backend { return kvmrig.New(uri(dir)) },
		Spec: func(_ testing.TB, _, name string) provision.Spec { return quick(name) },
		Deaf: func(_ testing.TB, _, name string) provision.Spec {
			s := quick(name)
			s.UserData = []byte("#cloud-config\n# test:ignore-acpi test:no-agent\n")
			return s
		},
		Copied: func(_ testing.TB, _, name, image string) provision.Spec {
			s := quick(name)
			s.Image, s.Native = image, &kvm.Native{RootDisk: kvm.RootCopy}
			return s
		},
		Image: func(testing.TB, string) ([]byte, string) {
			return bytes.Repeat([]byte("guest image sector of 32 bytes.\n"), 1<<16), "raw"
		},
		Leftovers: func(tb testing.TB, _ string) []string { return kvmrig.Leftovers(tb, rig) },
		Foreign: func(tb testing.TB, _, name string) func() {
			file := filepath.Join(tb.TempDir(), "foreign.xml")
			text := fmt.Appendf(nil, `<domain type='qemu'><name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>`+
				`<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`, name)
			require.NoError(tb, os.WriteFile(file, text, 0o600))
			_, err := rig.Virsh(tb.Context(), "define", file)
			require.NoError(tb, err)
			return func() {
				_, err := rig.Virsh(context.WithoutCancel(tb.Context()), "undefine", name)
				require.NoError(tb, err)
			}
		},
		StartOutside: func(tb testing.TB, _, name string) error {
			_, err := rig.Virsh(tb.Context(), "start", name)
			return err
		},
		Forget: func(tb testing.TB, _, name string) {
			_, err := rig.Virsh(tb.Context(), "undefine", name)
			require.NoError(tb, err)
		},
		Grace:   4 * time.Second,
		Timeout: 2 * time.Minute,
	})
}
