package domainxml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// lintCase is what one rule says of a document: a finding per line, severity,
// path from the devices on, and message, of which the case has the beginning.
type lintCase struct {
	name, rule, doc string
	opts            domainxml.LintOptions
	want            []string
}

func runLintCases(t *testing.T, cases []lintCase) {
	t.Helper()
	known := map[string]bool{}
	for _, r := range domainxml.Rules() {
		known[r.ID] = true
	}
	for _, c := range cases {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			require.True(t, known[c.rule])
			var got []string
			for _, f := range lint(t, example(c.doc), c.rule, c.opts) {
				at := strings.TrimPrefix(strings.TrimPrefix(f.Path, "/domain"), "/devices/")
				got = append(got, fmt.Sprintf("%s %s: %s", f.Severity, at, f.Message))
			}
			require.Len(t, got, len(c.want), "%q", got)
			for i, want := range c.want {
				require.True(t, strings.HasPrefix(got[i], want), "%q is not %q", got[i], want)
			}
		})
	}
}

// nic is a domain with a NIC of a type, and what is in it.
func nic(kind, inner string) string {
	return "<devices><interface type='" + kind + "'>" + inner + "</interface></devices>"
}

const (
	ovs    = "<virtualport type='openvswitch'/>"
	virtio = "<model type='virtio'/>"
	tag    = "<vlan><tag id='42'/></vlan>"
	clean  = "<filterref filter='clean-traffic'/>"
)

func TestNICRules(t *testing.T) {
	const warning = "warning interface: "
	xen := func(doc string) string { return "<domain type='xen'>" + doc + "</domain>" }
	arch := func(name, doc string) string { return "<os><type arch='" + name + "'>hvm</type></os>" + doc }
	runLintCases(t, []lintCase{
		{name: "missing", rule: "nic-model", doc: nic("bridge", ""), want: []string{warning + "the model is missing, which means rtl8139"}},
		{name: "missing on ppc64le", rule: "nic-model", doc: arch("ppc64le", nic("bridge", "")), want: []string{warning}},
		{name: "missing on aarch64", rule: "nic-model", doc: arch("aarch64", nic("bridge", ""))},
		{name: "missing on vdpa", rule: "nic-model", doc: nic("vdpa", "")},
		{name: "hostdev", rule: "nic-model", doc: nic("hostdev", "")},
		{name: "usb", rule: "nic-model", doc: nic("bridge", "<model type='usb-net'/>"), want: []string{warning}},
		{name: "pseries", rule: "nic-model", doc: nic("bridge", "<model type='spapr-vlan'/>")},
		{name: "transitional", rule: "nic-model", doc: nic("bridge", "<model type='virtio-transitional'/>")},
		{name: "xen", rule: "nic-model", doc: xen(nic("bridge", ""))},

		{name: "direct", rule: "nic-bridge", doc: nic("direct", ""), want: []string{warning + "the type is direct: the guest and its host"}},
		{name: "passt", rule: "nic-bridge", doc: nic("user", "<backend type='passt'/>"), want: []string{warning + "the type is user"}},
		{name: "mcast", rule: "nic-bridge", doc: nic("mcast", ""), want: []string{warning}},
		{name: "ethernet", rule: "nic-bridge", doc: nic("ethernet", ""), want: []string{"info interface: "}},
		{name: "network", rule: "nic-bridge", doc: nic("network", "<source network='default'/>"), want: []string{"info interface: the NIC is on libvirt's network default"}},
		{name: "network of NAT", rule: "nic-bridge", doc: nic("network", "<source network='default' bridge='virbr0'/>"), want: []string{"info"}},
		{name: "network of a bridge", rule: "nic-bridge", doc: nic("network", "<source network='lan' bridge='br0'/>")},
		{name: "actual bridge", rule: "nic-bridge", doc: nic("network", "<source network='lan'/><actual type='bridge'/>")},
		{name: "network of Open vSwitch", rule: "nic-bridge", doc: nic("network", "<source network='lan'/>"+ovs)},
		{name: "card", rule: "nic-bridge", doc: nic("direct", "<source dev='eth0' mode='passthrough'/>")},
		{name: "hostdev", rule: "nic-bridge", doc: nic("hostdev", "")},
		{name: "vhostuser", rule: "nic-bridge", doc: nic("vhostuser", "")},
		{name: "vdpa", rule: "nic-bridge", doc: nic("vdpa", "")},
		{name: "xen", rule: "nic-bridge", doc: xen(nic("user", ""))},

		{name: "network", rule: "nic-filter", doc: nic("network", "<source network='default'/>"), want: []string{warning}},
		{name: "Open vSwitch", rule: "nic-filter", doc: nic("bridge", ovs)},
		{name: "direct", rule: "nic-filter", doc: nic("direct", "")},
		{name: "any filter", rule: "nic-filter", doc: nic("bridge", "<filterref filter='mine'/>")},

		{name: "gateway", rule: "nic-filter-ipv6", doc: nic("network", "<filterref filter='clean-traffic-gateway'/>"), want: []string{warning + "the filter is clean-traffic-gateway"}},
		{name: "own filter", rule: "nic-filter-ipv6", doc: nic("bridge", "<filterref filter='mine'/>")},
		{name: "without effect", rule: "nic-filter-ipv6", doc: nic("direct", clean)},
		{name: "Open vSwitch", rule: "nic-filter-ipv6", doc: nic("bridge", ovs+clean)},

		{name: "DHCP", rule: "nic-filter-address", doc: nic("bridge", "<filterref filter='clean-traffic'><parameter name='CTRL_IP_LEARNING' value='dhcp'/></filterref>")},
		{name: "any", rule: "nic-filter-address", doc: nic("bridge", "<filterref filter='no-ip-spoofing'><parameter name='CTRL_IP_LEARNING' value='any'/></filterref>"), want: []string{warning}},
		{name: "MAC only", rule: "nic-filter-address", doc: nic("bridge", "<filterref filter='no-mac-spoofing'/>")},

		{name: "Open vSwitch", rule: "nic-filter-ignored", doc: nic("bridge", ovs+clean), want: []string{warning + "the filter clean-traffic has no effect on a NIC on Open vSwitch"}},
		{name: "user", rule: "nic-filter-ignored", doc: nic("user", clean), want: []string{warning}},
		{name: "vhostuser", rule: "nic-filter-ignored", doc: nic("vhostuser", clean), want: []string{warning}},
		{name: "network", rule: "nic-filter-ignored", doc: nic("network", clean)},
		{name: "ethernet", rule: "nic-filter-ignored", doc: nic("ethernet", clean)},
		{name: "none", rule: "nic-filter-ignored", doc: nic("direct", "")},
	})
}

func TestNICPortRules(t *testing.T) {
	at := func(version uint64) domainxml.LintOptions { return domainxml.LintOptions{Libvirt: version} }
	queues := func(domain, cpus, kind, inner string) string {
		return "<domain type='" + domain + "'><vcpu>" + cpus + "</vcpu>" + nic(kind, inner) + "</domain>"
	}
	tap := func(name string) string { return "<target dev='" + name + "'/>" }
	rate := func(average, peak string) string {
		return "<bandwidth><outbound average='" + average + "' peak='" + peak + "'/></bandwidth>"
	}
	runLintCases(t, []lintCase{
		{name: "unknown libvirt", rule: "vlan-unsupported", doc: nic("bridge", tag), want: []string{"warning interface: there is a VLAN on a Linux bridge"}},
		{name: "old libvirt", rule: "vlan-unsupported", doc: nic("bridge", tag), opts: at(10_999_000), want: []string{"error interface: "}},
		{name: "new libvirt", rule: "vlan-unsupported", doc: nic("bridge", tag), opts: at(11_000_000)},
		{name: "user", rule: "vlan-unsupported", doc: nic("user", tag), opts: at(12_000_000), want: []string{"error interface: "}},
		{name: "ethernet", rule: "vlan-unsupported", doc: nic("ethernet", tag), want: []string{"error interface: "}},
		{name: "macvtap", rule: "vlan-unsupported", doc: nic("direct", "<source dev='eth0' mode='bridge'/>"+tag), want: []string{"error interface: "}},
		{name: "other switch", rule: "vlan-unsupported", doc: nic("bridge", "<virtualport type='midonet'/>"+tag), opts: at(12_000_000), want: []string{"error interface: "}},
		{name: "passthrough", rule: "vlan-unsupported", doc: nic("direct", "<source dev='eth0' mode='passthrough'/>"+tag)},
		{name: "SR-IOV", rule: "vlan-unsupported", doc: nic("hostdev", tag)},
		{name: "network", rule: "vlan-unsupported", doc: nic("network", tag)},
		{name: "no VLAN", rule: "vlan-unsupported", doc: nic("user", "")},

		{name: "one CPU", rule: "nic-queues", doc: queues("kvm", "1", "bridge", virtio)},
		{name: "two CPUs", rule: "nic-queues", doc: queues("kvm", " 2\n", "network", virtio), want: []string{"info interface: the NIC has one queue, and the guest up to 2 CPUs"}},
		{name: "no KVM", rule: "nic-queues", doc: queues("qemu", "4", "bridge", virtio)},
		{name: "emulated", rule: "nic-queues", doc: queues("kvm", "4", "bridge", "<model type='e1000'/>")},
		{name: "no tap", rule: "nic-queues", doc: queues("kvm", "4", "user", virtio)},
		{name: "tap of others", rule: "nic-queues", doc: queues("kvm", "4", "ethernet", virtio)},
		{name: "no vhost", rule: "nic-queues", doc: queues("kvm", "4", "bridge", virtio+"<driver name='qemu'/>")},
		{name: "no CPUs", rule: "nic-queues", doc: nic("bridge", virtio)},

		{name: "outbound", rule: "bandwidth-ovs", doc: nic("bridge", ovs+rate("1", "2")), want: []string{"warning interface/bandwidth/outbound: the peak is 2, and the average 1"}},
		{name: "Linux bridge", rule: "bandwidth-ovs", doc: nic("bridge", rate("1", "2"))},
		{name: "no peak", rule: "bandwidth-ovs", doc: nic("bridge", ovs+"<bandwidth><inbound average='1'/><outbound average='1'/></bandwidth>"), want: []string{"warning interface/bandwidth/inbound: the peak is not said"}},
		{name: "floor only", rule: "bandwidth-ovs", doc: nic("bridge", ovs+"<bandwidth><inbound floor='1'/></bandwidth>")},

		{name: "macvtap", rule: "nic-tap-name", doc: nic("direct", tap("macvtap0")), want: []string{"info interface: libvirt drops the name macvtap0"}},
		{name: "long", rule: "nic-tap-name", doc: nic("bridge", tap("abcdefghijklmnop")), want: []string{"error interface: the name abcdefghijklmnop has more than 15"}},
		{name: "15 characters", rule: "nic-tap-name", doc: nic("bridge", tap("abcdefghijklmno"))},
		{name: "running", rule: "nic-tap-name", doc: "<domain type='kvm' id='3'>" + nic("bridge", tap("vnet3")) + "</domain>"},
		{name: "tap of others", rule: "nic-tap-name", doc: nic("ethernet", "<target dev='vnet3' managed='no'/>")},
		{name: "no tap", rule: "nic-tap-name", doc: nic("vhostuser", tap("vnet-of-open-vswitch"))},
		{name: "template", rule: "nic-tap-name", doc: nic("bridge", tap("web%d"))},
	})
}

func TestMACRules(t *testing.T) {
	mac := func(address string) string { return "<mac address='" + address + "'/>" }
	two := func(a, b string) string {
		return "<devices><interface type='bridge'>" + a + "</interface><interface type='bridge'>" + b + "</interface></devices>"
	}
	runLintCases(t, []lintCase{
		{name: "case and zeros", rule: "mac-duplicate", doc: two(mac("52:54:00:AA:00:01"), mac("52:54:0:aa:0:1")), want: []string{"error interface[mac/@address='52:54:0:aa:0:1']: another NIC has"}},
		{name: "failover", rule: "mac-duplicate", doc: two(mac("52:54:00:aa:00:01")+"<teaming type='persistent'/>", mac("52:54:00:aa:00:01")+"<teaming type='transient' persistent='ua-a'/>")},
		{name: "none", rule: "mac-duplicate", doc: two("", "")},

		{name: "libvirt", rule: "mac-range", doc: nic("bridge", mac("52:54:00:00:00:01"))},
		{name: "local", rule: "mac-range", doc: nic("bridge", mac("02:00:00:00:00:01"))},
		{name: "Xen", rule: "mac-range", doc: nic("bridge", mac("00:16:3E:00:00:01")), want: []string{"info interface: the MAC address 00:16:3E:00:00:01 is of the range of Xen"}},
		{name: "VirtualBox", rule: "mac-range", doc: nic("bridge", mac("08:00:27:00:00:01")), want: []string{"info interface: the MAC address 08:00:27:00:00:01 is of the range of VirtualBox"}},
		{name: "vendor", rule: "mac-range", doc: nic("bridge", mac("00:1b:21:00:00:01")), want: []string{"warning interface: the MAC address 00:1b:21:00:00:01 is of the range of a vendor"}},
		{name: "multicast", rule: "mac-range", doc: nic("bridge", mac("01:00:5e:00:00:01")), want: []string{"error interface: the MAC address 01:00:5e:00:00:01 is a multicast one"}},
		{name: "broadcast", rule: "mac-range", doc: nic("bridge", mac("ff:ff:ff:ff:ff:ff")), want: []string{"error interface: "}},
		{name: "zeros", rule: "mac-range", doc: nic("bridge", mac("00:00:00:00:00:00")), want: []string{"error interface: the MAC address is all zeros"}},
		{name: "dashes", rule: "mac-range", doc: nic("bridge", mac("52-54-00-00-00-01")), want: []string{"error interface: the MAC address is none that libvirt can read"}},
		{name: "too long", rule: "mac-range", doc: nic("bridge", mac("052:54:00:00:00:01")), want: []string{"error interface: "}},
		{name: "card of the host", rule: "mac-range", doc: nic("hostdev", mac("00:1b:21:00:00:01"))},
		{name: "macvtap of a card", rule: "mac-range", doc: nic("direct", mac("00:1b:21:00:00:01")+"<source dev='eth0' mode='passthrough'/>")},
		{name: "xen", rule: "mac-range", doc: "<domain type='xen'>" + nic("bridge", mac("00:16:3e:00:00:01")) + "</domain>"},
	})
}

func TestNICFilterFix(t *testing.T) {
	doc := example(nic("bridge", clean))
	require.Empty(t, lint(t, doc, "nic-filter-ipv6", domainxml.LintOptions{})[0].Fix)
	require.Empty(t, lint(t, doc, "nic-filter-ipv6", domainxml.LintOptions{Filter: "no-other-l2-traffic"})[0].Fix)
	fix := lint(t, doc, "nic-filter-ipv6", domainxml.LintOptions{Filter: "mine"})[0].Fix
	require.Equal(t, []domainxml.Edit{domainxml.Set("/domain/devices/interface/filterref/@filter", "mine")}, fix)
	doc = example(nic("bridge", ""))
	fix = lint(t, doc, "nic-filter", domainxml.LintOptions{Filter: "mine"})[0].Fix
	require.Equal(t, []domainxml.Edit{domainxml.Set("/domain/devices/interface/filterref/@filter", "mine")}, fix)
}

func TestNICQueuesFix(t *testing.T) {
	doc := example("<vcpu current='1'>64</vcpu>" + nic("bridge", virtio))
	require.Equal(t, "8", lint(t, doc, "nic-queues", domainxml.LintOptions{})[0].Fix[0].Value)
	// A card that becomes a virtio one gets them at once.
	doc = example("<vcpu>4</vcpu>" + nic("bridge", ""))
	require.Len(t, lint(t, doc, "nic-model", domainxml.LintOptions{})[0].Fix, 2)
	require.Len(t, lint(t, doc, "nic-model", domainxml.LintOptions{Off: []string{"nic-queues"}})[0].Fix, 1)
}
