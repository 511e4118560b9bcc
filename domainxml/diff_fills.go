package domainxml

import (
	"strconv"
	"strings"
)

// filled are values that libvirt itself gives attributes, or that stand for a
// missing one: separated by spaces, "*" for any. Those without a sentence are in
// libvirt's formatdomain.html, or in what virDomainDefPostParse of QEMU sets.
var filled = map[string]string{
	"domain/@id":                     "*", // of a running one
	"vcpu/@placement":                "static",
	"type/@arch":                     "x86_64",
	"type/@machine":                  "*",
	"cpu/@mode":                      "custom",
	"cpu/@match":                     "exact",
	"cpu/@check":                     "*",
	"cpu/@migratable":                "on",
	"model/@fallback":                "*",
	"topology/@dies":                 "1",
	"topology/@clusters":             "1",
	"clock/@offset":                  "utc",
	"disk/@device":                   "disk",
	"disk/@type":                     "file",
	"driver/@type":                   "raw",
	"target/@tray":                   "closed",
	"target/@port":                   "*",
	"target/@type":                   "*",
	"target/@state":                  "*", // of a running one's agent channel
	"target/@chassis":                "*",
	"target/@chassisNr":              "*",
	"target/@hotplug":                "on",
	"source/@index":                  "*",
	"backingStore/@index":            "*",
	"driver/@cache":                  "default",
	"encryption/@engine":             "qemu",
	"source/@portid":                 "*",
	"parameters/@interfaceid":        "*", // of a virtualport of Open vSwitch; made when the domain is defined
	"interface/@trustGuestRxFilters": "no",
	"link/@state":                    "up",
	"controller/@index":              "*",
	"console/@tty":                   "*",
	"protocol/@type":                 "raw",
	"log/@append":                    "off",
	"input/@bus":                     "*",
	"graphics/@autoport":             "*",
	"listen/@type":                   "address",
	"listen/@address":                "127.0.0.1",
	"graphics/@listen":               "127.0.0.1",
	"model/@vram":                    "*",
	"model/@vram64":                  "*",
	"model/@ram":                     "*",
	"model/@vgamem":                  "*",
	"model/@heads":                   "*",
	"model/@primary":                 "*",
	"memballoon/@model":              "virtio",
	"watchdog/@action":               "reset",
	"panic/@model":                   "*",
	"seclabel/@type":                 "dynamic",
	"seclabel/@relabel":              "yes",
	"hostdev/@managed":               "no",
	"hostdev/@mode":                  "subsystem",
	"filesystem/@type":               "mount",
	"filesystem/@accessmode":         "passthrough",
	"filesystem/@model":              "*",
	"feature/@policy":                "require",
	"loader/@type":                   "*",
	"loader/@readonly":               "*",
	"loader/@secure":                 "no",
	"loader/@stateless":              "no",
	"loader/@format":                 "*",
	"nvram/@template":                "*",
	"nvram/@templateFormat":          "*",
	"nvram/@format":                  "*",
	"backend/@version":               "*",
	"backend/@persistent_state":      "no",
	"memory/@mode":                   "strict",
	"hyperv/@mode":                   "custom",
	"cell/@id":                       "*",
	"cell/@unit":                     "KiB",
	"pmu/@state":                     "on",
	"vmcoreinfo/@state":              "on",
	"vsock/@model":                   "virtio",
	"tpm/@model":                     "tpm-tis",
	"hostdev/@display":               "off",
	"shmem/@role":                    "peer",
}

// fillsAttr says whether an attribute that the other document does not have is one
// that libvirt adds by itself.
func fillsAttr(s *side, n id, name, value string) bool {
	if s.data[n] {
		return false
	}
	parent := s.local(s.nodes[n].parent)
	switch s.local(n) + "/@" + name {
	case "driver/@name":
		return parent == "disk" && value == "qemu" || parent == "hostdev" && value == "vfio"
	case "source/@mode":
		return value == "connect" || parent == "channel" && value == "bind"
	case "source/@startupPolicy":
		return parent == "disk" && value == "mandatory"
	case "target/@bus":
		return impliedBus(s.get(n, "dev"), value)
	case "loader/@secure":
		return value == "no" || ownChoice("loader", s.own(n))
	case "vcpu/@current":
		return value == strings.TrimSpace(s.own(n))
	case "controller/@model":
		return value != "none" && value != "virtio-scsi"
	case "source/@bridge":
		return s.get(n, "network") != ""
	case "source/@path":
		return atRuntime(value)
	case "target/@dev":
		return ownTap(value)
	case "model/@type":
		return s.local(s.nodes[n].parent) == "interface" && defaultNIC(value)
	case "graphics/@port", "graphics/@tlsPort", "graphics/@websocket":
		return value == "-1" || s.get(n, "autoport") == "yes"
	case "graphics/@listen", "graphics/@socket": // the same as in the element listen
		if l := s.child(n, "listen"); l != 0 && s.get(l, "address")+s.get(l, "socket") == value {
			return true
		}
	case "os/@firmware":
		return s.child(n, "loader") != 0
	}
	if s.local(n) == "address" {
		return parent != "source" || name == "function" && sameNumber("0x0", value)
	}
	for v := range strings.FieldsSeq(filled[s.local(n)+"/@"+name]) {
		if v == "*" || v == value {
			return true
		}
	}
	return false
}

func defaultNIC(model string) bool { return model == "rtl8139" || model == "e1000" }

// ownTap says that libvirt made up the name of a tap device: it drops such names
// from what it is given.
func ownTap(dev string) bool {
	for _, prefix := range []string{"vnet", "macvtap", "macvlan", "veth"} {
		if digits, ok := strings.CutPrefix(dev, prefix); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
			return true
		}
	}
	return false
}

// atRuntime says that a path was made when the domain was started.
func atRuntime(path string) bool {
	return strings.HasPrefix(path, "/dev/pts/") || strings.Contains(path, "/libvirt/qemu/channel/")
}

// aliasOf says that libvirt makes this version of a machine type of the alias.
func aliasOf(alias, version string) bool {
	switch alias {
	case "pc":
		return strings.HasPrefix(version, "pc-i440fx-")
	case "q35":
		return strings.HasPrefix(version, "pc-q35-")
	}
	return strings.HasPrefix(version, alias+"-")
}

// sameNumber compares hexadecimal and decimal numbers.
func sameNumber(v, w string) bool {
	if !strings.HasPrefix(v, "0x") && !strings.HasPrefix(w, "0x") {
		return false
	}
	x, err := strconv.ParseUint(v, 0, 64)
	y, other := strconv.ParseUint(w, 0, 64)
	return err == nil && other == nil && x == y
}
