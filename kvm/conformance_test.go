//go:build linux

package kvm_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/provisiontest"
)

// TestConformance runs the suite on a private libvirtd, with guests that boot.
func TestConformance(t *testing.T) {
	// Only the first process starts the machine; the others find it by its
	// directory.
	var rig *testrig.Libvirt
	uri := func(dir string) string {
		return "qemu+unix:///system?socket=" + filepath.Join(dir, "run", "libvirt-sock")
	}
	provisiontest.Run(t, provisiontest.Config{
		Machine: func(tb testing.TB) string {
			rig = startRig(tb)
			return rig.Dir
		},
		New:  func(_ testing.TB, dir string) provision.Backend { return newBackend(uri(dir)) },
		Spec: func(_ testing.TB, _, name string) provision.Spec { return tinySpec(name) },
		Deaf: func(_ testing.TB, _, name string) provision.Spec {
			s := tinySpec(name)
			s.UserData = []byte("#cloud-config\n# test:ignore-acpi\n")
			return s
		},
		Image: func(testing.TB, string) ([]byte, string) {
			return bytes.Repeat([]byte("guest image sector of 32 bytes.\n"), 1<<16), "raw"
		},
		Leftovers: func(tb testing.TB, _ string) []string { return leftovers(tb, rig) },
		Foreign: func(tb testing.TB, _, name string) func() {
			file := filepath.Join(tb.TempDir(), "foreign.xml")
			writeFile(tb, file, fmt.Sprintf(`<domain type='qemu'><name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>`+
				`<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`, name))
			_, err := rig.Virsh(tb.Context(), "define", file)
			require.NoError(tb, err)
			return func() {
				_, err := rig.Virsh(context.WithoutCancel(tb.Context()), "undefine", name)
				require.NoError(tb, err)
			}
		},
		Grace:   4 * time.Second,
		Timeout: 2 * time.Minute,
	})
}
