package kvm

import (
	"net/netip"

	"github.com/guestforge/provision"
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
	add("odd-hostname", func(s *provision.Spec) { s.Name, s.Hostname, s.Memory.Size = "on", "2026-11-22", 100*provision.MiB+1 })
	add("kernel", func(s *provision.Spec) {
		s.Image, s.Native = "", &Native{Machine: "pc-q35-7.2", Kernel: &Kernel{Image: "/boot/vmlinuz", Initrd: "/boot/initrd.img", Cmdline: "console=ttyS0 a='b' <c>"}}
	})
	add("kernel-and-image", func(s *provision.Spec) { s.Native = &Native{Kernel: &Kernel{Image: "/boot/vmlinuz"}} })
	add("native-zero", func(s *provision.Spec) { s.Native = &Native{} })
	add("sixteen-nics", func(s *provision.Spec) {
		for i := range 16 {
			s.NICs = append(s.NICs, nic(byte(i), nil, nil))
		}
	})
	return list
}
