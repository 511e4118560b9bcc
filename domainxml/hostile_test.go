package domainxml_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// Each of these is a prompt error that names the package, never a part of the
// truth.
func TestReadRefuses(t *testing.T) {
	deep := strings.Repeat("<a>", 100_000)
	bomb := `<!DOCTYPE domain [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	for name, doc := range map[string]string{
		"nothing":                  "",
		"white space":              " \n\t",
		"a comment alone":          "<!-- <domain/> -->",
		"a declaration alone":      `<?xml version="1.0"?>`,
		"text":                     "error: failed to get domain",
		"text before":              "warning: x\n<domain/>",
		"text after":               "<domain/>\n(end)",
		"two roots":                "<domain/><domain/>",
		"another root":             "<network/>",
		"no domain below":          "<domstatus><taint/></domstatus>",
		"a domain two below":       "<domstatus><list><domain/></list></domstatus>",
		"case of the root":         "<Domain/>",
		"truncated tag":            "<domain><name>a</na",
		"truncated element":        "<domain><name>a</name>",
		"truncated comment":        "<domain><!-- ",
		"truncated CDATA":          "<domain><name><![CDATA[a</name></domain>",
		"crossed tags":             "<domain><a><b></a></b></domain>",
		"closed before":            "</domain><domain/>",
		"NUL in text":              "<domain><name>a\x00b</name></domain>",
		"NUL as an entity":         "<domain><name>a&#0;b</name></domain>",
		"NUL after":                "<domain/>\x00",
		"control character":        "<domain><name>\x1b[2J</name></domain>",
		"not UTF-8":                "<domain><name>\xff</name></domain>",
		"ISO-8859-1":               `<?xml version="1.0" encoding="ISO-8859-1"?><domain><name>` + "\xe4</name></domain>",
		"UTF-16 declared":          `<?xml version="1.0" encoding="UTF-16"?><domain/>`,
		"UTF-16":                   utf16LE("<domain/>"),
		"XML 1.1":                  `<?xml version="1.1"?><domain/>`,
		"an entity of its own":     `<!DOCTYPE domain [<!ENTITY n "a">]><domain><name>&n;</name></domain>`,
		"entities that are unused": `<!DOCTYPE domain [<!ENTITY n SYSTEM "file:///etc/passwd">]><domain/>`,
		"default of an attribute":  `<!DOCTYPE domain [<!ATTLIST domain type CDATA "lxc">]><domain/>`,
		"no declarations in [":     `<!DOCTYPE domain []><domain/>`,
		"an external entity":       `<!DOCTYPE domain [<!ENTITY n SYSTEM "file:///etc/passwd">]><domain><name>&n;</name></domain>`,
		"an entity bomb":           bomb + "<domain><name>&c;</name></domain>",
		"a bomb in an attribute":   bomb + `<domain type="&c;"/>`,
		"an HTML entity":           "<domain><name>&nbsp;</name></domain>",
		"a bare ampersand":         "<domain><name>a & b</name></domain>",
		"a bare attribute":         "<domain type=kvm/>",
		"deep and closed":          "<domain>" + deep + strings.Repeat("</a>", 100_000) + "</domain><b/>",
		"deep and open":            "<domain>" + deep,
		"deep before the root":     deep + "<domain/>",
		"deep inside metadata":     "<domain><metadata>" + deep,
		"17 MiB of text":           "<domain><name>" + strings.Repeat("a", 17<<20) + "</name></domain>",
		"17 MiB of white space":    "<domain/>" + strings.Repeat(" ", 17<<20),
		"a million open elements":  "<domain><devices>" + strings.Repeat("<disk>", 1_000_000),
		"a million roots":          strings.Repeat("<domain/>", 1_000_000),
		"a million bad attributes": "<domain " + strings.Repeat("a ", 1_000_000) + "/>",
		"257 levels":               nested(257),
		"5000 levels":              nested(5000),
		"16,385 elements":          "<domain>" + strings.Repeat("<x/>", 1<<14) + "</domain>",
		"a million children":       "<domain>" + strings.Repeat("<x/>", 1_000_000) + "</domain>",
		"257 attributes":           "<domain" + attributes(257) + "/>",
		"a name of 1025 bytes":     "<domain><" + strings.Repeat("a", 1025) + "/></domain>",
		"4 KiB of names":           "<domain>" + strings.Repeat("<"+strings.Repeat("a", 1000)+">", 5),
		"an attribute of that":     "<domain " + strings.Repeat("a", 1025) + "='b'/>",
		"more than 4 MiB":          "<domain>" + strings.Repeat(" ", 4<<20) + "</domain>",
		"a huge unit":              `<domain><memory unit="` + strings.Repeat("K", 1<<20) + `">1</memory></domain>`,
	} {
		inv, err := read(t, []byte(doc))
		require.ErrorContains(t, err, "domainxml: ", name)
		require.Nil(t, inv, name)
	}
}

// nested is a domain of n levels.
func nested(n int) string {
	return "<domain><name>n</name>" + strings.Repeat("<a>", n-1) + strings.Repeat("</a>", n-1) + "</domain>"
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d='%d'", i, i)
	}
	return b.String()
}

func utf16LE(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// Large or odd, but one document with a domain.
func TestReadTakes(t *testing.T) {
	for name, doc := range map[string]string{
		"comments around":     "<!-- a --><domain><name>n</name></domain><!-- b -->",
		"instructions around": `<?xml version="1.0"?><?a b?><domain><name>n</name></domain><?c d?>`,
		"upper-case UTF-8":    `<?xml version="1.0" encoding="UTF-8"?><domain><name>n</name></domain>`,
		"lower-case utf-8":    `<?xml version='1.0' encoding='utf-8'?><domain><name>n</name></domain>`,
		"an inner domain":     "<domstatus><taint/><domain><name>n</name></domain></domstatus>",
		"a snapshot's":        "<domainsnapshot><name>s</name><domain><name>n</name></domain><inactiveDomain/></domainsnapshot>",
		"inactive alone":      "<domainsnapshot><name>s</name><inactiveDomain><name>n</name></inactiveDomain></domainsnapshot>",
		"two names":           "<domain><name>n</name><name>m</name></domain>",
		"a DOCTYPE":           `<!DOCTYPE domain SYSTEM "http://127.0.0.1:1/x.dtd"><domain><name>n</name></domain>`,
		"CDATA":               "<domain><name><![CDATA[n]]></name></domain>",
		"references":          "<domain><name>&#110;</name></domain>",
		"unknown elements":    "<domain><unknown a='b'><name>x</name></unknown><name>n</name><x/></domain>",
		"4 MiB":               "<domain><name>n</name>" + strings.Repeat(" ", 4<<20-100) + "</domain>",
		"256 levels":          nested(256),
		"256 attributes":      "<domain" + attributes(256) + "><name>n</name></domain>",
		"names of 1024 bytes": "<domain " + strings.Repeat("a", 1024) + "='b'><name>n</name><" + strings.Repeat("a", 1024) + "/></domain>",
		"a long comment":      "<domain><!--" + strings.Repeat(" -", 1<<20) + " --><name>n</name></domain>",
	} {
		inv, err := read(t, []byte(doc))
		require.NoError(t, err, name)
		require.Equal(t, "n", inv.Name, name)
	}
}

// What is allowed at most is read in a moment: nothing takes the square of it.
func TestReadManyChildren(t *testing.T) {
	inv, err := read(t, []byte("<domain>"+strings.Repeat("<x/>", 1<<14-2)+"<name>n</name></domain>"))
	require.NoError(t, err)
	require.Equal(t, "n", inv.Name)

	inv, err = read(t, []byte("<domain><devices>"+strings.Repeat("<x/>", 1<<13)+strings.Repeat("<disk/>", 1<<12)+"</devices></domain>"))
	require.NoError(t, err)
	require.Len(t, inv.Disks, 1<<12)

	inv, err = read(t, []byte("<domain><name>n</name>"+strings.Repeat("<x"+attributes(256)+"/>", 1500)+"</domain>"))
	require.NoError(t, err)
	require.Equal(t, "n", inv.Name)

	var metadata bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&metadata, `<a xmlns="urn:%d">%d</a>`, i, i)
	}
	inv, err = read(t, []byte("<domain><metadata>"+metadata.String()+"</metadata></domain>"))
	require.NoError(t, err)
	require.Len(t, inv.Metadata, 10_000)
	require.Equal(t, "9999", inv.Metadata["urn:9999"])
}

// So are changes of such a document made.
func TestChangeManyDevices(t *testing.T) {
	var devices, pins strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&devices, "<disk><target dev='v%d'/><boot order='%d'/></disk>", i, i+1)
		fmt.Fprintf(&pins, "<vcpupin vcpu='%d' cpuset='0'/>", i)
	}
	d := mustParse(t, "<domain><vcpu>1</vcpu><cputune>"+pins.String()+"</cputune><devices>"+devices.String()+"</devices></domain>")
	begin := time.Now()
	require.NoError(t, d.SetBoot("v7", "v5"))
	require.NoError(t, d.SetCPUs(3, 3))
	_, err := d.AddDisk(domainxml.Disk{Path: "/a", Format: "raw"})
	require.NoError(t, err)
	boots, err := d.Find("devices/disk/boot/@order")
	require.NoError(t, err)
	require.Equal(t, []string{"/domain/devices/disk[target/@dev='v5']/boot/@order", "/domain/devices/disk[target/@dev='v7']/boot/@order"}, boots)
	pinned, err := d.Find("cputune/vcpupin")
	require.NoError(t, err)
	require.Len(t, pinned, 3)
	require.Less(t, time.Since(begin), patience)
}

// A document never makes Read open a file.
func TestReadOpensNothing(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("SECRET"), 0o600))
	for _, form := range []string{
		`<!DOCTYPE domain [<!ENTITY n SYSTEM "file://%s">]><domain><name>&n;</name></domain>`,
		`<!DOCTYPE domain [<!ENTITY %% n SYSTEM "file://%s"> %%n;]><domain><name>x</name></domain>`,
		`<domain xmlns:xi="http://www.w3.org/2001/XInclude"><name><xi:include href="%s" parse="text"/></name></domain>`,
	} {
		inv, err := read(t, fmt.Appendf(nil, form, secret))
		require.NotContains(t, fmt.Sprint(inv, err), "SECRET")
	}
}

// Cut at any byte, a document is an error, and not half of it.
func TestReadTruncated(t *testing.T) {
	doc, err := domainxml.Build(ordinary())
	require.NoError(t, err)
	end := bytes.LastIndexByte(doc, '>')
	for n := range end {
		_, err := domainxml.Read(doc[:n])
		require.Error(t, err, "cut after %d bytes", n)
	}
	_, err = domainxml.Read(doc[:end+1])
	require.NoError(t, err)
}

// Whatever a document is full of, judging it and all that is done about it takes a
// moment.
func TestLintManyDevices(t *testing.T) {
	devices := func(text string, n int) string {
		return "<domain type='kvm'><os><type machine='q35'>hvm</type></os><vcpu>4</vcpu><devices>" + strings.Repeat(text, n) + "</devices></domain>"
	}
	for name, text := range map[string]string{
		"sound":       devices("<sound/>", 16_000),
		"disks":       devices("<disk type='file'><target dev='sda' bus='sata'/></disk>", 8000),
		"NICs":        devices("<interface type='bridge'><mac address='52:54:00:00:00:01'/></interface>", 8000),
		"displays":    devices("<graphics type='vnc' passwd='x' listen='0.0.0.0'/>", 16_000),
		"controllers": devices("<disk type='file'><target dev='sda' bus='scsi'/></disk><controller type='scsi' index='1'/>", 5000),
		"labels":      "<domain type='kvm'>" + strings.Repeat("<seclabel type='none'/>", 16_000) + "</domain>",
		"features":    "<domain type='kvm'><cpu>" + strings.Repeat("<feature name='invtsc'/>", 8000) + "</cpu><clock>" + strings.Repeat("<timer name='x'/>", 8000) + "</clock></domain>",
		"comments":    "<domain type='kvm'><devices><sound/>" + strings.Repeat("<!---->", 500_000) + "</devices></domain>",
	} {
		d := mustParse(t, text)
		begin := time.Now()
		found, err := d.Lint(nil)
		require.NoError(t, err)
		var edits []domainxml.Edit
		for _, f := range found {
			edits = append(edits, f.Fix...)
		}
		require.NotEmpty(t, found, name)
		require.NotPanics(t, func() { err = d.Apply(edits...) })
		if err != nil {
			require.Equal(t, text, d.String(), name)
		}
		require.NoError(t, mustParse(t, text).Apply(domainxml.Add("devices", "<x/>")))
		require.Empty(t, domainxml.Diff(d, d), name)
		require.Less(t, time.Since(begin), patience, name)
	}
}
