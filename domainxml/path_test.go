package domainxml_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

const pathDoc = `<domain type='kvm' xmlns:q='urn:q'>
  <name>a</name>
  <devices>
    <disk device='cdrom'><target dev='sda'/></disk>
    <disk device='disk'><target dev='vda'/><serial>root</serial></disk>
    <disk device='disk'><target dev='vdb'/><serial>it's</serial><target dev='vdc'/></disk>
    <disk device='disk'><target dev='vdc'/></disk>
    <interface/><interface><mac address='52:54:00:00:00:01'/></interface>
    <graphics type='vnc'/><graphics type='vnc'/><graphics type='spice'/>
  </devices>
  <q:arg value='1'/><q:arg value='2'/>
</domain>`

// Find names each place so that the name leads back to it alone.
func TestFind(t *testing.T) {
	d := mustParse(t, pathDoc)
	for path, want := range map[string]string{
		"name":                               "/domain/name",
		"/domain":                            "/domain",
		"/*":                                 "/domain",
		"/domain[@type='kvm']/name":          "/domain/name",
		"/domain[2]":                         "",
		"/domain[1][1]/name":                 "/domain/name",
		"/network":                           "",
		"@type":                              "/domain/@type",
		"/domain/@type":                      "/domain/@type",
		"@none":                              "",
		"*/@type":                            "",
		"*/*/@type":                          "/domain/devices/graphics[1]/@type /domain/devices/graphics[2]/@type /domain/devices/graphics[@type='spice']/@type",
		"devices/disk[1]":                    "/domain/devices/disk[target/@dev='sda']",
		"devices/disk[3]":                    "/domain/devices/disk[target/@dev='vdb']",
		"devices/disk[4]":                    "/domain/devices/disk[4]", // vdc is a target of the third, too
		"devices/disk[9]":                    "",
		"devices/disk[target/@dev='vdc']":    "/domain/devices/disk[target/@dev='vdb'] /domain/devices/disk[4]",
		"devices/disk[target/@dev='vdc'][2]": "/domain/devices/disk[4]",
		"devices/disk[2][target/@dev='vdc']": "",
		"devices/disk[@device='disk'][2]":    "/domain/devices/disk[target/@dev='vdb']",
		"devices/disk[serial='root']/target": "/domain/devices/disk[target/@dev='vda']/target",
		`devices/disk[serial="it's"]/serial`: "/domain/devices/disk[target/@dev='vdb']/serial",
		"devices/disk[serial]":               "error",
		"devices/*[mac/@address='52:54:00:00:00:01']": "/domain/devices/interface[mac/@address='52:54:00:00:00:01']",
		"devices/interface[1]":                        "/domain/devices/interface[1]",
		"q:arg[2]/@value":                             "/domain/q:arg[2]/@value",
		"arg":                                         "",
		"devices/disk/target/@dev[1]":                 "error",
		"":                                            "error",
		"/":                                           "error",
		"//disk":                                      "error",
		"devices/":                                    "error",
		"devices//disk":                               "error",
		"devices/@":                                   "error",
		"@a/b":                                        "error",
		"devices/disk[0]":                             "error",
		"devices/disk[-1]":                            "error",
		"devices/disk[99999999999999999999]":          "error",
		"devices/disk[]":                              "error",
		"devices/disk[1":                              "error",
		"devices/disk[target/@dev=vda]":               "error",
		"devices/disk[target/@dev='vda]":              "error",
		"devices/disk[target/@dev='vda'":              "error",
		"devices/disk[@dev]":                          "error",
		"devices/disk[@=\"a\"]":                       "error",
		"devices/disk[last()]":                        "error",
		"devices/disk[@device!='disk']":               "error",
		"devices | name":                              "error",
		"devices/disk ":                               "error",
		"text()":                                      "error",
		"..":                                          "error",
		".":                                           "error",
		":a":                                          "error",
		"a:b:c":                                       "error",
		"1":                                           "error",
		"devices/disk[target/@dev='" + strings.Repeat("a", 60_000) + "']": "",
		strings.Repeat("a/", 40_000) + "a":                                "error",
		strings.Repeat("a/", 10_000) + "a":                                "",
	} {
		have, err := d.Find(path)
		if want == "error" {
			require.ErrorContains(t, err, "domainxml: ", path)
			_, err = d.Get(path)
			require.Error(t, err)
			_, err = d.Element(path)
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, path)
		require.Equal(t, want, strings.Join(have, " "), path)
		for _, name := range have {
			again, err := d.Find(name)
			require.NoError(t, err)
			require.Equal(t, []string{name}, again)
		}
		if want == "" {
			_, err := d.Get(path)
			require.ErrorIs(t, err, domainxml.ErrNotFound)
		}
	}
}

func TestElement(t *testing.T) {
	d := mustParse(t, pathDoc)
	text, err := d.Element("devices/disk[1]")
	require.NoError(t, err)
	require.Equal(t, "<disk device='cdrom'><target dev='sda'/></disk>", text)
	text, err = d.Element("/domain")
	require.NoError(t, err)
	require.Equal(t, pathDoc, text)
	_, err = d.Element("@type")
	require.ErrorIs(t, err, domainxml.ErrNotFound)
	_, err = d.Element("devices/tpm")
	require.ErrorIs(t, err, domainxml.ErrNotFound)
	_, err = d.Element("devices/disk")
	require.ErrorContains(t, err, "names 4 elements")
}

// The first that has it counts, as in libvirt.
func TestGetFirst(t *testing.T) {
	d := mustParse(t, "<domain><name>a</name><name>b</name><x/><x y='1'/><x y='2'/></domain>")
	for path, want := range map[string]string{"name": "a", "name[2]": "b", "x/@y": "1", "x[3]/@y": "2", "x": ""} {
		have, err := d.Get(path)
		require.NoError(t, err, path)
		require.Equal(t, want, have, path)
	}
}

// Names stay apart whatever is in the keys.
func TestFindHostileKeys(t *testing.T) {
	d := mustParse(t, `<domain><devices><disk><target dev="'"/></disk><disk><target dev='"'/></disk><disk><target dev="'&quot;"/></disk>`+
		`<disk><target dev="]"/></disk><disk><target dev="a&#10;b"/></disk><disk><target dev=""/></disk><disk><target dev="`+strings.Repeat("x", 500)+`"/></disk></devices></domain>`)
	names, err := d.Find("devices/disk")
	require.NoError(t, err)
	require.Len(t, names, 7)
	for _, name := range names {
		require.Less(t, len(name), 200)
		again, err := d.Find(name)
		require.NoError(t, err)
		require.Equal(t, []string{name}, again)
	}
}
