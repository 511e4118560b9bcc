package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

const (
	interfacesFile = "/etc/network/interfaces"
	interfacesDir  = interfacesFile + ".d"
	blockBegin     = "# BEGIN provision: written by the host, changes in here are lost"
	blockEnd       = "# END provision"
)

// interfaces writes interfaces(5) for ifupdown, ifupdown-ng and busybox. The block
// stands in the file itself, because busybox does not include others; what the
// image says of the same NICs, there or in the directory, goes away.
func (b *boot) interfaces(nics []link) error {
	var names []string
	for _, n := range nics {
		names = append(names, n.Name)
	}
	data, err := b.text(interfacesFile, "auto lo\niface lo inet loopback\n")
	if err != nil {
		return err
	}
	if err := b.write(interfacesFile, setInterfaces(data, names, interfacesBlock(nics)), Attr{Mode: 0o644}); err != nil {
		return err
	}
	files, err := b.t.ReadDir(interfacesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		name := interfacesDir + "/" + f
		data, err := b.t.ReadFile(name, maxText)
		if errors.Is(err, ErrUnsafe) {
			continue // no file, and ifupdown reads files
		} else if err != nil {
			return err
		}
		if err := b.write(name, setInterfaces(data, names, ""), Attr{Mode: 0o644, Keep: true}); err != nil {
			return err
		}
	}
	return b.enableNetworking()
}

// enableNetworking has OpenRC start the service that brings interfaces up.
func (b *boot) enableNetworking() error {
	const service = "/etc/init.d/networking"
	started := b.t.any("/etc/runlevels/boot/networking", "/etc/runlevels/default/networking")
	if !b.im.openrc || started || !b.t.Exists(service) {
		return nil
	}
	return b.symlink(service, "/etc/runlevels/boot/networking")
}

// interfacesBlock sets addresses by commands that may be repeated: "static" adds
// them, which fails where the host has set the same ones before init (inet.defn of
// ifupdown).
func interfacesBlock(nics []link) string {
	var s strings.Builder
	s.WriteString(blockBegin + "\n")
	for _, n := range nics {
		up := func(format string, args ...any) { fmt.Fprintf(&s, "    up ip "+format+" dev "+n.Name+"\n", args...) }
		fmt.Fprintf(&s, "auto %s\niface %s inet manual\n", n.Name, n.Name)
		if n.MTU == 0 {
			fmt.Fprintf(&s, "    up ip link set %s up\n", n.Name)
		} else {
			fmt.Fprintf(&s, "    up ip link set %s mtu %d up\n", n.Name, n.MTU)
		}
		for _, a := range n.Addresses {
			if a.Addr().Is4() && a.Bits() < 31 {
				up("addr replace %s brd +", a)
			} else {
				up("addr replace %s", a)
			}
		}
		for _, r := range n.routes {
			family := "-4"
			if r.via.Is6() {
				family = "-6"
			}
			if r.onLink {
				up("%s route replace %s", family, r.via)
			}
			if r.metric > 0 {
				up("%s route replace default metric %d via %s", family, r.metric, r.via)
			} else {
				up("%s route replace default via %s", family, r.via)
			}
		}
	}
	s.WriteString(blockEnd + "\n")
	return s.String()
}

// setInterfaces puts block in the place of the one that is there, or at the end,
// and takes away what else is said of the interfaces called names. All other lines
// stay as they are.
func setInterfaces(data []byte, names []string, block string) []byte {
	head, tail := cutBlock(string(data))
	head = withoutInterfaces(head, names)
	tail = withoutInterfaces(tail, names)
	if block != "" && head != "" && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	if block != "" && strings.HasSuffix(head, "\\\n") {
		head += "\n" // or the block would be the rest of that line
	}
	return []byte(head + block + tail)
}

// cutBlock returns what stands before and behind the block, which has to have an
// end. A beginning alone is a comment of whoever has left it there.
func cutBlock(text string) (head, tail string) {
	lines := strings.SplitAfter(text, "\n")
	begin := -1
	for i, l := range lines {
		switch strings.TrimSuffix(l, "\n") {
		case blockBegin:
			begin = i
		case blockEnd:
			if begin >= 0 {
				return strings.Join(lines[:begin], ""), strings.Join(lines[i+1:], "")
			}
		}
	}
	return text, ""
}

// withoutInterfaces drops the stanzas of interfaces, and their names from the lists
// of those that come up by themselves.
func withoutInterfaces(text string, names []string) string {
	var s strings.Builder
	dropping := false
	for _, line := range logicalLines(text) {
		words := strings.Fields(strings.ReplaceAll(line, "\\\n", " "))
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
			s.WriteString(line)
		case words[0] == "iface":
			if dropping = len(words) > 1 && slices.Contains(names, words[1]); !dropping {
				s.WriteString(line)
			}
		case words[0] == "auto" || strings.HasPrefix(words[0], "allow-"):
			dropping = false
			s.WriteString(withoutNames(line, words, names))
		case isStanza(words[0]):
			dropping = false
			s.WriteString(line)
		case !dropping:
			s.WriteString(line)
		}
	}
	return s.String()
}

func withoutNames(line string, words, names []string) string {
	kept := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(names, w) })
	switch len(kept) {
	case len(words):
		return line
	case 1:
		return ""
	}
	return strings.Join(kept, " ") + ending(line)
}

func isStanza(word string) bool {
	return slices.Contains([]string{"mapping", "source", "source-directory", "template", "rename", "no-auto-down", "no-scripts"}, word)
}

// logicalLines splits a text behind line ends that no backslash takes away;
// comments end with their line.
func logicalLines(text string) []string {
	var lines []string
	open := false
	for l := range strings.SplitAfterSeq(text, "\n") {
		comment := !open && strings.HasPrefix(strings.TrimSpace(l), "#")
		if open {
			lines[len(lines)-1] += l
		} else {
			lines = append(lines, l)
		}
		open = !comment && strings.HasSuffix(l, "\\\n")
	}
	return lines
}
