//go:build linux

package lxc

import (
	"net/netip"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

const testID = provision.ID("5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11")

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func nic(last byte, addresses []netip.Prefix, gateways []netip.Addr) provision.NIC {
	return provision.NIC{Bridge: "br0", MAC: provision.MAC{0x52, 0x54, 0, 0xa1, 0xb2, last}, Addresses: addresses, Gateways: gateways}
}

// specs are Specs as a Backend gets them: valid, and complete with defaults.
func specs() map[string]*provision.Spec {
	list := map[string]*provision.Spec{}
	add := func(name string, change func(*provision.Spec)) {
		s := &provision.Spec{Name: "web1", Hostname: "web1", Image: "debian-12", CPU: provision.CPU{Count: 1},
			Memory: provision.Memory{Size: 512 * provision.MiB}, Disks: make([]provision.Disk, 1),
			NICs: []provision.NIC{nic(1, nil, nil)}}
		change(s)
		list[name] = s
	}
	native := func(n *Native) func(*provision.Spec) { return func(s *provision.Spec) { s.Native = n } }
	add("default", func(*provision.Spec) {})
	add("privileged", native(&Native{Privileged: true}))
	add("nesting", native(&Native{Nesting: true}))
	add("privileged-nesting", native(&Native{Privileged: true, Nesting: true, DropCapabilities: []string{"net_raw", "sys_time"}}))
	add("devices", native(&Native{Devices: []Device{DeviceFUSE, DeviceTUN}}))
	add("init", native(&Native{Init: "/sbin/init deaf", HaltSignal: "SIGRTMIN+3"}))
	add("no-new-privs", native(&Native{NoNewPrivs: true}))
	add("image-root", func(s *provision.Spec) { s.Disks[0].Size, s.Disks[0].Inodes = 2*provision.GiB, 100000 })
	add("copy-root", native(&Native{Root: RootCopy}))
	add("subvolume-root", native(&Native{Root: RootSubvolume}))
	add("autostart", func(s *provision.Spec) { s.Autostart = true })
	add("no-nic", func(s *provision.Spec) { s.NICs = nil })
	add("full-name", func(s *provision.Spec) { s.Hostname = "web1.example.net" })
	add("pinned", func(s *provision.Spec) { s.CPU.Count, s.CPU.Pin = 3, []int{0, 2, 3} })
	add("guaranteed", func(s *provision.Spec) { s.Memory.Guaranteed = true })
	add("all-limits", func(s *provision.Spec) {
		s.CPU = provision.CPU{Count: 2, Limit: 1.5, Weight: 300}
		s.Memory.Swap = 256 * provision.MiB
		s.Disks[0] = provision.Disk{Size: 2 * provision.GiB, Inodes: 100000, IOPS: 1000, BPS: 50 * provision.MiB}
		s.Limits = provision.Limits{Processes: 500, OpenFiles: 4096}
	})
	add("many-nics", func(s *provision.Spec) {
		s.NICs = []provision.NIC{
			nic(1, prefixes("192.0.2.10/24", "2001:db8::10/64"), addrs("192.0.2.1", "2001:db8::1")),
			nic(2, prefixes("10.0.0.5/8", "192.0.2.200/31", "198.51.100.7/32"), nil),
			nic(3, nil, nil),
		}
		s.NICs[1].Bridge, s.NICs[1].MTU, s.NICs[1].AntiSpoof = "br1", 9000, provision.Off
		s.NICs[2].VLAN, s.NICs[2].Isolated = 100, true
		s.NICs[2].Rate.In, s.NICs[2].Rate.Out = 20_000_000, 10_000_000
	})
	return list
}

// layouts are of a host with version 1 of control groups, as Debian 10 has it, and of
// one with version 2 alone.
func layouts() map[string]*cgroup.Layout {
	hybrid := &cgroup.Layout{SwapAccounting: true}
	for dir, controllers := range map[string][]cgroup.Controller{"cpu": {cgroup.CPU, cgroup.CPUAcct}, "cpuset": {cgroup.CPUSet}, "memory": {cgroup.Memory},
		"pids": {cgroup.PIDs}, "blkio": {cgroup.IO}, "devices": {cgroup.Devices}, "freezer": {cgroup.Freezer}} {
		hybrid.Hierarchies = append(hybrid.Hierarchies, cgroup.Hierarchy{Version: 1, Dir: "/sys/fs/cgroup/" + dir, Controllers: controllers})
	}
	hybrid.Hierarchies = append(hybrid.Hierarchies, cgroup.Hierarchy{Version: 2, Dir: "/sys/fs/cgroup/unified"})
	return map[string]*cgroup.Layout{"hybrid": hybrid, "v2": {NSDelegate: true, SwapAccounting: true, MemoryMin: true,
		Hierarchies: []cgroup.Hierarchy{{Version: 2, Dir: "/sys/fs/cgroup", Controllers: []cgroup.Controller{cgroup.CPU, cgroup.CPUSet, cgroup.Memory, cgroup.PIDs, cgroup.IO}}}}}
}
