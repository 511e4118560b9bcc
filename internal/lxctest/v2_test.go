//go:build linux

package lxctest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/internal/testrig"
)

// insideV2 tells this test program that it is in the machine of TestV2.
const insideV2 = "PROVISION_LXCTEST_V2"

// TestV2 runs the tests below on a machine with control groups of version 2 alone, with
// AppArmor, VLANs, quotas and Linux 6.1, none of which this one need have.
func TestV2(t *testing.T) {
	if os.Getenv(insideV2) != "" {
		prepareV2(t)
		for _, c := range v2Tests {
			t.Run(c.name, c.run)
		}
		return
	}
	t.Parallel() // it is mostly the emulator's work
	self, err := os.Executable()
	require.NoError(t, err)
	out := testrig.RunInVM(t, &testrig.VM{
		Argv:  []string{self, "-test.run", "^TestV2$", "-test.v", "-test.timeout", "200s"},
		Env:   []string{insideV2 + "=1", lxcrig.Alone, "GORACE=atexit_sleep_ms=0", "GOGC=off"},
		Files: v2Files(t), Memory: 1536, CPUs: 2,
		Modules: []string{"overlay", "ext4", "loop", "quota_v2", "veth", "bridge", "8021q", "nf_tables", "nft_fwd_netdev", "ifb", "sch_tbf"},
	})
	t.Log(out)
	require.NotContains(t, out, "--- SKIP")
	for _, c := range v2Tests {
		require.Contains(t, out, "--- PASS: TestV2/"+c.name+" ", "it ran")
	}
}

// v2Tests run in there, one after the other.
var v2Tests = []struct {
	name string
	run  func(*testing.T)
}{
	{"limited", v2Limited},
	{"overlay", v2Overlay},
	{"check", v2Check},
}

// v2Files are the files of this machine that guests take, by their paths there.
func v2Files(t *testing.T) map[string]string {
	files := map[string]string{}
	for _, name := range []string{"lxc-start", "lxc-attach", "ip", "tc", "nft", "bridge", "perl", "mount", "umount",
		"losetup", "mountpoint", "mkfs.ext4", "resize2fs", "apparmor_parser"} {
		path := ""
		for _, dir := range []string{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"} {
			if _, err := os.Stat(dir + name); err == nil && path == "" {
				path = dir + name
			}
		}
		require.NotEmpty(t, path, "there is no %s: see testrig.Packages", name)
		files[path] = path
	}
	perl, err := filepath.Glob("/usr/lib/*/perl-base")
	require.NoError(t, err)
	for _, dir := range append(perl, "/usr/share/lxc/config", "/etc/apparmor/parser.conf", "/usr/share/apparmor-features", "/etc/apparmor.d/tunables") {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err == nil && d.Name() == "unicore": // large, and not needed
				return fs.SkipDir
			case err == nil && d.Type().IsRegular():
				files[path] = path
			}
			return err
		}))
	}
	kernel, err := testrig.Kernel()
	require.NoError(t, err)
	config := strings.Replace(kernel, "vmlinuz", "config", 1)
	files[config] = config
	files["/bin/sh"] = "/bin/dash" // which busybox's is not: it runs its own ip
	return files
}

// prepareV2 gives the machine what its init has not: a bridge with a VLAN that the host is
// in, a disk with quotas, and swap.
func prepareV2(t *testing.T) { lxcrig.Run(t, "sh", "-euc", v2Host) }

const v2Host = `
ip link add br-test type bridge vlan_filtering 1
ip link set br-test up
bridge vlan add dev br-test vid 100 self
ip link add link br-test name vlan100 type vlan id 100
ip address add 10.77.0.1/24 dev vlan100
ip link set vlan100 up
mkdir -p /var/cache /usr/lib/x86_64-linux-gnu/lxc/rootfs
truncate -s 512M /disk
mkfs.ext4 -q -O quota,project -E lazy_itable_init=1 /disk
mount -o loop,prjquota /disk /tmp
truncate -s 64M /swap
losetup /dev/loop7 /swap
mkswap /dev/loop7
swapon /dev/loop7
`
