package domainxml

import (
	"strconv"
	"strings"
)

// parseMAC reads an address as libvirt does: six bytes in hexadecimal, with colons.
func parseMAC(text string) (mac [6]byte, ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) != len(mac) {
		return mac, false
	}
	for i, part := range parts {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil || len(part) > 2 {
			return mac, false
		}
		mac[i] = byte(b)
	}
	return mac, true
}

// ownMACs returns the NICs whose address is said, and is theirs to choose: a card
// of the host has its own, and a pair for failover shares one.
func (l *linter) ownMACs() (list []id) {
	for _, n := range l.nics() {
		host := l.kindOf(n, "user") == "hostdev" || l.deep(n, "mode", "source") == "passthrough"
		if !host && l.child(n, "teaming") == 0 && l.deep(n, "address", "mac") != "" {
			list = append(list, n)
		}
	}
	return list
}

// newMAC is the fix that has libvirt make an address.
func (l *linter) newMAC(f *Finding, n id) {
	f.Fix = []Edit{Remove(l.path(n, "mac"))}
	f.Caution = "libvirt makes an address. Guests that know the card by its address, and DHCP servers with a reservation for it, have to be told."
}

// macDuplicate finds NICs of one guest with one address. libvirt does not mind.
//
// Source: https://libvirt.org/formatdomain.html#network-interfaces. Tested with
// libvirt 9.0.
var macDuplicate = Rule{
	ID: "mac-duplicate", Severity: SeverityError,
	Title:  "two network cards with one MAC address",
	Why:    "The bridge sends what is for one card to the other, by turns: connections stall. Guests that name cards by their address mix them up.",
	Source: "https://libvirt.org/formatdomain.html#network-interfaces",
	Fails:  `<devices><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br1'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface><interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br1'/></interface></devices>`,
	check: func(l *linter) {
		seen := map[[6]byte]bool{{}: true} // not the one that is no address
		for _, n := range l.ownMACs() {
			mac, ok := parseMAC(l.deep(n, "address", "mac"))
			if ok && mac != [6]byte{} && seen[mac] {
				l.newMAC(l.report(n, "another NIC has the address %s too", l.deep(n, "address", "mac")), n)
			}
			seen[mac] = true
		}
	},
}

// vendors are those of other hypervisors, by the first half of their addresses.
var vendors = map[[3]byte]string{
	{0x00, 0x16, 0x3e}: "Xen",
	{0x00, 0x50, 0x56}: "VMware",
	{0x00, 0x0c, 0x29}: "VMware",
	{0x00, 0x05, 0x69}: "VMware",
	{0x00, 0x1c, 0x14}: "VMware",
	{0x08, 0x00, 0x27}: "VirtualBox",
	{0x00, 0x15, 0x5d}: "Hyper-V",
	{0xbc, 0x24, 0x11}: "Proxmox",
	{0x00, 0x1a, 0x4a}: "oVirt",
}

// macRange finds addresses that are not for everyone to give out. Those are local
// that have the second bit of the first byte set, like libvirt's 52:54:00.
//
// Source: https://libvirt.org/formatdomain.html#network-interfaces, RFC 9542 2.1
// (unicast, and the local bit), and libvirt 9.0, domain_conf.c: "expected unicast
// mac address, found multicast".
var macRange = Rule{
	ID: "mac-range", Severity: SeverityWarning,
	Title:  "a MAC address that is not a local one",
	Why:    "The address belongs to a vendor, who may have given it to a card in the same network.",
	Source: "https://www.rfc-editor.org/rfc/rfc9542#section-2.1",
	Fails:  `<devices><interface type='bridge'><mac address='00:1b:21:00:00:01'/><source bridge='br0'/></interface></devices>`,
	Passes: `<devices><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface></devices>`,
	check: func(l *linter) {
		for _, n := range l.ownMACs() {
			text := l.deep(n, "address", "mac")
			switch mac, ok := parseMAC(text); {
			case !ok:
				l.wrongMAC(n, "the MAC address is none that libvirt can read", "libvirt refuses the domain.")
			case mac == [6]byte{}:
				l.wrongMAC(n, "the MAC address is all zeros", "QEMU puts in one of its own: the same for all guests.")
			case mac[0]&1 != 0:
				l.wrongMAC(n, "the MAC address "+text+" is a multicast one", "libvirt refuses the domain.")
			case mac[0]&2 == 0:
				if name := vendors[[3]byte(mac[:3])]; name != "" {
					f := l.report(n, "the MAC address %s is of the range of %s", text, name)
					f.Severity = SeverityInfo
					f.Why = "Hosts of " + name + " in the same network may give out the same address."
					continue
				}
				l.newMAC(l.report(n, "the MAC address %s is of the range of a vendor", text), n)
			}
		}
	},
}

func (l *linter) wrongMAC(n id, message, why string) {
	f := l.report(n, "%s", message)
	f.Severity, f.Why = SeverityError, why
	l.newMAC(f, n)
}
