package domainxml_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// TestZeroDocument: nothing of the zero value panics, and what needs a domain says
// that there is none.
func TestZeroDocument(t *testing.T) {
	nic := domainxml.NIC{Bridge: "br0", MAC: "52:54:00:00:00:01"}
	for name, do := range map[string]func(*domainxml.Document) error{
		"Get":           func(d *domainxml.Document) error { _, err := d.Get("name"); return err },
		"Find":          func(d *domainxml.Document) error { _, err := d.Find("/domain"); return err },
		"Element":       func(d *domainxml.Document) error { _, err := d.Element("name"); return err },
		"Apply":         func(d *domainxml.Document) error { return d.Apply(domainxml.Set("name", "a")) },
		"Apply nothing": func(d *domainxml.Document) error { return d.Apply() },
		"Inventory":     func(d *domainxml.Document) error { _, err := d.Inventory(); return err },
		"Lint":          func(d *domainxml.Document) error { _, err := d.Lint(nil); return err },
		"SetCPUs":       func(d *domainxml.Document) error { return d.SetCPUs(1, 1) },
		"SetMemory":     func(d *domainxml.Document) error { return d.SetMemory(1<<30, 1<<30) },
		"SetBoot":       func(d *domainxml.Document) error { return d.SetBoot("vda") },
		"SetBoot no":    func(d *domainxml.Document) error { return d.SetBoot() },
		"AddDisk": func(d *domainxml.Document) error {
			_, err := d.AddDisk(domainxml.Disk{Path: "/a", Format: "raw"})
			return err
		},
		"AddNIC":     func(d *domainxml.Document) error { return d.AddNIC(nic) },
		"RemoveDisk": func(d *domainxml.Document) error { return d.RemoveDisk("vda") },
		"RemoveNIC":  func(d *domainxml.Document) error { return d.RemoveNIC(nic.MAC) },
		"SetMetadata": func(d *domainxml.Document) error {
			return d.SetMetadata(domainxml.Metadata{Namespace: "urn:a", Prefix: "a", Element: "b"})
		},
		"RemoveMetadata": func(d *domainxml.Document) error { return d.RemoveMetadata("urn:a") },
	} {
		d := new(domainxml.Document)
		require.ErrorIs(t, do(d), domainxml.ErrNoDomain, name)
		require.Empty(t, d.String(), name)
		require.Empty(t, d.Bytes(), name)
	}
	zero, full := new(domainxml.Document), mustParse(t, "<domain type='kvm'><name>a</name></domain>")
	require.Empty(t, domainxml.Diff(zero, zero))
	require.Equal(t, domainxml.Diff(mustParse(t, "<domain/>"), full), domainxml.Diff(zero, full))
	require.Len(t, domainxml.Diff(full, zero), 2)
}
