package lxc

import (
	"context"
	"io/fs"
	"path"
	"strings"

	"github.com/guestforge/provision"
)

// oldest liblxc that this package is tested with.
const oldest = "5.0.2"

// library looks at liblxc and the programs that start guests and run commands in them:
// all have to be of one version, as they talk to each other.
func (e *examination) library(ctx context.Context) []provision.Finding {
	var list []provision.Finding
	switch {
	case e.liblxc == "":
		list = append(list, lacks("liblxc", fails, "this program was built without liblxc", "", "build it with cgo and the package lxc-dev"))
	case older(e.liblxc, oldest):
		list = append(list, lacks("liblxc", cautions, "liblxc is older than what this library is tested with", "version "+e.liblxc, "upgrade to liblxc "+oldest+" or later"))
	default:
		list = append(list, has("liblxc", "liblxc can be used", "version "+e.liblxc))
	}
	for _, program := range []string{e.start, e.attach} {
		list = append(list, e.program(ctx, program))
	}
	return list
}

func (e *examination) program(ctx context.Context, program string) provision.Finding {
	check := path.Base(program)
	const remedy = "install the package lxc"
	info, err := fs.Stat(e.files, inside(program))
	if err != nil {
		return lacks(check, fails, "there is no "+program, err.Error(), remedy)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return lacks(check, fails, program+" is no program", info.Mode().String(), remedy)
	}
	text, err := e.try.output(ctx, program, "--version")
	version := strings.TrimSpace(text)
	switch {
	case err != nil && isUntried(err):
		return unknown(check, fails, program+" runs", oneLine(err.Error()), remedy)
	case err != nil:
		return lacks(check, fails, program+" does not run", oneLine(err.Error()), remedy)
	case e.liblxc != "" && version != e.liblxc:
		return lacks(check, cautions, program+" is not of the version of liblxc", oneLine(version)+", and liblxc is "+e.liblxc, "install both from one place, and build this program with that")
	}
	return has(check, program+" runs", "version "+oneLine(version))
}

// older compares versions of digits and dots; what else is in them does not count.
func older(a, b string) bool {
	for {
		x, restA, _ := strings.Cut(a, ".")
		y, restB, okB := strings.Cut(b, ".")
		if p, q := leading(x), leading(y); p != q {
			return p < q
		}
		if !okB {
			return false
		}
		a, b = restA, restB
	}
}

// leading is the number that a text starts with.
func leading(s string) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' || n > 1e6 {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// tools are programs that guests take beside liblxc's.
func (e *examination) tools(context.Context) []provision.Finding {
	var list []provision.Finding
	for _, t := range []struct{ name, pack, lost string }{
		{"ip", "iproute2", "network devices of guests are not set up"},
		{"tc", "iproute2", "NICs cannot be limited in rate"},
		{"nft", "nftables", "guests cannot be kept from using addresses that are not theirs"},
		{"perl", "perl-base", "roots that are overlays do not come back by themselves when a guest is started by hand or at boot"},
		{"mkfs.ext4", "e2fsprogs", "no guest's disk can be a file"},
		{"resize2fs", "e2fsprogs", "a disk that is a file cannot grow"},
	} {
		if at := e.find(t.name); at != "" {
			list = append(list, has(t.name, "there is "+t.name, at))
		} else {
			list = append(list, lacks(t.name, cautions, "there is no "+t.name+": "+t.lost, "", "install the package "+t.pack))
		}
	}
	for _, m := range e.mounts {
		if m.Type == "fuse.lxcfs" {
			return append(list, has("lxcfs", "guests can be shown their own memory, processors and uptime", m.Point))
		}
	}
	if e.mounts == nil {
		return append(list, unknown("lxcfs", informs, "guests can be shown their own memory, processors and uptime", "/proc/self/mountinfo cannot be read", "mount /proc"))
	}
	return append(list, lacks("lxcfs", informs, "guests see memory, processors and uptime of the host", "lxcfs is not mounted", "where tenants should not, run lxcfs"))
}

// boot looks at what starts guests after a restart of the machine.
func (e *examination) boot(context.Context) []provision.Finding {
	first := e.text("proc/1/comm")
	var list []provision.Finding
	switch first {
	case "systemd":
		list = append(list, has("init", "the machine runs systemd", ""))
	case "":
		list = append(list, unknown("init", informs, "the machine runs systemd", "/proc/1/comm cannot be read", "run check as root"))
	default:
		list = append(list, has("init", "the machine does not run systemd: nothing hands out control groups but this library", "process 1 is "+first))
	}
	return append(list, e.autostart(first))
}

// autostart: lxc-autostart starts what has lxc.start.auto, below one directory.
func (e *examination) autostart(first string) provision.Finding {
	const check = "autostart"
	remedy := "have what starts the machine run lxc-autostart"
	if first == "systemd" {
		remedy = "systemctl enable lxc.service"
	}
	at := ""
	for _, pattern := range []string{"etc/systemd/system/*.wants/lxc.service", "etc/rc[2345].d/S[0-9][0-9]lxc"} {
		if found, err := fs.Glob(e.files, pattern); err == nil && len(found) > 0 {
			at = "/" + found[0]
			break
		}
	}
	looks := "/var/lib/lxc"
	for line := range strings.Lines(e.text("etc/lxc/lxc.conf")) {
		if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "lxc.lxcpath" {
			looks = path.Clean(strings.TrimSpace(value))
		}
	}
	switch {
	case at == "" && !e.there("etc"):
		return unknown(check, cautions, "guests are started when the machine boots", "there is no /etc", remedy)
	case at == "":
		return lacks(check, cautions, "nothing starts guests when the machine boots", "lxc.service is not enabled", remedy)
	case first != "systemd" && strings.Contains(at, "systemd"):
		return lacks(check, cautions, "nothing starts guests when the machine boots", at+" is there, but the machine does not run systemd", remedy)
	case looks != e.path:
		return lacks(check, cautions, "what starts guests when the machine boots looks for them in another directory", looks+", not "+e.path, "set lxc.lxcpath in /etc/lxc/lxc.conf")
	}
	return has(check, "guests are started when the machine boots", at)
}
