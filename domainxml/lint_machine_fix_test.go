package domainxml_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// worst has a finding of each rule that has a fix, but for what only emulated
// guests have.
const worst = `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>worst</name>
  <memory unit='MiB'>512</memory>
  <currentMemory unit='MiB'>256</currentMemory>
  <memoryBacking>
    <locked/>
  </memoryBacking>
  <vcpu current='3'>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <boot dev='fd'/>
    <boot dev='hd'/>
  </os>
  <cpu mode='custom' match='exact' check='partial'>
    <model fallback='forbid'>qemu64</model>
    <vendor>Intel</vendor>
    <topology sockets='2' cores='1' threads='1'/>
  </cpu>
  <on_crash>restart</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='/a'/>
      <target dev='vda' bus='virtio'/>
      <boot order='1'/>
    </disk>
    <disk type='file' device='floppy'>
      <target dev='fda' bus='fdc'/>
    </disk>
    <disk type='file' device='floppy'>
      <source file='/b'/>
      <target dev='fdb' bus='fdc'/>
    </disk>
    <controller type='fdc' index='0'/>
    <serial type='tcp'>
      <source mode='bind' host='0.0.0.0' service='4555'/>
      <protocol type='telnet'/>
      <target port='0'/>
    </serial>
    <input type='tablet' bus='usb'/>
    <graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0' passwd='hunter2'>
      <listen type='address' address='0.0.0.0'/>
    </graphics>
    <sound model='ich9'/>
    <audio id='1' type='none'/>
    <video>
      <model type='cirrus' vram='16384' heads='1'/>
    </video>
    <memballoon model='virtio'>
      <stats period='5'/>
    </memballoon>
  </devices>
  <seclabel type='none'/>
</domain>
`

// fixAll applies the fixes of all findings in one call, and returns which rules
// had one.
func fixAll(t *testing.T, d *domainxml.Document, opts *domainxml.LintOptions) []string {
	t.Helper()
	all, err := d.Lint(opts)
	require.NoError(t, err)
	var edits []domainxml.Edit
	var rules []string
	for _, f := range all {
		if len(f.Fix) > 0 {
			edits = append(edits, f.Fix...)
			rules = append(rules, f.Rule)
		}
	}
	require.NoError(t, d.Apply(edits...))
	slices.Sort(rules)
	return slices.Compact(rules)
}

// All fixes go together: none undoes what another has done.
func TestLintFixesTogether(t *testing.T) {
	d, err := domainxml.Parse([]byte(worst))
	require.NoError(t, err)
	fixed := fixAll(t, d, nil)
	require.Subset(t, fixed, []string{
		"acpi", "agent-channel", "balloon-guaranteed", "boot-mixed", "char-listen", "cpu-model", "floppy", "graphics-listen",
		"graphics-password", "memory-ksm", "on-crash", "pcie-ports", "rng", "seclabel-none", "sound", "usb-tablet",
		"vcpu-current", "video-cirrus",
	})
	require.Empty(t, fixAll(t, d, nil), "%s", d)
}

// The fixes for any document go together, and leave nothing of their rules.
func TestLintFixesCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.xml")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if _, err := domainxml.Parse(text); err != nil {
			continue // no domain
		}
		for _, opts := range []*domainxml.LintOptions{nil, {Guaranteed: true}} {
			d := mustParse(t, string(text))
			fixed := fixAll(t, d, opts)
			again := fixAll(t, d, opts)
			for _, rule := range fixed {
				require.NotContains(t, again, rule, "%s\n%s", file, d)
			}
		}
	}
}
