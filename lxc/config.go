//go:build linux

package lxc

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/guestforge/provision/internal/hostnet"
)

// host is what the configuration of a guest depends on beside its definition.
type host struct {
	lxcPath  string
	dir      string // of the guest
	seccomp  string // a file for lxc.seccomp.profile, or empty
	appArmor bool
	limits   []item // of control groups, in order
}

// item is a line of a configuration: see lxc.container.conf(5).
type item struct{ key, value string }

// items are the settings of liblxc's configuration of a guest.
func (d *definition) items(h *host) []item {
	var list []item
	add := func(key, format string, args ...any) {
		list = append(list, item{key, fmt.Sprintf(format, args...)})
	}
	short, _, _ := strings.Cut(d.hostname(), ".")
	add("lxc.uts.name", "%s", short)
	add("lxc.rootfs.path", "dir:%s/%s", h.dir, dirRoot)
	if d.Base != 0 {
		add("lxc.idmap", "u 0 %d %d", d.Base, idBlock)
		add("lxc.idmap", "g 0 %d %d", d.Base, idBlock)
	}
	if d.Native.Init != "" {
		add("lxc.init.cmd", "%s", d.Native.Init)
	}
	if d.Halt != "" {
		add("lxc.signal.halt", "%s", d.Halt)
	}
	add("lxc.autodev", "1")
	add("lxc.mount.auto", "proc:mixed sys:mixed cgroup:mixed")
	add("lxc.tty.max", "2")
	add("lxc.pty.max", "1024")
	add("lxc.console.logfile", "%s/%s", h.dir, fileConsole)
	add("lxc.console.size", "%d", maxConsoleLog)
	add("lxc.start.auto", "%d", number(d.Spec.Autostart))

	add("lxc.cgroup.dir.monitor", "%s", groupOf(h.lxcPath, d.ID, groupMonitor))
	add("lxc.cgroup.dir.monitor.pivot", "%s", groupOf(h.lxcPath, d.ID, groupPivot))
	add("lxc.cgroup.dir.container", "%s", groupOf(h.lxcPath, d.ID, groupGuest))
	add("lxc.cgroup.dir.container.inner", "%s", groupInner)
	list = append(list, h.limits...)
	if n := d.Spec.Limits.OpenFiles; n != 0 {
		add("lxc.prlimit.nofile", "%d", n)
	}

	list = append(list, d.confinement(h)...)
	list = append(list, d.network(h)...)
	add("lxc.hook.version", "1")
	for _, when := range []string{"pre-start", "start-host", "post-stop"} {
		add("lxc.hook."+when, "%s/%s", h.dir, fileHook)
	}
	return list
}

// maxConsoleLog is where liblxc begins the console's log anew.
const maxConsoleLog = 8 << 20

func (d *definition) hostname() string {
	if d.Spec.Hostname != "" {
		return d.Spec.Hostname
	}
	return d.Spec.Name
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// neverHad are capabilities that no guest has: they are about the whole machine.
var neverHad = []string{"mac_admin", "mac_override", "sys_module", "sys_rawio", "sys_time"}

// confinement is what a guest may not do.
func (d *definition) confinement(h *host) []item {
	drop := append(slices.Clone(neverHad), d.Native.DropCapabilities...)
	slices.Sort(drop)
	list := []item{{"lxc.cap.drop", strings.Join(slices.Compact(drop), " ")}}
	if h.seccomp != "" {
		list = append(list, item{"lxc.seccomp.profile", h.seccomp})
		if d.Native.Nesting {
			list = append(list, item{"lxc.seccomp.allow_nesting", "1"})
		}
	}
	if h.appArmor {
		list = append(list, item{"lxc.apparmor.profile", "generated"})
		if d.Native.Nesting {
			list = append(list, item{"lxc.apparmor.allow_nesting", "1"})
		}
	}
	if d.Native.NoNewPrivs {
		list = append(list, item{"lxc.no_new_privs", "1"})
	}
	if d.Native.Nesting {
		list = append(list, item{"lxc.mount.entry", "proc dev/.lxc/proc proc create=dir,optional 0 0"},
			item{"lxc.mount.entry", "sys dev/.lxc/sys sysfs create=dir,optional 0 0"})
	}
	for _, dev := range d.Native.Devices {
		n := deviceNodes[dev]
		list = append(list, item{"lxc.mount.entry", fmt.Sprintf("%s %s none bind,create=file 0 0", n.path, n.path[1:])})
	}
	return list
}

// network is the guest's cards. Without any it has a network of its own, with
// nothing but the loopback interface: no entry at all, or "none", would be the host's.
func (d *definition) network(h *host) []item {
	if len(d.Spec.NICs) == 0 {
		return []item{{"lxc.net.0.type", "empty"}}
	}
	var list []item
	// liblxc gives routes no metric, and fails to set a second default route: the
	// first gateway of a family is the way out, until the guest says otherwise.
	var out4, out6 bool
	for i, n := range d.Spec.NICs {
		add := func(key, format string, args ...any) {
			list = append(list, item{fmt.Sprintf("lxc.net.%d.%s", i, key), fmt.Sprintf(format, args...)})
		}
		add("type", "veth")
		add("link", "%s", n.Bridge)
		add("flags", "up")
		add("name", "eth%d", i)
		add("hwaddr", "%s", n.MAC)
		add("veth.pair", "%s", hostnet.Device(string(d.ID), i))
		if n.MTU != 0 {
			add("mtu", "%d", n.MTU)
		}
		if n.VLAN != 0 {
			add("veth.vlan.id", "%d", n.VLAN)
		}
		add("script.up", "%s/%s", h.dir, fileHook)
		if d.OwnNetwork {
			continue
		}
		for _, a := range n.Addresses {
			if a.Addr().Is4() {
				add("ipv4.address", "%s %s", a, broadcast(a))
			} else {
				add("ipv6.address", "%s", a)
			}
		}
		for _, g := range n.Gateways {
			switch {
			case g.Is4() && !out4:
				add("ipv4.gateway", "%s", g)
				out4 = true
			case !g.Is4() && !out6:
				add("ipv6.gateway", "%s", g)
				out6 = true
			}
		}
	}
	return list
}

// broadcast is the last address of a network. Without it, liblxc before 6.0 makes
// one from the wrong end of the mask. In a network of one or two addresses nobody
// listens to all (RFC 3021), and the kernel makes no route to this one.
func broadcast(p netip.Prefix) netip.Addr {
	if p.Bits() >= 31 {
		return netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	a := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(a)
}

// configHead is the first line of a configuration.
const configHead = "# Made by github.com/guestforge/provision from guest.json, which is what to change.\n"

// render writes a configuration. What stands in it was validated where it came in;
// a line break that got here nevertheless would become a line of its own, and a
// hook that runs as root.
func render(list []item) ([]byte, error) {
	var out bytes.Buffer
	for _, it := range list {
		if strings.ContainsFunc(it.key+it.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("%s: a control character cannot stand in a configuration", it.key)
		}
		fmt.Fprintf(&out, "%s = %s\n", it.key, it.value)
	}
	return seal(out.Bytes()), nil
}
