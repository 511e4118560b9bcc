package domainxml

import "slices"

// nicFilter finds NICs on which a guest may use each other's addresses.
//
// Source: https://libvirt.org/formatnwfilter.html#example-filters
var nicFilter = Rule{
	ID: "nic-filter", Severity: SeverityWarning,
	Title:  "no filter against spoofed addresses",
	Why:    "The guest can take its neighbours' MAC and IP addresses, and their traffic with them.",
	Source: "https://libvirt.org/formatnwfilter.html",
	Fails:  `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='no-mac-spoofing'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			kind := l.kindOf(n, "user")
			if kind != "bridge" && kind != "network" || l.virtualport(n) != "" || l.deep(n, "filter", "filterref") != "" {
				continue
			}
			filter := l.opts.Filter
			if filter == "" {
				filter = "no-mac-spoofing"
			}
			f := l.report(n, "there is no filter on the NIC")
			f.Fix = []Edit{Set(l.path(n, "filterref/@filter"), filter)}
			f.Caution = "The filter has to exist on the host. A guest with addresses of its own behind the NIC, of containers or of nested guests, loses them."
		}
	},
}

// filter is the name of a NIC's filter that has an effect, or "". libvirt reads
// filterref of these types only; and it filters with ebtables, which do not see
// what Open vSwitch forwards.
func (l *linter) filter(n id) string {
	switch l.kindOf(n, "user") {
	case "bridge", "network", "ethernet":
		if l.virtualport(n) != "openvswitch" {
			return l.deep(n, "filter", "filterref")
		}
	}
	return ""
}

// ipv4Only are the filters of libvirt that end in no-other-l2-traffic: they let
// ARP and IPv4 through.
var ipv4Only = []string{"clean-traffic", "clean-traffic-gateway", "no-other-l2-traffic"}

// nicFilterIPv6 finds filters that drop all IPv6.
//
// Source: https://libvirt.org/formatnwfilter.html#example-filters, and libvirt
// 9.0, src/nwfilter/xml/clean-traffic.xml and no-other-l2-traffic.xml. Measured
// with libvirt 9.0.
var nicFilterIPv6 = Rule{
	ID: "nic-filter-ipv6", Severity: SeverityWarning,
	Title:  "a filter that drops all IPv6",
	Why:    "The filter lets ARP and IPv4 through and nothing else: the guest has no IPv6, and no error says why.",
	Source: "https://libvirt.org/formatnwfilter.html#example-filters",
	Fails:  `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.7'/></filterref></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='no-mac-spoofing'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			filter := l.filter(n)
			if !slices.Contains(ipv4Only, filter) {
				continue
			}
			f := l.report(n, "the filter is %s", filter)
			if l.opts.Filter != "" && !slices.Contains(ipv4Only, l.opts.Filter) {
				f.Fix = []Edit{Set(l.path(n, "filterref/@filter"), l.opts.Filter)}
				f.Caution = "The filter has to exist on the host. A rule that the old one had and the new one lacks no longer applies."
			}
		}
	},
}

// ipFilters are the filters of libvirt that hold a guest to the address in $IP.
var ipFilters = []string{
	"clean-traffic", "clean-traffic-gateway", "no-ip-spoofing", "no-arp-spoofing", "no-arp-ip-spoofing",
}

// nicFilterAddress finds filters against foreign addresses that nobody told the
// guest's own.
//
// Source: https://libvirt.org/formatnwfilter.html#automatic-ip-address-detection
var nicFilterAddress = Rule{
	ID: "nic-filter-address", Severity: SeverityWarning,
	Title:  "a filter on addresses that is not told the guest's",
	Why:    "libvirt takes for the guest's address the first one that it uses: the guest chooses, and may choose its neighbour's.",
	Source: "https://libvirt.org/formatnwfilter.html#automatic-ip-address-detection",
	Fails:  `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='clean-traffic'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.7'/></filterref></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			// Learned from DHCP the address is the server's choice, and with "none"
			// libvirt does not start the guest without one.
			known := func(p id) bool {
				name, value := l.get(p, "name"), l.get(p, "value")
				return name == "IP" || name == "CTRL_IP_LEARNING" && value != "any"
			}
			filter := l.filter(n)
			if !slices.Contains(ipFilters, filter) {
				continue
			}
			if !slices.ContainsFunc(l.children(l.child(n, "filterref"), "parameter"), known) {
				l.report(n, "the filter %s has no parameter IP", filter)
			}
		}
	},
}

// nicFilterIgnored finds filters without effect.
//
// Source: https://libvirt.org/formatnwfilter.html, and libvirt 9.0, domain_conf.c,
// virDomainNetDefParseXML: a filterref of other types than these is not read.
// Tested with libvirt 9.0.
var nicFilterIgnored = Rule{
	ID: "nic-filter-ignored", Severity: SeverityWarning,
	Title:  "a filter where none applies",
	Why:    "The NIC looks filtered and is not: libvirt filters with ebtables on its own taps, which see nothing of Open vSwitch, macvtap, or cards handed through.",
	Source: "https://libvirt.org/formatnwfilter.html",
	Fails:  `<devices><interface type='direct'><source dev='eth0' mode='bridge'/><model type='virtio'/><filterref filter='clean-traffic'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><filterref filter='no-mac-spoofing'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			name := l.deep(n, "filter", "filterref")
			if name == "" || l.filter(n) != "" {
				continue
			}
			where := "of type " + l.kindOf(n, "user")
			if l.virtualport(n) == "openvswitch" {
				where = "on Open vSwitch"
			}
			l.report(n, "the filter %s has no effect on a NIC %s", name, where)
		}
	},
}
