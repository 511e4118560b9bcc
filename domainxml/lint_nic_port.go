package domainxml

import (
	"slices"
	"strconv"
	"strings"
)

// bridgeVLANs is the first libvirt that gives ports of Linux bridges a VLAN.
const bridgeVLANs = 11_000_000

// vlanUnsupported finds tags that libvirt refuses when the guest is started. On a
// network of libvirt it depends on that; cards of the host have their own VLANs.
//
// Source: https://libvirt.org/formatdomain.html#setting-vlan-tag-on-supported-network-types-only,
// https://libvirt.org/news.html (11.0.0), and libvirt 9.0 and 11.3,
// domain_validate.c, virDomainActualNetDefValidate.
var vlanUnsupported = Rule{
	ID: "vlan-unsupported", Severity: SeverityWarning,
	Title:  "a VLAN tag where libvirt knows none",
	Why:    "libvirt does not start the guest: vlan tag not supported for this connection type. It knows tags on Open vSwitch, on SR-IOV, and from 11.0 on Linux bridges that filter by VLAN.",
	Source: "https://libvirt.org/formatdomain.html#setting-vlan-tag-on-supported-network-types-only",
	Fails:  `<devices><interface type='bridge'><source bridge='br0'/><vlan><tag id='42'/></vlan><model type='virtio'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='ovsbr0'/><vlan><tag id='42'/></vlan><virtualport type='openvswitch'/><model type='virtio'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			if l.child(n, "vlan") == 0 {
				continue
			}
			switch kind := l.kindOf(n, "user"); {
			case kind == "network", kind == "hostdev":
			case kind == "direct" && l.deep(n, "mode", "source") == "passthrough":
			case kind == "bridge" && l.virtualport(n) == "openvswitch":
			case kind != "bridge", l.virtualport(n) != "":
				l.report(n, "there is a VLAN on a NIC of type %s", kind).Severity = SeverityError
			case l.opts.Libvirt == 0:
				l.report(n, "there is a VLAN on a Linux bridge, which libvirt knows from 11.0")
			case l.opts.Libvirt < bridgeVLANs:
				l.report(n, "there is a VLAN on a Linux bridge, which this libvirt does not know").Severity = SeverityError
			}
		}
	},
}

const nicQueuesID = "nic-queues"

// maxQueues bounds what is proposed: each pair is a thread and 64 KiB on the host.
const maxQueues = 8

// nicQueues finds NICs of one queue in guests of several CPUs. QEMU has more than
// one on taps only, and only what the host's kernel runs (vhost) gains by them.
// The driver's name is left alone: libvirt takes vhost wherever there is one.
//
// Source: https://libvirt.org/formatdomain.html#setting-nic-driver-specific-options
// (queues), and Red Hat, Virtualization Tuning and Optimization Guide, 5.4.2.
var nicQueues = Rule{
	ID: nicQueuesID, Severity: SeverityInfo,
	Title:  "one queue for all CPUs",
	Why:    "One CPU of the guest, and one thread of the host, does the work for all connections of the NIC.",
	Source: "https://libvirt.org/formatdomain.html#setting-nic-driver-specific-options",
	Fails:  `<vcpu>4</vcpu><devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface></devices>`,
	Passes: `<vcpu>4</vcpu><devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/><driver queues='4'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			queues := l.queues(n)
			if queues == "" || !strings.HasPrefix(l.deep(n, "type", "model"), "virtio") {
				continue
			}
			f := l.report(n, "the NIC has one queue, and the guest up to %d CPUs", l.cpus)
			f.Fix = []Edit{Set(l.path(n, "driver/@queues"), queues)}
			f.Caution = "The guest sees another device: after a full stop only. A domain whose queues changed does not migrate to or from, or resume, with the old number; libvirt checks that from 11.4."
		}
	},
}

// queues is how many a virtio NIC here should have and does not, or "".
func (l *linter) queues(n id) string {
	cpus := l.cpus
	tap := slices.Contains([]string{"bridge", "network", "direct"}, l.kindOf(n, "user"))
	if l.kind != "kvm" || cpus < 2 || !tap || l.deep(n, "queues", "driver") != "" || l.deep(n, "name", "driver") == "qemu" {
		return ""
	}
	return strconv.Itoa(min(cpus, maxQueues))
}

// bandwidthOVS finds limits that Open vSwitch does not keep. To the guest, libvirt
// makes the average a minimum and the peak the maximum: without one there is
// none but Open vSwitch's own. From the guest, it knows the average only.
//
// Source: libvirt 11.3, virnetdevopenvswitch.c: "Setting different 'peak' value
// than 'average' for QoS for OVS interface might have unexpected results" (a
// warning since 10.10), and ovs-vswitchd.conf.db(5), linux-htb.
var bandwidthOVS = Rule{
	ID: "bandwidth-ovs", Severity: SeverityWarning,
	Title:  "a bandwidth that Open vSwitch does not keep",
	Why:    "Open vSwitch has no average with peaks: it holds the traffic to the guest to the peak alone, and that from the guest to the average alone.",
	Source: "https://www.openvswitch.org/support/dist-docs/ovs-vswitchd.conf.db.5.html",
	Fails:  `<devices><interface type='bridge'><source bridge='ovsbr0'/><virtualport type='openvswitch'/><model type='virtio'/><bandwidth><inbound average='1000' peak='5000'/></bandwidth></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='ovsbr0'/><virtualport type='openvswitch'/><model type='virtio'/><bandwidth><inbound average='1000' peak='1000'/></bandwidth></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			if l.virtualport(n) != "openvswitch" {
				continue
			}
			for _, way := range []string{"inbound", "outbound"} {
				average, peak := l.deep(n, "average", "bandwidth", way), l.deep(n, "peak", "bandwidth", way)
				if average == "" || peak == average || peak == "" && way == "outbound" {
					continue
				}
				if peak == "" {
					peak = "not said"
				}
				f := l.report(l.down(n, "bandwidth", way), "the peak is %s, and the average %s", peak, average)
				f.Fix = []Edit{Set(l.path(n, "bandwidth/"+way+"/@peak"), average)}
				f.Caution = "The average is the limit then."
			}
		}
	},
}

// generated are how the names begin that libvirt gives out itself.
var generated = []string{"vnet", "macvtap", "macvlan"}

// maxDevice is the longest name of a device in Linux: IFNAMSIZ less its end.
const maxDevice = 15

// nicTapName finds names of host devices that libvirt drops, or that Linux
// refuses. In documents of running guests, and in those of snapshots and other
// states, libvirt's own names stand as well.
//
// Source: https://libvirt.org/formatdomain.html#overriding-the-target-element, and
// libvirt 9.0, domain_conf.c, virDomainNetDefParseXML. Tested with libvirt 9.0.
var nicTapName = Rule{
	ID: "nic-tap-name", Severity: SeverityInfo,
	Title:  "a name of a host device that is not kept",
	Why:    "libvirt drops names that begin like its own, and takes another one at each start: rules of the host for that name miss.",
	Source: "https://libvirt.org/formatdomain.html#overriding-the-target-element",
	Fails:  `<devices><interface type='bridge'><source bridge='br0'/><target dev='vnet7'/><model type='virtio'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><target dev='web1-0'/><model type='virtio'/></interface></devices>`,
	check: func(l *linter) {
		if _, running := l.attr(l.root, "id"); running || l.root != 0 {
			return
		}
		for _, n := range l.nics() {
			dev := l.deep(n, "dev", "target")
			own := func(prefix string) bool { return strings.HasPrefix(dev, prefix) }
			switch kind := l.kindOf(n, "user"); {
			case !slices.Contains([]string{"bridge", "network", "direct", "ethernet"}, kind):
			case len(dev) > maxDevice:
				f := l.report(n, "the name %s has more than %d characters", dev, maxDevice)
				f.Severity, f.Why = SeverityError, "Linux knows no longer names: the guest does not start."
			case l.deep(n, "managed", "target") == "no": // made by others, and kept
			case slices.ContainsFunc(generated, own):
				f := l.report(n, "libvirt drops the name %s", dev)
				f.Fix = []Edit{Remove(l.path(n, "target"))}
			}
		}
	},
}
