package domainxml_test

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// FuzzRead: no document makes Read panic, and what it read once it reads again.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"testdata/read/*.xml", "testdata/build/*.xml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		require.NotEmpty(f, files)
		for _, file := range files {
			doc, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(doc)
		}
	}
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><domain><name>&b;</name></domain>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		one, err := domainxml.Read(doc)
		if err != nil {
			require.Nil(t, one)
			return
		}
		two, err := domainxml.Read(doc)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(one, two))
		require.True(t, utf8.ValidString(one.Name))
	})
}

// FuzzBuild: whatever the fields hold, Build either says what is wrong or makes
// a document that Read finds them in again, to the byte.
func FuzzBuild(f *testing.F) {
	g := ordinary()
	add := func(name, text string, cpus int, memory uint64) {
		f.Add(name, uuid, g.Machine, g.Disks[0].Path, g.Disks[0].Serial, g.NICs[0].MAC, g.NICs[0].Device, g.ConsoleLog, "p", "e", ours, text, cpus, memory, true)
	}
	add("web1", "text", 1, 1<<20)
	add(hostile, hostile, 4096, 1<<63-1)
	add("\x00", "\xff", -1, 0)
	add("\uffff", "\ufffd\r\n", 1, 1<<63)
	f.Fuzz(func(t *testing.T, name, id, machine, path, serial, mac, dev, log, prefix, element, ns, text string, cpus int, memory uint64, emulated bool) {
		g := domainxml.Guest{
			Name: name, UUID: id, Emulated: emulated, Machine: machine, CPUs: cpus, Memory: memory, ConsoleLog: log,
			Disks:    []domainxml.Disk{{Path: path, Format: "qcow2", Serial: serial}},
			NICs:     []domainxml.NIC{{Bridge: dev, MAC: mac, Device: dev}},
			Kernel:   &domainxml.Kernel{Image: path, Initrd: serial, Cmdline: text},
			Metadata: []domainxml.Metadata{{Namespace: ns, Prefix: prefix, Element: element, Text: text}},
		}
		doc, err := domainxml.Build(g)
		if err != nil {
			require.Nil(t, doc)
			return
		}
		have, err := domainxml.Read(doc)
		require.NoError(t, err, "%s", doc)
		want := expected(&g)
		want.NICs[0].MAC = have.NICs[0].MAC // its case is Read's
		require.Empty(t, cmp.Diff(want, have, cmpopts.EquateEmpty()), "%s", doc)
	})
}
