package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Most bytes that are read of files that no tenant has a reason to fill.
const (
	maxText  = 1 << 20
	maxTable = 4 << 20 // of users or groups
)

// text reads a file that is to be edited. One that is missing, or that will be
// replaced because it is a link, FIFO or device, reads as other.
func (b *boot) text(name, other string) ([]byte, error) {
	data, info, err := b.t.readFile(name, maxText)
	replaced := errors.Is(err, ErrUnsafe) && info != nil && !info.IsDir()
	if errors.Is(err, fs.ErrNotExist) || replaced {
		return []byte(other), nil
	}
	return data, err
}

// machineID: an empty file has systemd make an id at boot and keep it, while a
// missing one would also have it enable all units anew: machine-id(5). Without
// systemd D-Bus makes one where there is none: dbus-uuidgen(1).
func (b *boot) machineID() error {
	const etc, dbus = "/etc/machine-id", "/var/lib/dbus/machine-id"
	if !b.NewIdentity {
		return nil
	}
	if !b.im.systemd {
		return errors.Join(b.remove(etc), b.remove(dbus))
	}
	if err := b.write(etc, nil, Attr{Mode: 0o444, Keep: true}); err != nil {
		return err
	}
	if !b.t.Exists("/var/lib/dbus") {
		return nil
	}
	return b.symlink(etc, dbus)
}

// hostname writes the short name, as Debian's installer and cloud-init do: init
// gives it to the kernel, also over one that the host has set.
func (b *boot) hostname() error {
	if b.Hostname == "" {
		return nil
	}
	short, _, _ := strings.Cut(b.Hostname, ".")
	return b.write("/etc/hostname", []byte(short+"\n"), Attr{Mode: 0o644})
}

func (b *boot) hosts() error {
	if b.Hostname == "" {
		return nil
	}
	data, err := b.text("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	if err != nil {
		return err
	}
	return b.write("/etc/hosts", setHosts(data, b.Hostname), Attr{Mode: 0o644, Keep: true})
}

// setHosts gives the line of 127.0.1.1 the host's names, the full one first:
// hosts(5), and the reference of Debian on that address. All other lines stay.
func setHosts(data []byte, hostname string) []byte {
	const own = "127.0.1.1"
	line := own + "\t" + hostname
	if short, _, dotted := strings.Cut(hostname, "."); dotted {
		line += " " + short
	}
	lines := strings.SplitAfter(string(data), "\n")
	after := -1
	for i, l := range lines {
		switch first := field(l, 0); {
		case first == own:
			lines[i] = line + ending(l)
			return []byte(strings.Join(lines, ""))
		case after < 0 && first == "127.0.0.1":
			after = i
		}
	}
	if after < 0 {
		after = len(lines) - 1
	}
	head, tail := strings.Join(lines[:after+1], ""), strings.Join(lines[after+1:], "")
	if head != "" && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return []byte(head + line + "\n" + tail)
}

func ending(line string) string {
	if strings.HasSuffix(line, "\n") {
		return "\n"
	}
	return ""
}

// field is the nth word of a line.
func field(line string, n int) string {
	if words := strings.Fields(line); n < len(words) {
		return words[n]
	}
	return ""
}

// resolver writes resolv.conf(5) over the link that systemd-resolved and others
// have there: they leave a plain file alone.
func (b *boot) resolver() error {
	if len(b.DNS.Servers)+len(b.DNS.Search) == 0 {
		return nil
	}
	var text strings.Builder
	if len(b.DNS.Search) > 0 {
		fmt.Fprintf(&text, "search %s\n", strings.Join(b.DNS.Search, " "))
	}
	for _, s := range b.DNS.Servers {
		fmt.Fprintf(&text, "nameserver %s\n", s)
	}
	return b.write("/etc/resolv.conf", []byte(text.String()), Attr{Mode: 0o644})
}
