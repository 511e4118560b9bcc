package domainxml_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// ruleCase is a document, or what stands in a domain of type kvm, and what a rule
// finds in it: "severity path", in the order of the text.
type ruleCase struct {
	name, doc string
	opts      domainxml.LintOptions
	want      []string
}

// runRule looks at each case, and sees that what has a fix is mended by it.
func runRule(t *testing.T, rule string, cases []ruleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			found := lint(t, example(c.doc), rule, c.opts)
			var got []string
			for _, f := range found {
				got = append(got, string(f.Severity)+" "+f.Path)
			}
			require.Equal(t, c.want, got)
			d, err := domainxml.Parse(example(c.doc))
			require.NoError(t, err)
			left := len(found)
			var edits []domainxml.Edit
			for _, f := range found {
				if len(f.Fix) > 0 {
					edits = append(edits, f.Fix...)
					left--
				}
			}
			require.NoError(t, d.Apply(edits...))
			require.Len(t, lint(t, d.Bytes(), rule, c.opts), left, "%s", d)
		})
	}
}

var guaranteed = domainxml.LintOptions{Guaranteed: true}

func TestLintBalloonGuaranteed(t *testing.T) {
	const locked = "<memoryBacking><locked/></memoryBacking>"
	runRule(t, "balloon-guaranteed", []ruleCase{
		{name: "not promised", doc: "<devices><memballoon model='virtio'/></devices>"},
		{name: "none", doc: locked + "<currentMemory>5</currentMemory><memory>9</memory><devices><memballoon model='none'/></devices>", opts: guaranteed},
		{name: "container", doc: "<domain type='lxc'>" + locked + "<devices/></domain>", opts: guaranteed},
		{name: "locked", doc: locked + "<devices><memballoon model='virtio'/></devices>", want: []string{"warning /domain/devices/memballoon"}},
		{
			name: "by the plan", doc: "<devices><memballoon model='virtio-non-transitional'><stats period='5'/><alias name='balloon0'/></memballoon></devices>",
			opts: guaranteed, want: []string{"error /domain/devices/memballoon"},
		},
		{name: "implied", doc: locked + "<devices><emulator>/q</emulator></devices>", want: []string{"warning /domain/devices"}},
		{name: "no devices", doc: locked, want: []string{"warning /domain"}},
		{
			name: "part of the memory", doc: locked + "<memory unit='MiB'>1</memory><currentMemory>512</currentMemory><devices><memballoon model='virtio'/></devices>",
			want: []string{"warning /domain/devices/memballoon"},
		},
	})
	part := lint(t, example(locked+"<memory unit='MiB'>1</memory><currentMemory>512</currentMemory>"), "balloon-guaranteed", domainxml.LintOptions{})
	require.Contains(t, part[0].Message, "part of the memory")
	all := lint(t, example(locked+"<memory unit='MiB'>1</memory><currentMemory>1024</currentMemory>"), "balloon-guaranteed", domainxml.LintOptions{})
	require.NotContains(t, all[0].Message, "part of the memory")
}

func TestLintBalloonStats(t *testing.T) {
	runRule(t, "balloon-stats", []ruleCase{
		{name: "period", doc: "<devices><memballoon model='virtio'><stats period='10'/></memballoon></devices>"},
		{name: "none", doc: "<devices><memballoon model='none'/></devices>"},
		{name: "promised", doc: "<devices><memballoon model='virtio'/></devices>", opts: guaranteed},
		{name: "huge", doc: "<memoryBacking><hugepages/></memoryBacking><devices><memballoon model='virtio'/></devices>"},
		{name: "container", doc: "<domain type='lxc'><devices/></domain>"},
		{name: "off", doc: "<devices><memballoon model='virtio'><stats period='0'/></memballoon></devices>", want: []string{"info /domain/devices/memballoon"}},
		{name: "implied", doc: "<devices><emulator>/q</emulator></devices>", want: []string{"info /domain/devices"}},
		{name: "no devices", doc: "<name>a</name>", want: []string{"info /domain"}},
	})
}

func TestLintMemoryBacking(t *testing.T) {
	runRule(t, "memory-locked-limit", []ruleCase{
		{name: "limit", doc: "<memtune><hard_limit>9</hard_limit></memtune><memoryBacking><locked/></memoryBacking>"},
		{name: "huge", doc: "<memoryBacking><hugepages/></memoryBacking>"},
		{name: "soft limit", doc: "<memtune><soft_limit>9</soft_limit></memtune><memoryBacking><locked/></memoryBacking>", want: []string{"warning /domain/memoryBacking/locked"}},
	})
	runRule(t, "memory-ksm", []ruleCase{
		{name: "not promised", doc: "<memoryBacking><source type='memfd'/></memoryBacking>"},
		{name: "huge", doc: "<memoryBacking><hugepages/><locked/></memoryBacking>", opts: guaranteed},
		{name: "shared", doc: "<memoryBacking><access mode='shared'/><locked/></memoryBacking>"},
		{name: "said", doc: "<memoryBacking><nosharepages/></memoryBacking>", opts: guaranteed},
		{name: "container", doc: "<domain type='lxc'/>", opts: guaranteed},
		{name: "by the plan", doc: "<name>a</name>", opts: guaranteed, want: []string{"info /domain"}},
		{name: "locked", doc: "<memoryBacking><locked/></memoryBacking>", want: []string{"info /domain/memoryBacking"}},
	})
}

// What is not QEMU is told little, however bare it is.
func TestLintOtherHypervisors(t *testing.T) {
	for _, doc := range []string{"<domain type='lxc'><name>a</name><os><type>exe</type></os><devices/></domain>", "<domain type='xen'><name>a</name></domain>", "<domain/>"} {
		d, err := domainxml.Parse([]byte(doc))
		require.NoError(t, err)
		all, err := d.Lint(nil)
		require.NoError(t, err)
		for _, f := range all {
			require.Equal(t, "uuid-missing", f.Rule)
		}
	}
}
