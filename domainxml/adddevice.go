package domainxml

import (
	"fmt"
	"strings"
)

// AddDisk adds a VirtIO disk as [Build] makes them, at the first target that is
// free, which it returns. A file that another disk has is an error.
func (d *Document) AddDisk(disk Disk) (string, error) {
	if err := d.valid(); err != nil {
		return "", err
	}
	if err := disk.valid(); err != nil {
		return "", fmt.Errorf("domainxml: disk: %w", err)
	}
	used := map[string]bool{}
	for _, n := range d.grandchildren(d.domain, "devices", "disk") {
		used[d.deep(n, "dev", "target")] = true
		if d.source(n) == disk.Path {
			return "", fmt.Errorf("domainxml: disk: %q is the source of %q already", disk.Path, d.deep(n, "dev", "target"))
		}
	}
	i := 0
	for used[target(i)] {
		i++
	}
	device := diskDevice(i, disk)
	return target(i), d.addDevice(&device)
}

// addDevice adds what the model makes, in the style of the document.
func (d *Document) addDevice(device interface{ Marshal() (string, error) }) error {
	text, err := device.Marshal()
	if err != nil {
		return fmt.Errorf("domainxml: %w", err)
	}
	t, err := parse(text)
	if err != nil {
		return err
	}
	c := d.changes()
	if err := c.put(&path{text: "devices", steps: []step{{name: "devices"}}}, t.element(0)); err != nil {
		return err
	}
	return c.commit()
}

// RemoveDisk removes the disk with that target. The error is [ErrNotFound] if
// there is none.
func (d *Document) RemoveDisk(target string) error { return d.removeDevice("disk", target) }

// AddNIC adds a VirtIO NIC as [Build] makes them. A MAC that is there already is
// an error.
func (d *Document) AddNIC(nic NIC) error {
	if err := d.valid(); err != nil {
		return err
	}
	if err := nic.valid(); err != nil {
		return fmt.Errorf("domainxml: NIC: %w", err)
	}
	for _, n := range d.grandchildren(d.domain, "devices", "interface") {
		if strings.EqualFold(d.deep(n, "address", "mac"), nic.MAC) {
			return fmt.Errorf("domainxml: NIC: the MAC %s is there already", nic.MAC)
		}
	}
	device := nicDevice(nic)
	return d.addDevice(&device)
}

// RemoveNIC removes the NIC with that MAC, in upper or lower case. The error is
// [ErrNotFound] if there is none.
func (d *Document) RemoveNIC(mac string) error { return d.removeDevice("interface", mac) }

func (d *Document) removeDevice(kind, name string) error {
	if err := d.valid(); err != nil {
		return err
	}
	n, err := d.device(name)
	if err != nil {
		return err
	}
	if d.name(n) != kind {
		return fmt.Errorf("%w: %q is no %s", ErrNotFound, name, kind)
	}
	return d.Apply(Remove(d.naming().path(n)))
}

// SetMetadata puts an element with text into the metadata, in the place of the one
// of its namespace: libvirt keeps one for each. Where there is one of the same name
// without elements in it, its text alone changes.
func (d *Document) SetMetadata(m Metadata) error {
	if err := d.valid(); err != nil {
		return err
	}
	if err := m.valid(); err != nil {
		return fmt.Errorf("domainxml: %w", err)
	}
	text, err := m.render(true)
	if err != nil {
		return err
	}
	old := d.metadata(m.Namespace)
	if len(old) == 1 && d.local(old[0]) == m.Element && d.nodes[old[0]].first == 0 {
		return d.Apply(Set(d.naming().path(old[0]), m.Text))
	}
	return d.apply(old, []Edit{Add("metadata", text)})
}

// RemoveMetadata removes the element of a namespace. The error is [ErrNotFound] if
// there is none.
func (d *Document) RemoveMetadata(namespace string) error {
	if err := d.valid(); err != nil {
		return err
	}
	old := d.metadata(namespace)
	if len(old) == 0 {
		return fmt.Errorf("%w: metadata of %q", ErrNotFound, namespace)
	}
	return d.apply(old, nil)
}

// metadata returns the elements of a namespace.
func (d *Document) metadata(namespace string) []id {
	var list []id
	if all := d.child(d.domain, "metadata"); all != 0 {
		for c := d.nodes[all].first; c != 0; c = d.nodes[c].next {
			if d.namespace(c) == namespace {
				list = append(list, c)
			}
		}
	}
	return list
}
