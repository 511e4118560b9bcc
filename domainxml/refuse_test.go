package domainxml_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

func TestBuildRefuses(t *testing.T) {
	type change = func(*domainxml.Guest)
	for name, f := range map[string]change{
		"no name":            func(g *domainxml.Guest) { g.Name = "" },
		"no UUID":            func(g *domainxml.Guest) { g.UUID = "" },
		"no CPUs":            func(g *domainxml.Guest) { g.CPUs = 0 },
		"negative CPUs":      func(g *domainxml.Guest) { g.CPUs = -1 },
		"no memory":          func(g *domainxml.Guest) { g.Memory = 0 },
		"too much memory":    func(g *domainxml.Guest) { g.Memory = math.MaxInt64 + 1 },
		"most memory":        func(g *domainxml.Guest) { g.Memory = math.MaxUint64 },
		"no path":            func(g *domainxml.Guest) { g.Disks[1].Path = "" },
		"no format":          func(g *domainxml.Guest) { g.Disks[0].Format = "" },
		"no bridge":          func(g *domainxml.Guest) { g.NICs[0].Bridge = "" },
		"no MAC":             func(g *domainxml.Guest) { g.NICs[0].MAC = "" },
		"no prefix":          func(g *domainxml.Guest) { g.Metadata[0].Prefix = "" },
		"no element":         func(g *domainxml.Guest) { g.Metadata[0].Element = "" },
		"no namespace":       func(g *domainxml.Guest) { g.Metadata[0].Namespace = "" },
		"prefix with colon":  func(g *domainxml.Guest) { g.Metadata[0].Prefix = "a:b" },
		"prefix that breaks": func(g *domainxml.Guest) { g.Metadata[0].Prefix = `a="x"><b` },
		"reserved prefix":    func(g *domainxml.Guest) { g.Metadata[0].Prefix = "xmlns" },
		"element with space": func(g *domainxml.Guest) { g.Metadata[0].Element = "a b" },
		"element that ends":  func(g *domainxml.Guest) { g.Metadata[0].Element = "a/" },
		"digit first":        func(g *domainxml.Guest) { g.Metadata[0].Element = "1a" },
		"namespace twice":    func(g *domainxml.Guest) { g.Metadata = append(g.Metadata, g.Metadata[0]) },
	} {
		g := ordinary()
		f(&g)
		text, err := domainxml.Build(g)
		require.Error(t, err, name)
		require.ErrorContains(t, err, "domainxml: ", name)
		require.Nil(t, text, name)
	}
}

// What XML cannot carry is refused: encoding/xml would write U+FFFD in its place.
func TestBuildRefusesWhatXMLCannotCarry(t *testing.T) {
	fields := map[string]func(*domainxml.Guest) *string{
		"name":        func(g *domainxml.Guest) *string { return &g.Name },
		"UUID":        func(g *domainxml.Guest) *string { return &g.UUID },
		"machine":     func(g *domainxml.Guest) *string { return &g.Machine },
		"console log": func(g *domainxml.Guest) *string { return &g.ConsoleLog },
		"kernel":      func(g *domainxml.Guest) *string { return &g.Kernel.Image },
		"initrd":      func(g *domainxml.Guest) *string { return &g.Kernel.Initrd },
		"cmdline":     func(g *domainxml.Guest) *string { return &g.Kernel.Cmdline },
		"path":        func(g *domainxml.Guest) *string { return &g.Disks[1].Path },
		"format":      func(g *domainxml.Guest) *string { return &g.Disks[1].Format },
		"serial":      func(g *domainxml.Guest) *string { return &g.Disks[1].Serial },
		"bridge":      func(g *domainxml.Guest) *string { return &g.NICs[0].Bridge },
		"MAC":         func(g *domainxml.Guest) *string { return &g.NICs[0].MAC },
		"device":      func(g *domainxml.Guest) *string { return &g.NICs[0].Device },
		"namespace":   func(g *domainxml.Guest) *string { return &g.Metadata[0].Namespace },
		"text":        func(g *domainxml.Guest) *string { return &g.Metadata[0].Text },
	}
	strict := map[string]string{"namespace": "is no URI", "format": "neither qcow2 nor raw", "MAC": "not the MAC of one card"}
	bad := []string{"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\uffff", "\ufffe"}
	for c := range rune(0x20) {
		if c != '\t' && c != '\n' && c != '\r' {
			bad = append(bad, string(c))
		}
	}
	for name, field := range fields {
		for _, s := range bad {
			g := ordinary()
			g.Kernel = &domainxml.Kernel{}
			*field(&g) = "a" + s + "b"
			_, err := domainxml.Build(g)
			require.Error(t, err, "%s with %q", name, s)
			require.NotContains(t, err.Error(), s, "%s: an error text with bytes that spoil a log", name)
		}
		for _, s := range []string{"\t", "\n", "\r", "\u007f", "\u0085", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"} {
			g := ordinary()
			g.Kernel = &domainxml.Kernel{}
			*field(&g) = "a" + s + "b"
			_, err := domainxml.Build(g)
			if want := strict[name]; want != "" {
				require.ErrorContains(t, err, want)
				continue
			}
			require.NoError(t, err, fmt.Sprintf("%s with %q", name, s))
		}
	}
}
