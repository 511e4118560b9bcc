//go:build linux

package testrig_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/guestforge/provision/internal/testrig"
	"github.com/stretchr/testify/require"
)

// start starts a private libvirtd that ends with the test.
func start(t *testing.T, dir string) *testrig.Libvirt {
	t.Helper()
	testrig.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	l, err := testrig.StartLibvirt(ctx, &testrig.LibvirtOptions{Dir: dir, Cache: os.Getenv("TESTRIG_CACHE")})
	require.NoError(t, err)
	t.Logf("libvirtd answered after %v", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() { require.NoError(t, l.Stop()) })
	return l
}

// virsh runs virsh, which must succeed.
func virsh(t *testing.T, l *testrig.Libvirt, args ...string) string {
	t.Helper()
	out, err := l.Virsh(t.Context(), args...)
	require.NoError(t, err)
	return strings.TrimSpace(out)
}

// install puts the guest image into the pool.
func install(t *testing.T, l *testrig.Libvirt) {
	t.Helper()
	begin := time.Now()
	image, err := testrig.CachedImage(t.Context(), cmp.Or(os.Getenv("TESTRIG_CACHE"), t.TempDir()))
	require.NoError(t, err)
	t.Logf("had the image after %v", time.Since(begin).Round(time.Millisecond))
	require.NoError(t, l.AddVolume(t.Context(), image, "base.qcow2"))
}

const domainXML = `<domain type='qemu'>
  <name>%[1]s</name>
  <memory unit='MiB'>128</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='%[2]s/%[1]s.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    %[4]s
    <interface type='bridge'><mac address='%[3]s'/><source bridge='br0'/><model type='virtio'/></interface>
    <serial type='pty'><log file='%[2]s/%[1]s.log'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
</domain>`

const seedXML = `<disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='%s'/><target dev='vdb' bus='virtio'/><readonly/>
    </disk>`

// boot starts a guest on an overlay of the image and returns its console log
// when it has come up.
func boot(t *testing.T, l *testrig.Libvirt, name, mac, devices string) string {
	t.Helper()
	virsh(t, l, "vol-create-as", "default", name+".qcow2", "96M", "--format", "qcow2",
		"--backing-vol", "base.qcow2", "--backing-vol-format", "qcow2")
	path := filepath.Join(t.TempDir(), "domain.xml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, domainXML, name, l.PoolDir, mac, devices), 0o600))
	virsh(t, l, "define", path)
	begin := time.Now()
	virsh(t, l, "start", name)
	log := waitConsole(t, l, name, "BOOTED-OK ")
	t.Logf("%s came up after %v", name, time.Since(begin).Round(time.Millisecond))
	return log
}

// waitConsole waits until a line with the text is on the guest's console.
func waitConsole(t *testing.T, l *testrig.Libvirt, name, text string) string {
	t.Helper()
	var log string
	whole := regexp.MustCompile(regexp.QuoteMeta(text) + ".*\n")
	eventually(t, text, func() bool {
		content, _ := os.ReadFile(filepath.Join(l.PoolDir, name+".log"))
		log = strings.ReplaceAll(string(content), "\r", "")
		return whole.MatchString(log)
	}, &log)
	return log
}

// eventually waits until ok returns true; context, if any, is shown if not.
func eventually(t *testing.T, what string, ok func() bool, context ...*string) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, c := range context {
				t.Log(*c)
			}
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func isState(t *testing.T, l *testrig.Libvirt, name, state string) func() bool {
	return func() bool { return virsh(t, l, "domstate", name) == state }
}
