package domainxml

import (
	"net/netip"
	"slices"
	"strings"
)

var displayRules = []Rule{graphicsListen, graphicsPassword, charListen, videoCirrus}

// graphicsListen finds displays that anyone who reaches the host can connect to.
//
// Source: https://libvirt.org/formatdomain.html#graphical-framebuffers (listen)
var graphicsListen = Rule{
	ID: "graphics-listen", Severity: SeverityError,
	Title:  "a display on all of the host's addresses",
	Why:    "Whoever reaches the host sees the guest's screen and types at its console: VNC's passwords are of 8 characters and soon guessed, and the traffic is in clear.",
	Source: "https://libvirt.org/formatdomain.html#graphical-framebuffers",
	Fails:  `<devices><graphics type='vnc' port='-1' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics></devices>`,
	Passes: `<devices><graphics type='vnc' port='-1' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics></devices>`,
	check: func(l *linter) {
		for _, n := range l.all("graphics") {
			var fix []Edit
			if kind := l.get(n, "type"); kind != "vnc" && kind != "spice" && kind != "rdp" {
				continue
			}
			if everywhere(l.get(n, "listen")) {
				fix = append(fix, Set(l.path(n, "@listen"), "127.0.0.1"))
			}
			for _, child := range l.children(n, "listen") {
				if l.get(child, "type") == "address" && everywhere(l.get(child, "address")) {
					fix = append(fix, Set(l.path(child, "@address"), "127.0.0.1"))
				}
			}
			if len(fix) > 0 {
				f := l.report(n, "%s listens on all addresses", l.get(n, "type"))
				f.Fix = fix
				f.Caution = "From elsewhere, the display is then reached through the host only: ssh -L, or a proxy."
			}
		}
	},
}

// everywhere says whether an address stands for all that the host has.
func everywhere(address string) bool {
	address = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(address), "["), "]")
	a, err := netip.ParseAddr(address)
	return address == "*" || address == "0" || err == nil && a.Unmap().IsUnspecified()
}

// graphicsPassword finds passwords that stand in the document. None is printed.
// With an empty one libvirt lets nobody in, where without one VNC lets all in;
// libvirt before 2.0.0 did so with an empty one too (CVE-2016-5008).
//
// Source: https://libvirt.org/formatdomain.html#graphical-framebuffers (passwd)
var graphicsPassword = Rule{
	ID: "graphics-password", Severity: SeverityError,
	Title:  "the password of a display, in clear",
	Why:    "Whoever reads the document has it: backups, logs, and all who may ask libvirt for it.",
	Source: "https://libvirt.org/formatdomain.html#graphical-framebuffers",
	Fails:  `<devices><graphics type='vnc' port='-1' listen='192.0.2.1' passwd='secret'/></devices>`,
	Passes: `<devices><graphics type='vnc' port='-1' listen='192.0.2.1' passwd=''/></devices>`,
	check: func(l *linter) {
		for _, n := range l.all("graphics") {
			if l.get(n, "passwd") == "" {
				continue
			}
			kind := l.get(n, "type")
			f := l.report(n, "%s has its password in the document", kind)
			if !l.reachable(n) {
				f.Severity = SeverityWarning
			}
			if (kind == "vnc" || kind == "spice") && (l.opts.Libvirt == 0 || l.opts.Libvirt >= 2_000_000) {
				f.Fix = []Edit{Set(l.path(n, "@passwd"), "")}
				f.Caution = "Nobody can connect any more until the running guest is given a password (virDomainUpdateDeviceFlags, live). Take the old one for known."
			}
		}
	},
}

// reachable says whether a display may be reached from elsewhere: where nothing is
// said, the host's qemu.conf decides, which has 127.0.0.1 unless it was changed.
func (l *linter) reachable(n id) bool {
	list := []string{l.get(n, "listen")}
	for _, c := range l.children(n, "listen") {
		list = append(list, l.get(c, "address"))
	}
	for _, text := range list {
		a, err := netip.ParseAddr(text)
		if text != "" && text != "localhost" && (err != nil || !a.IsLoopback()) {
			return true
		}
	}
	return false
}

// charListen finds serial consoles and other lines that listen on all addresses,
// without TLS.
//
// Source: https://libvirt.org/formatdomain.html#tcp-client-server
var charListen = Rule{
	ID: "char-listen", Severity: SeverityError,
	Title:  "a serial line on all of the host's addresses",
	Why:    "Whoever reaches the host has the guest's console, or its agent, and no password is asked.",
	Source: "https://libvirt.org/formatdomain.html#tcp-client-server",
	Fails:  `<devices><serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/><protocol type='telnet'/></serial></devices>`,
	Passes: `<devices><serial type='tcp'><source mode='bind' host='127.0.0.1' service='4555'/><protocol type='telnet'/></serial></devices>`,
	check: func(l *linter) {
		for _, n := range slices.Concat(l.all("serial"), l.all("parallel"), l.all("console"), l.all("channel")) {
			source := l.child(n, "source")
			if l.get(n, "type") != "tcp" || source == 0 || l.get(source, "mode") != "bind" ||
				l.get(source, "tls") == "yes" || !everywhere(l.get(source, "host")) {
				continue
			}
			f := l.report(n, "%s listens on all addresses", l.name(n))
			f.Fix = []Edit{Set(l.path(source, "@host"), "127.0.0.1")}
			f.Caution = "From elsewhere, it is then reached through the host only."
		}
	},
}

// videoCirrus finds video cards of 1995. It is what libvirt takes on x86 if a
// document does not say a model.
//
// Source: https://libvirt.org/formatdomain.html#video-devices; CVE-2017-2615 and
// CVE-2017-2620 are ways out of QEMU through it, and
// https://www.kraxel.org/blog/2014/10/qemu-using-cirrus-considered-harmful/ is what
// QEMU's maintainer of displays says.
var videoCirrus = Rule{
	ID: "video-cirrus", Severity: SeverityWarning,
	Title:  "a Cirrus video card",
	Why:    "Guests have broken out of QEMU through its old code more than once, and it is slow and of low resolution.",
	Source: "https://libvirt.org/formatdomain.html#video-devices",
	Fails:  `<devices><video><model type='cirrus' vram='16384' heads='1'/></video></devices>`,
	Passes: `<devices><video><model type='vga' vram='16384' heads='1'/></video></devices>`,
	check: func(l *linter) {
		for _, n := range l.all("video") {
			model := l.deep(n, "type", "model")
			if !l.qemu() || model != "cirrus" && (model != "" || !l.x86()) {
				continue
			}
			if model == "" {
				model = "missing, which means cirrus"
			}
			f := l.report(n, "the video model is %s", model)
			f.Fix = []Edit{Set(l.path(n, "model/@type"), "vga")}
			f.Caution = "The guest finds another card at its next start; a desktop may need its resolution set anew."
		}
	},
}
