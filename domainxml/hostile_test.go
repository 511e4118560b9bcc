package domainxml_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		"a list of domains":        "<domstatus><domain/></domstatus>",
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
		"a huge unit":              `<domain><memory unit="` + strings.Repeat("K", 1<<20) + `">1</memory></domain>`,
	} {
		inv, err := read(t, []byte(doc))
		require.ErrorContains(t, err, "domainxml: ", name)
		require.Nil(t, inv, name)
	}
}

func utf16LE(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// Large or odd, but one document with a domain at its root.
func TestReadTakes(t *testing.T) {
	for name, doc := range map[string]string{
		"comments around":     "<!-- a --><domain><name>n</name></domain><!-- b -->",
		"instructions around": `<?xml version="1.0"?><?a b?><domain><name>n</name></domain><?c d?>`,
		"upper-case UTF-8":    `<?xml version="1.0" encoding="UTF-8"?><domain><name>n</name></domain>`,
		"lower-case utf-8":    `<?xml version='1.0' encoding='utf-8'?><domain><name>n</name></domain>`,
		"a DOCTYPE":           `<!DOCTYPE domain SYSTEM "http://127.0.0.1:1/x.dtd"><domain><name>n</name></domain>`,
		"unused entities":     `<!DOCTYPE domain [<!ENTITY n SYSTEM "file:///etc/passwd">]><domain><name>n</name></domain>`,
		"CDATA":               "<domain><name><![CDATA[n]]></name></domain>",
		"references":          "<domain><name>&#110;</name></domain>",
		"unknown elements":    "<domain><unknown a='b'><name>x</name></unknown><name>n</name><x/></domain>",
		"4 MiB":               "<domain><name>n</name>" + strings.Repeat(" ", 4<<20-100) + "</domain>",
		"nested 5000 deep":    "<domain><name>n</name>" + strings.Repeat("<a>", 5000) + strings.Repeat("</a>", 5000) + "</domain>",
		"a long comment":      "<domain><!--" + strings.Repeat(" -", 1<<20) + " --><name>n</name></domain>",
	} {
		inv, err := read(t, []byte(doc))
		require.NoError(t, err, name)
		require.Equal(t, "n", inv.Name, name)
	}
}

func TestReadManyChildren(t *testing.T) {
	const million = 1_000_000
	inv, err := read(t, []byte("<domain>"+strings.Repeat("<x/>", million)+"<name>n</name></domain>"))
	require.NoError(t, err)
	require.Equal(t, "n", inv.Name)

	inv, err = read(t, []byte("<domain><devices>"+strings.Repeat("<x/>", million/2)+strings.Repeat("<disk/>", 1000)+"</devices></domain>"))
	require.NoError(t, err)
	require.Len(t, inv.Disks, 1000)

	var metadata bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&metadata, `<a xmlns="urn:%d">%d</a>`, i, i)
	}
	inv, err = read(t, []byte("<domain><metadata>"+metadata.String()+"</metadata></domain>"))
	require.NoError(t, err)
	require.Len(t, inv.Metadata, 10_000)
	require.Equal(t, "9999", inv.Metadata["urn:9999"])
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
