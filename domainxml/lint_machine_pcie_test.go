package domainxml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// The free ports are as many as libvirt 9.0 left when it was given these devices of
// a q35 machine.
func TestLintPCIePorts(t *testing.T) {
	const (
		root = "<controller type='pci' model='pcie-root'/>"
		none = "<controller type='usb' model='none'/><memballoon model='none'/>" + root
		old  = "<interface type='user'/>" // rtl8139
		port = "<controller type='pci' model='pcie-root-port'/>"
		blk  = "<disk type='file'><target dev='vda' bus='virtio'/></disk>"
	)
	ports := func(n int) string { return strings.Repeat(port, n) }
	for _, c := range []struct {
		devices string
		free    int
	}{
		{"<emulator>/q</emulator>", 1},
		{none, 0},
		{none + blk, 1},
		{none + blk + blk, 1},
		{none + ports(1), 1},
		{none + ports(2), 2},
		{none + ports(2) + blk, 1},
		{none + ports(2) + blk + blk, 0},
		{none + ports(2) + blk + blk + blk, 0},
		{none + ports(3) + blk, 2},
		{none + ports(8) + blk, 7},
		{root + "<controller type='usb' model='none'/>" + ports(2), 1}, // the balloon
		{root + "<memballoon model='none'/>" + ports(2), 1},            // USB
		{none + ports(2) + "<disk type='file'><target dev='vda'/></disk>", 1},
		{none + ports(2) + "<disk type='file'><target dev='sda' bus='scsi'/></disk>", 2},
		{none + ports(2) + "<controller type='scsi' model='virtio-scsi'/><disk type='file'><target dev='sda' bus='scsi'/></disk>", 1},
		{none + ports(2) + "<controller type='scsi'/>", 2},
		{none + ports(2) + "<controller type='sata' index='0'/>", 2},
		{none + ports(2) + "<controller type='sata' index='1'/>", 2},
		{none + ports(2) + "<channel type='unix'><target type='virtio' name='a'/></channel>", 1},
		{none + ports(2) + "<controller type='virtio-serial'/><console type='pty'><target type='virtio'/></console>", 1},
		{none + ports(2) + "<interface type='user'/><interface type='user'><model type='e1000'/></interface>", 2},
		{none + ports(2) + "<interface type='user'><model type='e1000e'/></interface>", 1},
		{none + old, 1},
		{none + old + blk, 1},
		{none + old + blk + blk, 1},
		{none + ports(1) + old + blk, 0},
		{none + ports(2) + old + blk, 1},
		{none + ports(3) + old + blk, 2},
		{none + ports(2) + old + blk + blk, 0},
		{none + ports(2) + "<controller type='pci' model='pcie-to-pci-bridge'/>", 1},
		{none + ports(2) + "<controller type='pci' model='pcie-to-pci-bridge'/>" + old, 1},
		{none + ports(2) + "<controller type='pci' model='pcie-to-pci-bridge'/>" + old + blk, 0},
		{none + ports(2) + "<watchdog model='i6300esb'/><shmem name='a'/><sound model='ich6'/>", 2},
		{none + ports(2) + "<sound model='ich9'/><graphics type='vnc'/>", 2},
		{none + ports(2) + "<serial type='pty'><target type='pci-serial'/></serial>", 2},
		{none + ports(2) + "<video><model type='virtio'/></video>", 2},
		{none + ports(2) + "<video><model type='virtio'/></video><video><model type='virtio'/></video>", 1},
		{none + ports(2) + "<video><model type='qxl'/></video><video><model type='qxl'/></video>", 2},
		{none + ports(2) + "<controller type='scsi' model='virtio-transitional'/>", 2},
		{none + ports(2) + "<input type='tablet' bus='virtio'/>", 1},
		{none + ports(3) + "<filesystem type='mount'/><vsock/>", 1},
		{none + ports(2) + "<hostdev mode='subsystem' type='pci'/>", 1},
		{none + ports(2) + "<rng model='virtio-transitional'/>", 2},
		{none + port + "<controller type='pci' model='pcie-switch-upstream-port'/>" + strings.Repeat("<controller type='pci' model='pcie-switch-downstream-port'/>", 3) + blk, 2},
		{none + "<controller type='pci' model='pcie-root-port'><target hotplug='off'/></controller>" + ports(2), 2},
	} {
		doc := machine("x86_64", "pc-q35-7.2") + "<devices>" + c.devices + "</devices>"
		found := lint(t, example(doc), "pcie-ports", domainxml.LintOptions{})
		if c.free >= 2 {
			require.Empty(t, found, c.devices)
			continue
		}
		require.Len(t, found, 1, c.devices)
		require.Contains(t, found[0].Message, fmt.Sprintf(": %d", c.free), c.devices)
	}
}

// Documents from libvirt have an address for each device: buses without one are
// free.
func TestLintPCIePortsWithAddresses(t *testing.T) {
	const none = "<controller type='usb' model='none'/><memballoon model='none'/><controller type='pci' index='0' model='pcie-root'/>"
	port := func(index int) string {
		return fmt.Sprintf("<controller type='pci' index='%d' model='pcie-root-port'><address type='pci' bus='0x00' slot='0x02'/></controller>", index)
	}
	nic := func(bus string) string {
		return "<interface type='bridge'><model type='virtio'/><address type='pci' domain='0x0000' bus='" + bus + "' slot='0x00' function='0x0'/></interface>"
	}
	at := []string{"warning /domain/devices"}
	q35 := func(devices string) string {
		return machine("x86_64", "pc-q35-7.2") + "<devices>" + none + devices + "</devices>"
	}
	runRule(t, "pcie-ports", []ruleCase{
		{name: "two left", doc: q35(port(1) + port(2) + port(10) + nic("0x0a"))},
		{name: "one left", doc: q35(port(1) + port(10) + nic("0x0a")), want: at},
		{name: "on the root", doc: q35(port(1) + port(2) + nic("0x00"))},
		{name: "two functions on one", doc: q35(port(1) + port(2) + port(3) + nic("0x01") + nic("0x01"))},
		{name: "any address on PCI", doc: q35(port(1) + port(2) + "<interface type='user'><model type='virtio'/><address type='pci'/></interface>"), want: at},
		{name: "another bus", doc: q35(port(1) + port(2) + "<disk type='file'><target dev='vda' bus='virtio'/><address type='virtio-mmio'/></disk>")},
		{name: "conventional PCI", doc: machine("x86_64", "pc-i440fx-7.2") + "<devices/>"},
		{name: "s390x", doc: machine("s390x", "s390-ccw-virtio-7.2") + "<devices/>"},
		{name: "microvm", doc: machine("x86_64", "microvm") + "<devices/>"},
		{name: "no devices", doc: machine("x86_64", "q35")},
		{name: "another hypervisor", doc: "<domain type='xen'>" + machine("x86_64", "q35") + "<devices/></domain>"},
		{name: "arm", doc: machine("aarch64", "virt-7.2") + "<devices/>", want: at},
		{name: "default of RISC-V", doc: "<os><type arch='riscv64'>hvm</type></os><devices><video/></devices>", want: at},
		{
			name: "arm with room", doc: machine("aarch64", "virt-7.2") + "<devices>" + none + port(1) + port(2) + port(3) +
				"<disk type='file'><target dev='sda' bus='scsi'/></disk></devices>",
		},
		{name: "no root", doc: machine("x86_64", "q35") + "<devices/>", want: at},
	})
}
