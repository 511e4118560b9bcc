package domainxml

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// SetCPUs gives the guest vCPUs: how many it has when it starts, and up to how
// many it can grow. The sockets of a topology follow; pins of vCPUs that are no
// more are removed, and so is the list of single vCPUs (vcpus), which libvirt
// refuses if it does not fit. What else names vCPUs is not changed: NUMA cells are
// an error, as are schedulers and shares of the cache for vCPUs that are no more.
func (d *Document) SetCPUs(current, maximum int) error {
	now, most := current, maximum
	if now < 1 || most < now || most > math.MaxUint16 {
		return fmt.Errorf("domainxml: vCPUs: %d of %d: one or more now, and no more than the maximum", now, most)
	}
	inv, err := d.Inventory()
	if err != nil || inv.CPUs == now && inv.MaxCPUs == most {
		return err
	}
	edits := []Edit{Set("vcpu", strconv.Itoa(most))}
	switch {
	case now < most:
		edits = append(edits, Set("vcpu/@current", strconv.Itoa(now)))
	case d.deep(d.domain, "current", "vcpu") != "":
		edits = append(edits, Remove("vcpu/@current"))
	}
	if d.down(d.domain, "vcpus") != 0 {
		edits = append(edits, Remove("vcpus"))
	}
	if most != inv.MaxCPUs {
		if d.down(d.domain, "cpu", "numa", "cell") != 0 {
			return fmt.Errorf("domainxml: cpu/numa: the vCPUs are assigned to cells; change them together with these")
		}
		if edits, err = d.topology(edits, most); err != nil {
			return err
		}
	}
	lost, err := d.lostPins(most)
	if err != nil {
		return err
	}
	return d.apply(lost, edits)
}

// topology keeps what a socket has, and changes their number.
func (d *Document) topology(edits []Edit, most int) ([]Edit, error) {
	t := d.down(d.domain, "cpu", "topology")
	if t == 0 {
		return edits, nil
	}
	socket := 1
	for _, name := range []string{"dies", "clusters", "cores", "threads"} {
		if v, err := strconv.Atoi(d.get(t, name)); err == nil && v > 0 && v <= math.MaxUint16 {
			socket *= v
		}
	}
	if socket < 1 || most%socket != 0 {
		return nil, fmt.Errorf("domainxml: cpu/topology: sockets of %d vCPUs do not give %d", socket, most)
	}
	return append(edits, Set("cpu/topology/@sockets", strconv.Itoa(most/socket))), nil
}

// lostPins returns those of vCPUs that are no more.
func (d *Document) lostPins(most int) ([]id, error) {
	tune := d.down(d.domain, "cputune")
	if tune == 0 {
		return nil, nil
	}
	var lost []id
	for n := d.nodes[tune].first; n != 0; n = d.nodes[n].next {
		if v, err := strconv.Atoi(d.get(n, "vcpu")); err == nil && v >= most && d.name(n) == "vcpupin" {
			lost = append(lost, n)
		}
		if set := d.get(n, "vcpus"); highest(set) >= most {
			return nil, fmt.Errorf("domainxml: cputune/%s: vcpus=%q has more than %d vCPUs; change it first", d.name(n), set, most)
		}
	}
	return lost, nil
}

// highest is the largest number in a set such as "0-3,^2,8".
func highest(set string) int {
	most := -1
	for _, text := range strings.FieldsFunc(set, func(r rune) bool { return r == ',' || r == '-' || r == ' ' }) {
		if v, err := strconv.Atoi(text); err == nil {
			most = max(most, v)
		}
	}
	return most
}

// SetMemory gives the guest memory, in bytes that are rounded up to KiB: what it
// has when it starts (<currentMemory>), and up to how much its balloon can grow
// (<memory>). Memory of NUMA cells is not changed: that is an error, as is more
// than <maxMemory>, or than memtune's hard_limit, at which the guest would be killed.
func (d *Document) SetMemory(current, maximum uint64) error {
	now, most := current, maximum
	if now < 1 || most < now || most > math.MaxInt64 {
		return fmt.Errorf("domainxml: memory: %d of %d bytes: more than none now, and no more than the maximum", now, most)
	}
	inv, err := d.Inventory()
	if err != nil {
		return err
	}
	now, most = uint64(kib(now))*1024, uint64(kib(most))*1024
	if most != inv.MaxMemory && d.down(d.domain, "cpu", "numa", "cell") != 0 {
		return fmt.Errorf("domainxml: cpu/numa: the memory is assigned to cells; change it together with these")
	}
	for _, n := range []id{d.child(d.domain, "maxMemory"), d.down(d.domain, "memtune", "hard_limit")} {
		if n == 0 {
			continue
		}
		if limit, err := scaled(d.own(n), d.get(n, "unit")); err != nil || limit < most {
			return fmt.Errorf("domainxml: %s: %q %s is less than %d bytes", d.name(n), d.own(n), d.get(n, "unit"), most)
		}
	}
	edits := d.amount(nil, "memory", most)
	if now != most || d.child(d.domain, "currentMemory") != 0 {
		edits = d.amount(edits, "currentMemory", now)
	}
	return d.Apply(edits...)
}

// amount sets one of memory, in its own unit where that gives a whole number.
func (d *Document) amount(edits []Edit, name string, bytes uint64) []Edit {
	n := d.child(d.domain, name)
	if n == 0 {
		return append(edits, Set(name+"/@unit", "KiB"), Set(name, strconv.FormatUint(bytes/1024, 10)))
	}
	if have, err := scaled(d.own(n), d.get(n, "unit")); err == nil && have == bytes {
		return edits
	}
	if u := units[strings.ToLower(d.get(n, "unit"))]; bytes%u == 0 {
		return append(edits, Set(name, strconv.FormatUint(bytes/u, 10)))
	}
	return append(edits, Set(name+"/@unit", "KiB"), Set(name, strconv.FormatUint(bytes/1024, 10)))
}

// SetBoot says from which devices the guest boots, in this order: disks by their
// target, NICs by their MAC. All other devices are not booted from, and the older
// list below os is removed, with which libvirt refuses the order of devices. With
// no devices nothing is said any more, and libvirt boots from the first disk.
func (d *Document) SetBoot(devices ...string) error {
	if err := d.valid(); err != nil {
		return err
	}
	names := d.naming()
	others := d.boots()
	var edits []Edit
	for i, name := range devices {
		n, err := d.device(name)
		if err != nil {
			return err
		}
		if slices.Contains(devices[:i], name) {
			return fmt.Errorf("domainxml: boot order: %s is there twice", name)
		}
		at := names.path(n)
		if boot := d.child(n, "boot"); boot != 0 {
			others = slices.DeleteFunc(others, func(n id) bool { return n == boot })
			at = names.path(boot)
		} else {
			at += "/boot"
		}
		edits = append(edits, Set(at+"/@order", strconv.Itoa(i+1)))
	}
	return d.apply(others, edits)
}

// boots are all elements that say what is booted from.
func (d *Document) boots() []id {
	list := d.grandchildren(d.domain, "os", "boot")
	for _, c := range d.grandchildren(d.domain, "devices", "*") {
		list = append(list, d.children(c, "boot")...)
	}
	return list
}

// device finds a disk by its target or a NIC by its MAC.
func (d *Document) device(name string) (id, error) {
	var found []id
	for _, c := range d.grandchildren(d.domain, "devices", "*") {
		disk := d.name(c) == "disk" && d.deep(c, "dev", "target") == name
		nic := d.name(c) == "interface" && strings.EqualFold(d.deep(c, "address", "mac"), name)
		if name != "" && (disk || nic) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("%w: a disk or NIC %q", ErrNotFound, name)
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("%w: %d disks or NICs are %q", ErrAmbiguous, len(found), name)
}
