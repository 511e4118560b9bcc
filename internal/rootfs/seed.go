package rootfs

import "github.com/guestforge/provision/internal/nocloud"

const seedDir = "/var/lib/cloud/seed/nocloud"

func (b *boot) userDataFits() error {
	switch {
	case len(b.UserData) == 0 || b.im.cloudInit:
		return nil
	case b.im.disabled:
		return &FieldError{"userData", "is for cloud-init, which /etc/cloud/cloud-init.disabled of the image switches off; take that file away, or leave userData out"}
	}
	return &FieldError{"userData", "is for cloud-init, which the image does not have; take an image that has it, or leave userData out"}
}

// seed is where cloud-init looks first. An image that was made for one cloud may
// look there only, so the list of its data sources is set, which also keeps it
// from asking the network for one.
func (b *boot) seed() error {
	c := nocloud.Config{
		InstanceID: b.InstanceID, Hostname: b.Hostname, UserData: b.UserData,
		User: b.Access.User, AuthorizedKeys: b.Access.AuthorizedKeys, PasswordHash: b.Access.PasswordHash,
		Servers: b.DNS.Servers, Search: b.DNS.Search,
	}
	for _, n := range b.NICs {
		c.NICs = append(c.NICs, nocloud.NIC{MAC: n.MAC, Addresses: n.Addresses, Gateways: n.Gateways, MTU: n.MTU})
	}
	if err := b.mkdir(seedDir, Attr{Mode: 0o700}); err != nil {
		return err
	}
	for _, f := range c.Files() {
		name := seedDir + "/" + f.Name
		if len(f.Data) == 0 {
			if err := b.remove(name); err != nil {
				return err
			}
			continue
		}
		if err := b.write(name, f.Data, Attr{Mode: 0o600}); err != nil {
			return err
		}
	}
	return b.write("/etc/cloud/cloud.cfg.d/99-provision.cfg", []byte("datasource_list: [NoCloud, None]\n"), Attr{Mode: 0o644})
}
