package rootfs

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// keyfile is nm-settings-keyfile(5). NetworkManager reaches gateways outside of
// all networks on link by itself.
func keyfile(n link, dns DNS) string {
	var s strings.Builder
	id := "provision-" + n.Name
	fmt.Fprintf(&s, "[connection]\nid=%s\nuuid=%s\ntype=ethernet\ninterface-name=%s\nautoconnect-priority=100\n", id, uuid.NewSHA1(uuid.Nil, []byte(id+n.MAC)), n.Name)
	fmt.Fprintf(&s, "\n[ethernet]\nmac-address=%s\n", n.MAC)
	if n.MTU != 0 {
		fmt.Fprintf(&s, "mtu=%d\n", n.MTU)
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		is := func(a netip.Addr) bool { return a.Is4() == (family == "ipv4") }
		count := 0
		var lines strings.Builder
		for _, a := range n.Addresses {
			if is(a.Addr()) {
				count++
				fmt.Fprintf(&lines, "address%d=%s\n", count, a)
			}
		}
		fmt.Fprintf(&s, "\n[%s]\n", family)
		if count == 0 {
			// Link-local addresses of IPv6 stay; of IPv4 there is nothing to do.
			s.WriteString(map[string]string{"ipv4": "method=disabled\n", "ipv6": "method=auto\n"}[family])
			continue
		}
		s.WriteString("method=manual\n" + lines.String())
		for _, g := range n.Gateways {
			if is(g) {
				fmt.Fprintf(&s, "gateway=%s\n", g)
			}
		}
		s.WriteString(keyfileDNS(dns, is))
	}
	return s.String()
}

func keyfileDNS(dns DNS, is func(netip.Addr) bool) string {
	var s strings.Builder
	list := func(key string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(&s, "%s=%s;\n", key, strings.Join(values, ";"))
		}
	}
	var servers []string
	for _, d := range dns.Servers {
		if is(d) {
			servers = append(servers, d.String())
		}
	}
	list("dns", servers)
	list("dns-search", dns.Search)
	return s.String()
}
