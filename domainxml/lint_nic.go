package domainxml

import (
	"slices"
	"strings"
)

var nicRules = []Rule{
	nicModel, nicBridge,
	nicFilter, nicFilterIPv6, nicFilterAddress, nicFilterIgnored,
	macDuplicate, macRange,
	vlanUnsupported, nicQueues, bandwidthOVS, nicTapName,
}

// nics returns the network cards of a domain that QEMU runs.
func (l *linter) nics() []id {
	if !l.qemu() {
		return nil
	}
	return l.all("interface")
}

// virtualport is how a NIC tells its switch who it is: "openvswitch", "" for
// Linux's own bridge.
func (l *linter) virtualport(n id) string { return l.deep(n, "type", "virtualport") }

// nicModel finds network cards that QEMU emulates register by register. Without a
// model, libvirt takes rtl8139 on x86 and ppc64.
//
// Source: https://libvirt.org/formatdomain.html#setting-the-nic-model,
// https://wiki.libvirt.org/Virtio.html, and libvirt 9.0 and 11.3,
// qemuDomainDefaultNetModel.
var nicModel = Rule{
	ID: "nic-model", Severity: SeverityWarning,
	Title:  "a network card that is emulated",
	Why:    "Each packet costs several exits to the host: an emulated card is a Ferrari with the handbrake on. Some guests' kernels have no driver for it at all.",
	Source: "https://libvirt.org/formatdomain.html#setting-the-nic-model",
	Fails:  `<devices><interface type='bridge'><source bridge='br0'/><model type='e1000'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			kind, model := l.kindOf(n, "user"), l.deep(n, "type", "model")
			switch {
			case strings.HasPrefix(model, "virtio"), kind == "hostdev", kind == "vdpa":
				continue
			case model == "spapr-vlan", model == "netfront":
				continue // made for guests, like virtio
			case model == "" && !l.x86() && !strings.HasPrefix(l.arch, "ppc64"):
				continue // other machines have virtio by default
			case model == "":
				model = "missing, which means rtl8139"
			}
			f := l.report(n, "the model is %s", model)
			f.Fix = []Edit{Set(l.path(n, "model/@type"), "virtio")}
			// Or else it would be nic-queues that is found next.
			if queues := l.queues(n); queues != "" && !slices.Contains(l.opts.Off, nicQueuesID) {
				f.Fix = append(f.Fix, Set(l.path(n, "driver/@queues"), queues))
			}
			f.Caution = "The guest needs a VirtIO driver, and its name for the card may change."
		}
	},
}

// offBridge says what a guest on a NIC of that type has to do without.
var offBridge = map[string]string{
	"user":     "each packet passes a process of the host, behind its address: nobody reaches the guest",
	"direct":   "the guest and its host cannot talk to each other, and no filter applies",
	"ethernet": "what the device is connected to is up to others",
	"server":   "the traffic goes through a socket, in the clear",
	"client":   "the traffic goes through a socket, in the clear",
	"mcast":    "the traffic goes through a socket, in the clear",
	"udp":      "the traffic goes through a socket, in the clear",
}

// nicBridge finds NICs that are not on a bridge. Those that pass by it on purpose
// and at full speed (hostdev, vhostuser, vdpa, macvtap on a card of its own) are
// none of them.
//
// Source: https://libvirt.org/formatdomain.html#network-interfaces: "userspace
// connection", "direct attachment to physical interface", "virtual network".
var nicBridge = Rule{
	ID: "nic-bridge", Severity: SeverityWarning,
	Title:  "a network card that is not on a bridge",
	Why:    "On a bridge the guest is a machine of its network, which it, the host and others reach at full speed.",
	Source: "https://libvirt.org/formatdomain.html#network-interfaces",
	Fails:  `<devices><interface type='user'><model type='virtio'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.nics() {
			kind := l.kindOf(n, "user")
			switch without := offBridge[kind]; {
			case l.deep(n, "mode", "source") == "passthrough": // a card of its own
			case without != "":
				f := l.report(n, "the type is %s: %s", kind, without)
				if kind == "ethernet" { // most often routed by what made the device
					f.Severity = SeverityInfo
				}
			case kind == "network" && !l.bridged(n):
				f := l.report(n, "the NIC is on libvirt's network %s, which is often behind the host's address", l.deep(n, "network", "source"))
				f.Severity = SeverityInfo
			}
		}
	},
}

// bridged says whether a NIC on a network of libvirt is known to be on a bridge
// that somebody else made: documents of running domains show it.
func (l *linter) bridged(n id) bool {
	bridge := l.deep(n, "bridge", "source")
	return bridge != "" && !strings.HasPrefix(bridge, "virbr") ||
		l.deep(n, "type", "actual") == "bridge" || l.virtualport(n) != ""
}
