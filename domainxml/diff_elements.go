package domainxml

import (
	"slices"
	"strings"
)

// filledElements are elements that libvirt adds whatever is in them.
var filledElements = map[string]bool{
	"uuid": true, "mac": true, "iothreadids": true, "vcpus": true, "gic": true, "master": true,
}

// containers mean no more than what is in them.
var containers = map[string]bool{"devices": true, "metadata": true, "features": true, "cputune": true, "memtune": true, "blkiotune": true, "memoryBacking": true}

// fillsElement says whether an element, which the one around it in the other
// document does not have, is one that libvirt adds by itself.
func fillsElement(s *side, n id, other *side, around id) bool {
	name, parent := s.local(n), s.local(s.nodes[n].parent)
	switch {
	case s.data[n]:
		return false
	case name == "alias":
		return !strings.HasPrefix(s.get(n, "name"), "ua-")
	case filledElements[name]:
		return true
	case containers[name]:
		for c := s.nodes[n].first; c != 0; c = s.nodes[c].next {
			if !fillsElement(s, c, other, around) {
				return false
			}
		}
		return true
	}
	switch parent {
	case "domain", "inactiveDomain":
		return fillsDomain(s, n, name)
	case "os":
		return fillsOS(s, n, name, other, around)
	case "devices":
		return fillsDevice(s, n, name, other, around)
	}
	return fillsPart(s, n, name, parent)
}

func fillsDomain(s *side, n id, name string) bool {
	text := strings.TrimSpace(s.own(n))
	switch name {
	case "vcpu":
		return text == "1" && s.get(n, "current") == ""
	case "currentMemory":
		now, err := scaled(text, s.get(n, "unit"))
		m := s.child(s.nodes[n].parent, "memory")
		if err != nil || m == 0 {
			return false
		}
		most, err := scaled(s.own(m), s.get(m, "unit"))
		return err == nil && now == most
	case "on_poweroff", "on_crash":
		return text == "destroy"
	case "on_reboot":
		return text == "restart"
	case "clock":
		return s.get(n, "offset") == "utc" && s.nodes[n].first == 0
	case "cpu":
		// What QEMU has when nothing is asked for; from libvirt 7.1 on written down.
		return s.get(n, "mode") == "custom" && s.text(n, "model") == "qemu64" && s.child(n, "topology") == 0 &&
			(s.child(n, "feature") == 0 || s.runs)
	case "seclabel":
		return s.get(n, "type") == "dynamic" && s.get(n, "relabel") != "no" && s.child(n, "baselabel") == 0 &&
			(s.nodes[n].first == 0 || s.runs)
	case "resource":
		return strings.TrimSpace(s.whole(n)) == "/machine" || s.runs
	}
	return false
}

// fillsOS: with firmware='efi', libvirt finds loader and NVRAM; from 10.0 on also
// the features of a loader that it knows.
func fillsOS(s *side, n id, name string, other *side, around id) bool {
	auto := other.get(around, "firmware") != ""
	switch name {
	case "boot":
		return s.get(n, "dev") == "hd" && other.child(around, "boot") == 0
	case "loader":
		return auto && ownChoice(name, s.own(n))
	case "firmware":
		return ownChoice("loader", s.text(s.nodes[n].parent, "loader"))
	case "nvram":
		return (auto || other.child(around, "loader") != 0) && ownChoice(name, s.own(n))
	}
	return false
}

// ownChoice says whether a text is one that libvirt puts in where none is given.
func ownChoice(name, text string) bool {
	text = strings.TrimSpace(text)
	switch name {
	case "loader":
		return strings.HasPrefix(text, "/usr/share/")
	case "nvram":
		return text == "" || strings.HasPrefix(text, "/var/lib/libvirt/qemu/nvram/")
	case "backend":
		return text == "/dev/random" || text == "/dev/urandom"
	}
	return true
}

// impliedBuses are those that libvirt takes from the name of a target.
var impliedBuses = map[string]string{"vd": "virtio", "hd": "ide", "sd": "scsi sata", "fd": "fdc", "xvd": "xen"}

func impliedBus(dev, bus string) bool {
	for prefix, buses := range impliedBuses {
		if strings.HasPrefix(dev, prefix) && slices.Contains(strings.Fields(buses), bus) {
			return true
		}
	}
	return false
}

// emulators are where distributions have QEMU, and libvirt its own for containers.
var emulators = []string{
	"/usr/bin/qemu-system-", "/usr/bin/qemu-kvm", "/usr/bin/kvm", "/usr/libexec/qemu-kvm", "/usr/libexec/libvirt_lxc", "/usr/lib/libvirt/libvirt_lxc",
}

func ownEmulator(path string) bool {
	return slices.ContainsFunc(emulators, func(prefix string) bool {
		rest, ok := strings.CutPrefix(strings.TrimSpace(path), prefix)
		return ok && !strings.Contains(rest, "/")
	})
}

func fillsDevice(s *side, n id, name string, other *side, around id) bool {
	has := func(name string) bool { return other.child(around, name) != 0 }
	switch name {
	case "emulator":
		return ownEmulator(s.own(n))
	case "controller":
		kind, model := s.get(n, "type"), s.get(n, "model")
		return !(kind == "usb" && model == "none") && !(kind == "scsi" && model == "virtio-scsi")
	case "input":
		return s.get(n, "bus") == "ps2" || s.get(n, "bus") == "xen"
	case "audio":
		return !has("audio") && s.get(n, "type") != "file" && s.nodes[n].first == 0
	case "video":
		return !has("video") && has("graphics")
	case "memballoon":
		return !has("memballoon") && s.get(n, "model") != "none"
	case "watchdog":
		return s.get(n, "model") == "itco"
	case "console":
		return !has("console") && s.mirrorsSerial(n) && s.hasSerial()
	case "serial":
		return !has("serial") && has("console") && s.get(n, "type") == "pty" && other.get(other.child(around, "console"), "type") == "pty"
	}
	return false
}

// fillsPart judges an element below a device.
func fillsPart(s *side, n id, name, parent string) bool {
	switch name {
	case "address":
		return parent != "source"
	case "feature":
		return parent == "cpu" && s.runs || parent == "firmware" && s.ownLoader()
	case "backingStore", "mirror":
		return s.runs || name == "backingStore" && s.nodes[n].first == 0
	case "parameters":
		return parent == "virtualport" && s.get(n, "interfaceid") != "" && s.nodes[n].attrs.to-s.nodes[n].attrs.from == 1
	case "iothread":
		return parent == "iothreadids"
	case "smm":
		return s.get(n, "state") == "on" && s.ownLoader()
	case "readonly":
		return s.get(s.nodes[n].parent, "device") == "cdrom"
	case "driver":
		return (parent == "disk" || parent == "hostdev") && s.nodes[n].first == 0 && s.allFilled(n)
	case "model":
		return parent == "cpu" && (s.own(n) == "qemu64" || s.own(n) == "" && s.allFilled(n)) || parent == "video" || parent == "controller" || parent == "target" || parent == "interface" && defaultNIC(s.get(n, "type"))
	case "target":
		return parent == "controller" || parent == "interface" && ownTap(s.get(n, "dev")) || parent == "serial" || parent == "console"
	case "source":
		return atRuntime(s.get(n, "path")) || parent == "channel" && s.get(n, "mode") == "bind" && s.nodes[n].attrs.to-s.nodes[n].attrs.from == 1
	case "listen":
		return s.allFilled(n) || s.get(n, "type") == "none" && s.get(s.nodes[n].parent, "type") == "spice"
	case "link", "protocol":
		return s.allFilled(n)
	}
	return false
}

// ownLoader says that libvirt found a loader for firmware='efi'.
func (s *side) ownLoader() bool {
	os := s.child(s.top, "os")
	return os != 0 && s.get(os, "firmware") != "" && ownChoice("loader", s.text(os, "loader"))
}

// allFilled says that an element has only what libvirt gives it.
func (s *side) allFilled(n id) bool {
	for a := range s.values(n) {
		if !fillsAttr(s, n, a.name, a.value) {
			return false
		}
	}
	return true
}
