//go:build linux

package testrig_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSeed(t *testing.T) {
	const userData = "#cloud-config\nssh_authorized_keys:\n  - ssh-ed25519 AAAA a@b\n  - \"ssh-rsa BBBB\"\n# test:ignore-acpi\n"
	l := start(t, t.TempDir())
	install(t, l)

	log := boot(t, l, "web1", "52:54:00:a1:b2:c3", writeSeed(t, l.PoolDir, map[string]string{
		"meta-data": "instance-id: \"i-1\"\nlocal-hostname: web1\n",
		"user-data": userData,
		"network-config": `version: 2
ethernets:
  nic0:
    match: {macaddress: "52:54:00:a1:b2:c3"}
    set-name: lan0
    addresses: ["192.0.2.10/24", "2001:db8::10/64"]
    routes:
      - {to: "0.0.0.0/0", via: "192.0.2.1"}
      - {to: "::/0", via: "2001:db8::1"}
    nameservers: {addresses: ["192.0.2.53"], search: ["example.net"]}
`,
	}))
	for _, fact := range []string{
		"seed=vdb type=vfat", "hostname=web1", "instance-id=i-1", "authorized-keys=2", "acpi=ignored",
		"nic=lan0 mac=52:54:00:a1:b2:c3 addr=192.0.2.10/24,2001:db8::10/64 mtu=1500",
		"route=0.0.0.0/0 via=192.0.2.1 nic=lan0", "route=::/0 via=2001:db8::1 nic=lan0",
		"dns=192.0.2.53", "search=example.net",
		fmt.Sprintf("userdata-sha256=%x", sha256.Sum256([]byte(userData))),
	} {
		require.Contains(t, log, "FACT "+fact+"\n")
	}
	require.Contains(t, log, "BOOTED-OK web1\n")

	// The guest answers on the bridge: its address resolves to its MAC.
	_, err := l.Inside(t.Context(), "busybox", "ping", "-c", "1", "-W", "5", "192.0.2.10")
	require.NoError(t, err)
	out, err := l.Inside(t.Context(), "ip", "neigh", "show", "192.0.2.10")
	require.NoError(t, err)
	require.Contains(t, out, "52:54:00:a1:b2:c3")

	virsh(t, l, "shutdown", "web1")
	time.Sleep(time.Second)
	require.True(t, isState(t, l, "web1", "running")(), "it ignores ACPI")
}

func TestUserDataWishes(t *testing.T) {
	l := start(t, t.TempDir())
	install(t, l)
	seed := func(t *testing.T, text string) string {
		return writeSeed(t, t.TempDir(), map[string]string{"meta-data": "local-hostname: w\n", "user-data": text})
	}
	t.Run("poweroff", func(t *testing.T) {
		boot(t, l, "short", "52:54:00:a1:b2:04", seed(t, "# test:poweroff\n"))
		eventually(t, "power off", isState(t, l, "short", "shut off"))
	})
	t.Run("swapped names", func(t *testing.T) {
		const second = `<interface type='bridge'><mac address='52:54:00:a1:b2:07'/><source bridge='br0'/><model type='virtio'/></interface>`
		devices := writeSeed(t, t.TempDir(), map[string]string{"meta-data": "local-hostname: w\n", "network-config": `version: 2
ethernets:
  nic0:
    match: {macaddress: "52:54:00:A1:B2:06"}
    set-name: eth0
    addresses: ["192.0.2.6/32"]
    routes:
      - {to: "0.0.0.0/0", via: "192.0.2.1", on-link: true}
  nic1:
    match: {macaddress: "52:54:00:a1:b2:07"}
    set-name: "eth1"
    mtu: 1400
    addresses: ["2001:db8::7/64"]
`})
		log := boot(t, l, "twonics", "52:54:00:a1:b2:06", second+devices)
		require.Contains(t, log, "FACT nic=eth0 mac=52:54:00:a1:b2:06 addr=192.0.2.6/32 mtu=1500\n")
		require.Contains(t, log, "FACT nic=eth1 mac=52:54:00:a1:b2:07 addr=2001:db8::7/64 mtu=1400\n")
		require.Contains(t, log, "FACT route=0.0.0.0/0 via=192.0.2.1 nic=eth0\n")
	})
	t.Run("console-flood", func(t *testing.T) {
		boot(t, l, "flood", "52:54:00:a1:b2:05", seed(t, "# test:console-flood\n"))
		path := filepath.Join(l.PoolDir, "flood.log")
		eventually(t, "100 KiB of console", func() bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > 100<<10
		})
		virsh(t, l, "shutdown", "flood")
		eventually(t, "power off", isState(t, l, "flood", "shut off"))
	})
}

// writeSeed makes a NoCloud file system of the files, and returns its device.
func writeSeed(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	image := filepath.Join(dir, "seed.img")
	out, err := exec.Command("/usr/sbin/mkfs.vfat", "-C", "-n", "CIDATA", image, "1024").CombinedOutput()
	require.NoError(t, err, string(out))
	for name, text := range files {
		cmd := exec.Command("mcopy", "-i", image, "-", "::"+name)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return fmt.Sprintf(seedXML, image)
}
