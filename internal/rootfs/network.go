package rootfs

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/guestforge/provision/internal/nocloud"
)

// link is a NIC that has addresses.
type link struct {
	NIC
	routes []route
}

// route is one to everywhere.
type route struct {
	via    netip.Addr
	onLink bool
	// metric keeps the route of the first NIC the one that is taken: the kernel
	// has no two of the same. Without one it is 0, and 1024 for IPv6.
	metric int
}

func (r *route) to() string {
	if r.via.Is4() {
		return "0.0.0.0/0"
	}
	return "::/0"
}

func links(nics []NIC) []link {
	var list []link
	before := map[bool]int{} // gateways, by family
	for _, n := range nics {
		if len(n.Addresses) == 0 {
			continue
		}
		l := link{NIC: n}
		for _, g := range n.Gateways {
			metric := 100 * before[g.Is4()]
			if g.Is6() && metric > 0 {
				metric += 1024
			}
			before[g.Is4()]++
			l.routes = append(l.routes, route{g, nocloud.OnLink(n.Addresses, g), metric})
		}
		list = append(list, l)
	}
	return list
}

// network writes the static configuration of NICs that have addresses. It is the
// same that the host may set before init runs, and takes nothing of that away.
func (b *boot) network() error {
	nics := links(b.NICs)
	if len(nics) == 0 {
		return nil
	}
	switch b.im.network {
	case Netplan:
		return b.write("/etc/netplan/90-provision.yaml", netplan(nics, b.DNS), Attr{Mode: 0o600})
	case NetworkManager:
		return b.each(nics, "/etc/NetworkManager/system-connections/provision-%s.nmconnection", 0o600, keyfile)
	case Networkd:
		// The first file that matches is taken, in the order of the names, and
		// images have names as 10-eth0.network.
		if err := b.each(nics, "/etc/systemd/network/05-provision-%s.network", 0o644, networkd); err != nil {
			return err
		}
		return b.enableNetworkd()
	case Ifupdown:
		return b.interfaces(nics)
	}
	b.note("no network manager of the image is known here; its NICs have what the host sets before init runs")
	return nil
}

func (b *boot) each(nics []link, pattern string, mode fs.FileMode, text func(link, DNS) string) error {
	for _, n := range nics {
		if err := b.write(fmt.Sprintf(pattern, n.Name), []byte(text(n, b.DNS)), Attr{Mode: mode}); err != nil {
			return err
		}
	}
	return nil
}

// networkd is systemd.network(5). A bridge that the tenant puts the NIC into takes
// its MAC, but is of another type. In a container whose /sys is writable, networkd
// waits for udev to tell it of the NIC, which nobody does there: the backend has to
// mount /sys read-only.
func networkd(n link, dns DNS) string {
	var s strings.Builder
	fmt.Fprintf(&s, "[Match]\nMACAddress=%s\nType=ether\n", n.MAC)
	if n.MTU != 0 {
		fmt.Fprintf(&s, "\n[Link]\nMTUBytes=%d\n", n.MTU)
	}
	// Routers that announce themselves may be other tenants.
	s.WriteString("\n[Network]\nIPv6AcceptRA=no\n")
	for _, a := range n.Addresses {
		fmt.Fprintf(&s, "Address=%s\n", a)
	}
	for _, d := range dns.Servers {
		fmt.Fprintf(&s, "DNS=%s\n", d)
	}
	if len(dns.Search) > 0 {
		fmt.Fprintf(&s, "Domains=%s\n", strings.Join(dns.Search, " "))
	}
	for _, r := range n.routes {
		fmt.Fprintf(&s, "\n[Route]\nGateway=%s\n", r.via)
		if r.onLink {
			s.WriteString("GatewayOnLink=yes\n")
		}
		if r.metric > 0 {
			fmt.Fprintf(&s, "Metric=%d\n", r.metric)
		}
	}
	return s.String()
}

// enableNetworkd does what "systemctl enable" does, less what delays a boot.
func (b *boot) enableNetworkd() error {
	const unit, socket, etc = "systemd-networkd.service", "systemd-networkd.socket", "/etc/systemd/system/"
	if b.t.enabled(unit) {
		return nil
	}
	if err := b.symlink(b.im.unitDir+"/"+unit, etc+"multi-user.target.wants/"+unit); err != nil {
		return err
	}
	if !b.t.Exists(b.im.unitDir + "/" + socket) {
		return nil
	}
	return b.symlink(b.im.unitDir+"/"+socket, etc+"sockets.target.wants/"+socket)
}
