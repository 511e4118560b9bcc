// Package nocloud writes the files of cloud-init's NoCloud data source, as
// https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html
// describes them. What carries them to the guest is the caller's: a disk
// labelled CIDATA, or a directory of its root file system.
package nocloud

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Config is what a guest is told. Its values are validated by the caller.
type Config struct {
	// InstanceID makes cloud-init run again when it is a new one.
	InstanceID string
	Hostname   string
	// UserData of the caller. Default: an empty cloud-config.
	UserData []byte
	// User, AuthorizedKeys and PasswordHash are provision.Access.
	User           string
	AuthorizedKeys []string
	PasswordHash   string
	NICs           []NIC
	// Servers and Search are the resolver's.
	Servers []netip.Addr
	Search  []string
}

// NIC of a guest, which finds it by its MAC.
type NIC struct {
	MAC       string
	Addresses []netip.Prefix
	Gateways  []netip.Addr
	MTU       int // in bytes; 0 leaves it
}

// File is one of the four files of a seed.
type File struct {
	Name string
	Data []byte
}

// Files are those of a seed. One without data is to be left out: an empty
// network-config would switch the network off.
func (c *Config) Files() []File {
	return []File{
		{"meta-data", c.MetaData()},
		{"user-data", c.userData()},
		{"vendor-data", c.VendorData()},
		{"network-config", c.NetworkConfig()},
	}
}

// MetaData has the names. Without quotes, YAML takes host names such as "on",
// "1e3" and "2026-11-22" for other types.
func (c *Config) MetaData() []byte {
	return fmt.Appendf(nil, "instance-id: %q\nlocal-hostname: %q\n", c.InstanceID, c.Hostname)
}

func (c *Config) userData() []byte {
	if len(c.UserData) == 0 {
		return []byte("#cloud-config\n{}\n")
	}
	return c.UserData
}

// VendorData carries the access, and the domain of a host name, beside the caller's
// user data, which has precedence over it. JSON is YAML. To cloud-init 22, keys of null are a crash;
// "passwd" is nothing for a user that the image has, unlike "hashed_passwd"; and
// "password" is a plain one, whenever its hash is none of the older kinds. Of a host name
// with dots the kernel gets the first part alone, and /etc/hosts must know the rest, or
// nobody in the guest does.
func (c *Config) VendorData() []byte {
	config, user := map[string]any{}, map[string]any{}
	if strings.Contains(c.Hostname, ".") {
		config["manage_etc_hosts"] = "localhost"
	}
	if c.User == "" && c.PasswordHash == "" && len(c.AuthorizedKeys) == 0 && len(config) == 0 {
		return nil
	}
	if c.PasswordHash != "" {
		user["hashed_passwd"], user["lock_passwd"] = c.PasswordHash, false
	}
	keys := config // those of the default user
	if c.User != "" {
		user["name"] = c.User
		keys = user
	}
	if len(c.AuthorizedKeys) > 0 {
		keys["ssh_authorized_keys"] = c.AuthorizedKeys
	}
	switch c.User {
	case "":
		if len(user) > 0 {
			config["user"] = user
		}
	case "root":
		config["users"], config["disable_root"] = []any{user}, false
	default:
		user["sudo"], user["shell"] = "ALL=(ALL) NOPASSWD:ALL", "/bin/bash"
		config["users"] = []any{user}
	}
	text, err := json.Marshal(config)
	if err != nil {
		panic("nocloud: " + err.Error()) // maps of strings have a JSON form
	}
	return append(append([]byte("#cloud-config\n"), text...), '\n')
}

// NetworkConfig is netplan's version 2, NICs matched by their MAC. Without any
// address the image's own default, usually DHCP, stands; where DNS is all that
// was asked for, the first NIC gets that default in words, to carry it.
func (c *Config) NetworkConfig() []byte {
	hasDNS := len(c.Servers)+len(c.Search) > 0
	static := slices.ContainsFunc(c.NICs, func(n NIC) bool { return len(n.Addresses) > 0 })
	var b strings.Builder
	for i, n := range c.NICs {
		byDHCP := hasDNS && !static && i == 0
		if len(n.Addresses) == 0 && !byDHCP {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("version: 2\nethernets:\n")
		}
		fmt.Fprintf(&b, "  nic%d:\n    match: {macaddress: %q}\n", i, n.MAC)
		if byDHCP {
			b.WriteString("    dhcp4: true\n")
		} else {
			fmt.Fprintf(&b, "    addresses: [%s]\n", quoted(n.Addresses))
		}
		if n.MTU != 0 {
			fmt.Fprintf(&b, "    mtu: %d\n", n.MTU)
		}
		if len(n.Gateways) > 0 {
			b.WriteString("    routes:\n")
		}
		for _, g := range n.Gateways {
			b.WriteString("      - " + route(n.Addresses, g) + "\n")
		}
		if hasDNS {
			fmt.Fprintf(&b, "    nameservers: {addresses: [%s], search: [%s]}\n", quoted(c.Servers), quoted(c.Search))
		}
	}
	return []byte(b.String())
}

func quoted[T any](list []T) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return strings.Join(parts, ", ")
}

// route is a default route in netplan's flow style.
func route(addresses []netip.Prefix, g netip.Addr) string {
	to := "::/0"
	if g.Is4() {
		to = "0.0.0.0/0"
	}
	if OnLink(addresses, g) {
		return fmt.Sprintf("{to: %q, via: %q, on-link: true}", to, g)
	}
	return fmt.Sprintf("{to: %q, via: %q}", to, g)
}

// OnLink reports whether the kernel has to be told that a gateway is on link: one
// outside of the NIC's networks, as hosters have it for single addresses. Of
// link-local ones, it knows that by itself only with IPv6.
func OnLink(addresses []netip.Prefix, g netip.Addr) bool {
	if g.Is6() && g.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(addresses, func(a netip.Prefix) bool { return a.Contains(g) })
}
