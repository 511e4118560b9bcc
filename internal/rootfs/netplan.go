package rootfs

import "encoding/json"

// netplan is https://netplan.readthedocs.io/en/stable/netplan-yaml/, where what is said of
// the same interface in several files is one: the image's DHCP is switched off in
// words. JSON is YAML.
func netplan(nics []link, dns DNS) []byte {
	ethernets := map[string]any{}
	for _, n := range nics {
		e := map[string]any{"dhcp4": false, "dhcp6": false, "addresses": n.Addresses}
		if n.MTU != 0 {
			e["mtu"] = n.MTU
		}
		var routes []any
		for _, r := range n.routes {
			m := map[string]any{"to": r.to(), "via": r.via}
			if r.onLink {
				m["on-link"] = true
			}
			if r.metric > 0 {
				m["metric"] = r.metric
			}
			routes = append(routes, m)
		}
		if routes != nil {
			e["routes"] = routes
		}
		if servers := map[string]any{}; len(dns.Servers)+len(dns.Search) > 0 {
			if len(dns.Servers) > 0 {
				servers["addresses"] = dns.Servers
			}
			if len(dns.Search) > 0 {
				servers["search"] = dns.Search
			}
			e["nameservers"] = servers
		}
		ethernets[n.Name] = e
	}
	text, err := json.MarshalIndent(map[string]any{"network": map[string]any{"version": 2, "ethernets": ethernets}}, "", "  ")
	if err != nil {
		panic("rootfs: " + err.Error()) // all of it has a JSON form
	}
	return append(text, '\n')
}
