package domainxml_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// seeds are the documents that fuzzing begins with. Large ones only slow it down.
func seeds(f *testing.F, add func(doc string)) {
	for _, doc := range withDomain(f) {
		if len(doc) < 8<<10 {
			add(doc)
		}
	}
	for _, tt := range malformed {
		add(tt.doc)
	}
	for _, tt := range wellFormed {
		add(tt.doc)
	}
}

// lax are the problems for which Parse refuses what encoding/xml takes: see the
// table malformed, and the limits.
var lax = []string{
	"without a name", "a name of more than", "XML declaration", "another version", "standalone", "ASCII", "another encoding", "document type",
	"declarations", "white space is missing", "cannot carry", "more than", "nested", "begins no reference", "not UTF-8",
	"not in quotes", "has no value", "does not end",
}

// FuzzParse: a document is refused, or kept to the byte and understood as
// encoding/xml understands it.
func FuzzParse(f *testing.F) {
	seeds(f, func(doc string) { f.Add([]byte(doc)) })
	f.Fuzz(func(t *testing.T, doc []byte) {
		begin := time.Now()
		d, err := domainxml.Parse(doc)
		require.Less(t, time.Since(begin), patience)
		facts, other := flatten(string(doc))
		if err != nil {
			require.Nil(t, d)
			var syntax *domainxml.SyntaxError
			if errors.As(err, &syntax) && other == nil {
				known := slices.ContainsFunc(lax, func(s string) bool { return strings.Contains(syntax.Problem, s) })
				require.True(t, known, "encoding/xml takes it: %v", err)
			}
			return
		}
		require.Equal(t, string(doc), d.String())
		if other != nil {
			require.ErrorContains(t, other, "invalid XML name", "Parse takes it") // of the fifth edition
			return
		}
		if len(facts) < 500 {
			agrees(t, d, facts)
		}
	})
}

// FuzzRead: no document makes Read panic, and what it read once it reads again.
func FuzzRead(f *testing.F) {
	seeds(f, func(doc string) { f.Add([]byte(doc)) })
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

// FuzzEdit: an edit fails and leaves the text alone, or changes what it names. With
// nth, the path begins at that element of the document.
func FuzzEdit(f *testing.F) {
	n := 0
	seeds(f, func(doc string) {
		n++
		f.Add([]byte(doc), byte(n), uint16(n*7), "", "a")
		f.Add([]byte(doc), byte(n), uint16(n*11), "/@type", hostile)
		f.Add([]byte(doc), byte(n), uint16(0), "devices/disk[target/@dev='vda']/driver/@cache", "none")
		f.Add([]byte(doc), byte(0), uint16(0), "cputune/vcpupin[@vcpu='0'][@x=\"y\"]/@cpuset", "2")
		f.Add([]byte(doc), byte(1), uint16(n), "", "<a b='c'>\n  <d/>\n</a>")
		f.Add([]byte(doc), byte(2), uint16(n*3), "", "")
	})
	f.Fuzz(func(t *testing.T, doc []byte, op byte, nth uint16, path, value string) {
		d, err := domainxml.Parse(doc)
		if err != nil || len(doc) > 32<<10 {
			return
		}
		before := d.String()
		facts, err := flatten(before)
		if err != nil {
			return // a name of the fifth edition
		}
		e := domainxml.Edit{Op: []domainxml.Op{domainxml.OpSet, domainxml.OpAdd, domainxml.OpRemove}[op%3], Path: path, Value: value}
		place := -1
		if nth > 0 {
			place = nthElement(facts, int(nth))
			e.Path = facts[place].Path + path
		}
		again, err := d.Find(e.Path)
		if err != nil {
			require.Error(t, d.Apply(e))
			require.Equal(t, before, d.String())
			return
		}
		if err := d.Apply(e); err != nil {
			require.Equal(t, before, d.String())
			return
		}
		after := d.String()
		now, err := flatten(after)
		if err != nil {
			require.ErrorContains(t, err, "invalid XML name") // that the path has
			return
		}
		if place >= 0 {
			inPlace(t, before, after, facts, place, e.Op)
		}
		judge(t, facts, now, e, len(again) > 0)
		if e.Op == domainxml.OpSet && !strings.Contains(path, "[") {
			have, err := d.Get(e.Path)
			require.NoError(t, err)
			require.Equal(t, value, have)
			require.NoError(t, d.Apply(e))
			require.Equal(t, after, d.String())
		}
	})
}

// nthElement is the index of an element's fact, in circles.
func nthElement(facts []fact, n int) int {
	var list []int
	for i, f := range facts {
		if f.Kind == "element" {
			list = append(list, i)
		}
	}
	return list[n%len(list)]
}

// inPlace requires that but the element, and the white space around one that is
// removed, nothing has changed.
func inPlace(t *testing.T, before, after string, facts []fact, place int, op domainxml.Op) {
	t.Helper()
	f := facts[place]
	for gap := f.from; op == domainxml.OpRemove && gap > 0 && strings.ContainsRune(" \t\r\n", rune(before[gap-1])); gap-- {
		if after == before[:gap-1]+before[f.to:] {
			return
		}
	}
	outside(t, before, after, f.from, f.to)
}

// judge requires that the facts differ in one run only, as the edit may do it.
func judge(t *testing.T, before, after []fact, e domainxml.Edit, there bool) {
	t.Helper()
	gone, come := cut(bare(before), bare(after))
	kinds := func(facts []fact, allowed ...string) {
		for _, f := range facts {
			require.Contains(t, allowed, f.Kind, "%v: gone %v, come %v", e, gone, come)
		}
	}
	attribute := strings.Contains(e.Path[strings.LastIndexAny(e.Path, "/]")+1:], "@")
	switch {
	case e.Op == domainxml.OpAdd:
		require.Empty(t, gone)
		added, err := flatten(strings.Trim(e.Value, " \t\r\n"))
		require.NoError(t, err)
		require.Len(t, come, len(bare(added)))
	case e.Op == domainxml.OpRemove && attribute:
		require.Len(t, gone, 1)
		kinds(gone, "attribute")
		require.Empty(t, come)
	case e.Op == domainxml.OpRemove:
		require.NotEmpty(t, gone)
		kinds(come, "text") // two runs that are one now
	case !there:
		require.LessOrEqual(t, len(gone), 1)
		kinds(gone, "attribute")
		kinds(come, "element", "attribute", "text")
	case attribute:
		require.LessOrEqual(t, len(gone)+len(come), 2)
		kinds(gone, "attribute")
		kinds(come, "attribute")
	default:
		kinds(gone, "text", "comment", "instruction")
		kinds(come, "text", "comment", "instruction")
	}
}

// bare are the facts without the numbers of elements, and without blank text.
func bare(facts []fact) []fact {
	var list []fact
	for _, f := range facts {
		if !f.blank() {
			list = append(list, fact{Path: f.plain, Kind: f.Kind, Name: f.Name, Value: f.Value})
		}
	}
	return list
}

// cut takes away what two lists begin and end with in common.
func cut(a, b []fact) (ra, rb []fact) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return slices.Clip(a), slices.Clip(b)
}

// FuzzChange: each typed change fails and leaves the text alone, or is what the
// inventory says then; made twice it changes nothing more.
func FuzzChange(f *testing.F) {
	seeds(f, func(doc string) {
		f.Add([]byte(doc), 1, 2, uint64(1<<30), uint64(1<<31), "vda", mac, "text")
		f.Add([]byte(doc), 8, 8, uint64(1), uint64(1<<40+1), "sda", "52:54:00:aa:bb:01", hostile)
	})
	f.Fuzz(func(t *testing.T, doc []byte, cpus, maxCPUs int, memory, maxMemory uint64, disk, nic, text string) {
		if _, err := domainxml.Read(doc); err != nil || len(doc) > 32<<10 {
			return
		}
		run := func(change func(*domainxml.Document) error) *domainxml.Inventory {
			d := mustParse(t, string(doc))
			if err := change(d); err != nil {
				require.Equal(t, string(doc), d.String())
				return nil
			}
			inv, err := d.Inventory()
			require.NoError(t, err)
			once := d.String()
			if err := change(d); err == nil {
				require.Equal(t, once, d.String())
			}
			return inv
		}
		if inv := run(func(d *domainxml.Document) error { return d.SetCPUs(cpus, maxCPUs) }); inv != nil {
			require.Equal(t, [2]int{cpus, maxCPUs}, [2]int{inv.CPUs, inv.MaxCPUs})
		}
		if inv := run(func(d *domainxml.Document) error { return d.SetMemory(memory, maxMemory) }); inv != nil {
			require.Equal(t, [2]uint64{(memory + 1023) >> 10 << 10, (maxMemory + 1023) >> 10 << 10}, [2]uint64{inv.Memory, inv.MaxMemory})
		}
		run(func(d *domainxml.Document) error { return d.SetBoot(disk, nic) })
		run(func(d *domainxml.Document) error { return d.RemoveDisk(disk) })
		run(addNIC(domainxml.NIC{Bridge: text, MAC: nic}))
		if inv := run(func(d *domainxml.Document) error { return d.SetMetadata(record(text)) }); inv != nil {
			require.Equal(t, text, inv.Metadata[ours])
		}
		d := mustParse(t, string(doc))
		if target, err := d.AddDisk(domainxml.Disk{Path: text, Format: "raw"}); err == nil {
			inv, err := d.Inventory()
			require.NoError(t, err)
			require.Contains(t, inv.Disks, domainxml.DiskItem{Type: "file", Device: "disk", Target: target, Bus: "virtio", Format: "raw", Source: text})
			require.NoError(t, d.RemoveDisk(target))
		} else {
			require.Equal(t, string(doc), d.String())
		}
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
