package hostnet

import (
	"errors"
	"fmt"
	"strings"
)

// Prelude is the text that stands once, before all fragments: functions for them. The
// caller sets PATH and the shell's options before it, for any POSIX shell:
//
//	#!/bin/sh
//	set -eu
//	PATH=/usr/sbin:/usr/bin:/sbin:/bin
//
// A fragment of [NIC.Up] ends the shell with status 1 at the first command that
// fails, after a line on standard error that names the NIC.
const Prelude = `hostnet_fail() {
	printf 'provision: %s: %s\n' "$hostnet_nic" "$1" >&2
	exit 1
}
hostnet_need() {
	for hostnet_tool; do
		command -v "$hostnet_tool" >/dev/null || hostnet_fail "the command $hostnet_tool is not installed"
	done
}
# The directory is that of the caller's own network namespace.
hostnet_device() { [ -e "/proc/sys/net/ipv4/conf/$1" ]; }
hostnet_table() { command -v nft >/dev/null && nft list table netdev "$1" >/dev/null 2>&1; }
hostnet_chain() { command -v nft >/dev/null && nft list chain netdev "$1" "$2" >/dev/null 2>&1; }
`

// Up is the fragment for a port that has just been made. Run again it changes
// nothing, and after a change of the NIC it replaces what it made before; the
// guest's other NICs are left alone. It needs ip, tc with a rate, nft with a filter or
// a rate of Out, and bridge with a VLAN. The rules come as early as they can:
// whatever fails after them, no frame passes unchecked.
func (n *NIC) Up() (string, error) {
	if err := n.Check(); err != nil {
		return "", err
	}
	s := begin(n)
	s.tools(n)
	s.out(n)
	s.rules(n)
	s.port(n)
	s.in(n)
	s.vlan(n)
	return s.String(), nil
}

// Down is the fragment that removes what the fragments of a guest's NICs made, also
// where only a part of it is there. It goes on where something fails, and ends the
// shell with status 1 then.
func Down(nics ...*NIC) (string, error) {
	if len(nics) == 0 {
		return "", errors.New("no NIC to take down")
	}
	s := begin(nics[0])
	s.line("hostnet_need ip\nhostnet_status=0")
	t := Table(nics[0].Guest)
	for _, n := range nics {
		if err := n.Check(); err != nil {
			return "", err
		}
		if Table(n.Guest) != t {
			return "", fmt.Errorf("%w: NICs of several guests", ErrInvalid)
		}
		for _, dev := range []string{n.Device(), n.shaper()} {
			// A device also goes by itself, with the network namespace of its peer.
			s.line("! hostnet_device %[1]s || ip link delete dev %[1]s || ! hostnet_device %[1]s || hostnet_status=1", dev)
		}
	}
	s.line("! command -v nft >/dev/null || nft delete table netdev %[1]s 2>/dev/null || ! hostnet_table %[1]s || hostnet_status=1", t)
	s.line(`[ "$hostnet_status" = 0 ] || hostnet_fail 'not all of its rules and devices could be removed'`)
	return s.String(), nil
}

// script is a fragment in the making. Arguments are numbers, and names of the
// package's own patterns, so nothing needs quotes.
type script struct{ strings.Builder }

func begin(n *NIC) *script {
	s := &script{}
	s.line("hostnet_nic='NIC %d (%s, bridge %s)'", n.Index, n.Device(), n.Bridge)
	return s
}

func (s *script) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// try is a command, and what it means that it fails. What the command itself says
// goes to standard error before.
func (s *script) try(meaning, format string, args ...any) {
	s.line(format+" || hostnet_fail '"+meaning+"'", args...)
}

func (s *script) tools(n *NIC) {
	need := "ip"
	if n.In != 0 || n.Out != 0 {
		need += " tc"
	}
	if len(n.rules()) > 0 {
		need += " nft"
	}
	if n.VLAN != 0 {
		need += " bridge"
	}
	s.line("hostnet_need %s", need)
}

// out makes the device that the rules send to.
func (s *script) out(n *NIC) {
	if n.Out == 0 {
		return
	}
	dev := n.shaper()
	s.try("there is no device of type ifb for the limit of what it sends", "hostnet_device %[1]s || ip link add name %[1]s type ifb", dev)
	s.queue("the limit of what it sends cannot be set", dev, n.MTU, n.Out)
	s.try("the device for the limit of what it sends does not go up", "ip link set dev %s up", dev)
}

// rules makes the chain, or replaces it. To make one takes a tenth of the time: whoever
// takes something away waits until no processor looks at it any more.
func (s *script) rules(n *NIC) {
	t, c := Table(n.Guest), chain(n.Index)
	if len(n.rules()) > 0 {
		s.line("hostnet_rules() { nft -f - <<HOSTNET\n%sHOSTNET\n}", n.document("$1"))
		s.try("its rules cannot be set", "hostnet_rules create 2>/dev/null || hostnet_rules '%s'", replacing(t, c))
	} else {
		s.try("its old rules cannot be removed", "! hostnet_chain %[1]s %[2]s || nft delete chain netdev %[1]s %[2]s", t, c)
	}
	if n.Out == 0 {
		s.try("the device of an old limit cannot be removed", "! hostnet_device %[1]s || ip link delete dev %[1]s", n.shaper())
	}
}

// port sets all that ip(8) can, by one process, and has the device shown.
func (s *script) port(n *NIC) {
	dev := n.Device()
	s.line("hostnet_port=$(ip -batch - <<'HOSTNET'")
	if n.MTU != 0 {
		s.line("link set dev %s mtu %d", dev, n.MTU)
	}
	s.line("link set dev %s master %s", dev, n.Bridge)
	s.line("link set dev %s type bridge_slave isolated %s", dev, onOff(n.Isolated))
	s.line("link show dev %s\nHOSTNET", dev)
	s.try("it cannot be plugged into the bridge with its MTU and isolation", ")")
}

func (s *script) in(n *NIC) {
	dev := n.Device()
	if n.In != 0 {
		s.queue("the limit of what it receives cannot be set", dev, n.MTU, n.In)
		return
	}
	s.line("case $hostnet_port in")
	s.try("the old limit of what it receives cannot be removed", "*' qdisc tbf '*) tc qdisc delete dev %s root", dev)
	s.line(";;\nesac")
}

func (s *script) queue(meaning, dev string, mtu int, rate uint64) {
	b := bucketFor(rate, mtu)
	s.try(meaning, "tc qdisc replace dev %s root handle 1: tbf rate %dbit burst %db limit %db", dev, b.rate*8, b.burst, b.limit)
}

// vlan makes the port one of that VLAN and no other. Without filtering the bridge
// takes the setting, and does nothing with it.
func (s *script) vlan(n *NIC) {
	if n.VLAN == 0 {
		return
	}
	s.line("case $(ip -d link show dev %s) in\n*' vlan_filtering 1 '*) ;;", n.Bridge)
	s.line("*) hostnet_fail 'it has VLAN %d, and the bridge does not filter VLANs (vlan_filtering)' ;;\nesac", n.VLAN)
	s.try("the VLANs of its port cannot be cleared", "bridge vlan delete dev %s vid 1-4094", n.Device())
	s.try("its VLAN cannot be set", "bridge vlan add dev %s vid %d pvid untagged", n.Device(), n.VLAN)
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
