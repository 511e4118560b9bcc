//go:build linux

package testrig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Packages are the Debian packages the rig needs, and those of the tests of containers.
var Packages = []string{
	"apparmor",
	"busybox-static",
	"btrfs-progs",
	"dosfstools",
	"e2fsprogs",
	"fdisk",
	"iproute2",
	"libvirt-clients",
	"libvirt-daemon-config-nwfilter",
	"libvirt-daemon-system",
	"linux-image-cloud-amd64",
	"lvm2",
	"lxc",
	"lxc-dev",
	"mmdebstrap",
	"mtools",
	"nftables",
	"openssh-client",
	"openssh-server",
	"openvswitch-switch",
	"ovmf",
	"perl",
	"pkg-config",
	"qemu-guest-agent",
	"qemu-system-x86",
	"qemu-utils",
	"swtpm-tools",
	"syslinux",
	"syslinux-common",
	"util-linux",
	"xfsprogs",
	"xz-utils",
	"zstd",
}

// A tool is a file the rig needs, and the package that has it. A name
// without a slash is a program, one with a slash a path or pattern.
type tool struct{ name, pkg string }

var hostTools = []tool{
	{"libvirtd", "libvirt-daemon-system"},
	{"virsh", "libvirt-clients"},
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"qemu-img", "qemu-utils"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"/usr/share/OVMF/OVMF_CODE*.fd", "ovmf"},
	{"swtpm_setup", "swtpm-tools"},
	{"/etc/libvirt/nwfilter/clean-traffic.xml", "libvirt-daemon-config-nwfilter"},
}

var sshTools = []tool{{"sshd", "openssh-server"}}

var imageTools = []tool{
	{"busybox", "busybox-static"},
	{"mkfs.vfat", "dosfstools"},
	{"mcopy", "mtools"},
	{"qemu-ga", "qemu-guest-agent"},
	{"syslinux", "syslinux"},
	{mbrPath, "syslinux-common"},
	{"qemu-img", "qemu-utils"},
	{kernelPattern, "linux-image-cloud-amd64"},
}

// debianTools are what scripts/debian-image.sh and the test of its image need.
var debianTools = []tool{
	{"mmdebstrap", "mmdebstrap"},
	{"mkfs.ext4", "e2fsprogs"},
	{"sfdisk", "fdisk"},
	{"mkfs.vfat", "dosfstools"},
	{"mcopy", "mtools"},
	{"syslinux", "syslinux"},
	{mbrPath, "syslinux-common"},
	{"qemu-img", "qemu-utils"},
	{"ssh", "openssh-client"},
	{"ssh-keygen", "openssh-client"},
}

// debianRootTools are what scripts/debian-root.sh needs.
var debianRootTools = []tool{{"mmdebstrap", "mmdebstrap"}}

var ovsTools = []tool{
	{"ovs-vsctl", "openvswitch-switch"},
	{"ovsdb-server", "openvswitch-switch"},
	{"ovs-vswitchd", "openvswitch-switch"},
}

// Need stops the test, saying what to install, when the rig cannot work on
// this machine. It never skips: where the rig is asked for, it must run.
func Need(tb testing.TB) {
	tb.Helper()
	if err := Check(); err != nil {
		tb.Fatalf("testrig: %v", err)
	}
}

// Check reports everything that keeps the rig from working on this machine.
func Check() error {
	return check(slices.Concat(hostTools, imageTools, sshTools), true)
}

func check(tools []tool, root bool) error {
	var errs []error
	if root && os.Geteuid() != 0 {
		errs = append(errs, errors.New("needs root; run the tests with sudo or in a privileged container"))
	}
	var lost, pkgs []string
	for _, t := range tools {
		if !t.present() {
			if !slices.Contains(lost, t.name) {
				lost = append(lost, t.name)
			}
			pkgs = append(pkgs, t.pkg)
		}
	}
	if lost != nil {
		slices.Sort(pkgs)
		errs = append(errs, fmt.Errorf("missing %s; run: apt-get install --no-install-recommends %s",
			strings.Join(lost, ", "), strings.Join(slices.Compact(pkgs), " ")))
	}
	return errors.Join(errs...)
}

func (t tool) present() bool {
	if strings.Contains(t.name, "/") {
		found, err := filepath.Glob(t.name)
		return err == nil && len(found) > 0
	}
	_, err := lookPath(t.name)
	return err == nil
}

// lookPath is exec.LookPath that also knows where Debian keeps the programs
// of root, for shells whose PATH does not.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// environ is the environment of the programs the rig runs: English messages,
// and the programs of root within reach.
func environ() []string {
	return append(os.Environ(), "LC_ALL=C", "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}
