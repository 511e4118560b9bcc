package kvm

import (
	"net/netip"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

const (
	testID = provision.ID("5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11")
	// Secrets that nothing but the file which carries them may show.
	secretHash = "$6$SALTsecret$HASHsecretHASHsecretHASHsecret"
	secretKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKEYsecretAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@example.net"
	secretData = "#cloud-config\nwrite_files: [{content: USERDATAsecret}]\n"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
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
		s := &provision.Spec{
			Name: "web1", Hostname: "web1", Image: "debian-12",
			CPU: provision.CPU{Count: 1}, Memory: provision.Memory{Size: 512 * provision.MiB}, Disks: make([]provision.Disk, 1),
		}
		change(s)
		list[name] = s
	}
	one := prefixes("192.0.2.10/24")
	add("plain", func(*provision.Spec) {})
	add("one-address", func(s *provision.Spec) {
		s.CPU.Count, s.Memory.Size = 2, 2*provision.GiB
		s.NICs = []provision.NIC{nic(1, one, addrs("192.0.2.1"))}
	})
	add("both-families", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, prefixes("192.0.2.10/24", "2001:db8::10/64"), addrs("192.0.2.1", "2001:db8::1"))}
		s.DNS = provision.DNS{Servers: addrs("192.0.2.53", "2001:db8::53"), Search: []string{"example.net", "example.com"}}
	})
	add("on-link-gateway", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, prefixes("192.0.2.10/32", "2001:db8::10/128"), addrs("198.51.100.1", "2001:db8:1::1"))}
	})
	add("link-local-gateway", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, prefixes("2001:db8::10/64"), addrs("fe80::1"))}
	})
	add("link-local-gateway-ipv4", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, prefixes("192.0.2.10/32"), addrs("169.254.0.1"))}
	})
	add("two-nics-one-bare", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, nil, nil), nic(2, prefixes("10.0.0.5/8"), nil)}
		s.NICs[0].Bridge = "br1"
	})
	add("dns-only", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, nil, nil)}
		s.DNS = provision.DNS{Servers: addrs("192.0.2.53")}
	})
	add("search-only", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, one, nil)}
		s.DNS = provision.DNS{Search: []string{"on", "1e3.example.net"}}
	})
	add("several-addresses", func(s *provision.Spec) {
		s.NICs = []provision.NIC{
			nic(1, prefixes("192.0.2.10/24", "192.0.2.11/24", "198.51.100.7/32", "2001:db8::10/64", "2001:db8::11/64"), addrs("192.0.2.1", "fe80::1")),
			nic(2, prefixes("10.1.0.2/31"), nil),
		}
		s.DNS = provision.DNS{Servers: addrs("192.0.2.53")}
	})
	add("default-user", func(s *provision.Spec) {
		s.Access = provision.Access{AuthorizedKeys: []string{secretKey, secretKey + " <&>'\""}, PasswordHash: secretHash}
	})
	add("default-user-password", func(s *provision.Spec) {
		s.Access.PasswordHash = "$y$j9T$SALTsecret$HASHsecretHASHsecretHASHsecret"
	})
	add("default-user-keys", func(s *provision.Spec) { s.Access.AuthorizedKeys = []string{secretKey} })
	add("user", func(s *provision.Spec) {
		s.Access = provision.Access{User: "admin", AuthorizedKeys: []string{secretKey}, PasswordHash: secretHash}
		s.UserData = []byte(secretData)
	})
	add("user-password", func(s *provision.Spec) { s.Access = provision.Access{User: "on", PasswordHash: secretHash} })
	add("user-alone", func(s *provision.Spec) { s.Access.User = "admin" })
	add("root", func(s *provision.Spec) {
		s.Access = provision.Access{User: "root", AuthorizedKeys: []string{secretKey}, PasswordHash: secretHash}
	})
	add("odd-hostname", func(s *provision.Spec) {
		s.Name, s.Hostname, s.Memory.Size = "on", "2026-11-22", 100*provision.MiB+provision.KiB
	})
	add("domain-name", func(s *provision.Spec) { s.Hostname = "web1.example.net" })
	add("limits", func(s *provision.Spec) {
		s.CPU = provision.CPU{Count: 2, Limit: 1.5, Weight: 200, Pin: []int{0, 1, 2, 8}}
		s.Disks[0].IOPS, s.Disks[0].BPS = 2000, 100*provision.MiB
		s.NICs = []provision.NIC{nic(1, nil, nil), nic(2, nil, nil)}
		s.NICs[0].Rate = provision.Rate{In: 100 * provision.Mbit, Out: 64 * provision.Kbit}
		s.NICs[1].Rate.Out = provision.Gbit
	})
	add("guaranteed", func(s *provision.Spec) { s.Memory.Guaranteed = true })
	add("huge-pages", func(s *provision.Spec) { s.Memory.HugePages = true })
	add("guaranteed-huge-pages", func(s *provision.Spec) { s.Memory.Guaranteed, s.Memory.HugePages = true, true })
	add("kernel", func(s *provision.Spec) {
		s.Image, s.Native = "", &Native{Machine: "pc-q35-7.2", Kernel: &Kernel{Image: "/boot/vmlinuz", Initrd: "/boot/initrd.img", Cmdline: "console=ttyS0 a='b' <c>"}}
	})
	add("kernel-and-image", func(s *provision.Spec) { s.Native = &Native{Kernel: &Kernel{Image: "/boot/vmlinuz"}} })
	add("uefi", func(s *provision.Spec) { s.Native = &Native{Firmware: FirmwareUEFI, CPUModel: "host-passthrough"} })
	add("uefi-secure", func(s *provision.Spec) { s.Native = &Native{Firmware: FirmwareUEFISecure, CPUModel: "EPYC-v4"} })
	add("bios", func(s *provision.Spec) { s.Native = &Native{Firmware: FirmwareBIOS, CPUModel: "maximum"} })
	add("edits", func(s *provision.Spec) {
		s.NICs = []provision.NIC{nic(1, nil, nil)}
		s.Native = &Native{Edits: []domainxml.Edit{
			domainxml.Add("devices", "<watchdog model='i6300esb' action='reset'/>"),
			domainxml.Set("devices/interface[1]/driver/@rx_queue_size", "1024"),
			domainxml.Set("@xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0"),
			domainxml.Set("qemu:commandline/qemu:arg/@value", "-no-user-config"),
			domainxml.Add("devices", "<disk type='file' device='cdrom'><source file='/iso/rescue.iso'/><target dev='sda' bus='sata'/><readonly/></disk>"),
		}}
	})
	add("native-zero", func(s *provision.Spec) { s.Native = &Native{} })
	add("data-disks", func(s *provision.Spec) {
		s.Disks = []provision.Disk{{Size: 20 * provision.GiB}, {Size: provision.GiB}, {Size: 2 * provision.GiB}}
	})
	add("empty-root", func(s *provision.Spec) {
		s.Image, s.Native = "", &Native{Kernel: &Kernel{Image: "/boot/vmlinuz"}}
		s.Disks = []provision.Disk{{Size: provision.GiB}}
	})
	add("data-disk-alone", func(s *provision.Spec) {
		s.Image, s.Native = "", &Native{Kernel: &Kernel{Image: "/boot/vmlinuz"}}
		s.Disks = []provision.Disk{{}, {Size: provision.GiB}}
	})
	add("copy-with-cache", func(s *provision.Spec) {
		s.Native = &Native{RootDisk: RootCopy, DiskCache: "directsync", DiskIO: "native"}
	})
	add("networks", func(s *provision.Spec) {
		s.CPU.Count = 12
		s.NICs = []provision.NIC{
			nic(1, one, addrs("192.0.2.1")), nic(2, prefixes("2001:db8::10/64", "fe80::7/64"), nil), nic(3, prefixes("198.51.100.7/32", "2001:db8::7/128"), nil), nic(4, nil, nil), nic(5, nil, nil),
		}
		s.NICs[0].MTU, s.NICs[0].Isolated = 1400, true
		s.NICs[1].Bridge, s.NICs[1].VLAN = "ovs0", 42
		s.NICs[2].VLAN = 4094
		s.NICs[3].MTU, s.NICs[3].AntiSpoof = 9000, provision.On
		s.NICs[4].AntiSpoof = provision.Off
	})
	add("sixteen-nics", func(s *provision.Spec) {
		for i := range 16 {
			s.NICs = append(s.NICs, nic(byte(i), nil, nil))
		}
	})
	return list
}
