package domainxml_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// differences are the lines of a Diff of what stands in two domains.
func differences(t testing.TB, old, new string) []string {
	t.Helper()
	lines := []string{}
	for _, d := range domainxml.Diff(mustParse(t, string(example(old))), mustParse(t, string(example(new)))) {
		lines = append(lines, d.String())
	}
	return lines
}

// Each pair means the same, whichever is the old one.
func TestDiffSame(t *testing.T) {
	for name, c := range map[string][2]string{
		"attribute order":         {`<vcpu a='1' b='2'>1</vcpu>`, `<vcpu b="2"   a="1" >1</vcpu>`},
		"white space":             {`<vcpu>1</vcpu><devices><disk/></devices>`, "<vcpu>\n 1 </vcpu>\n<devices>\n\t<disk/>\n</devices>\n"},
		"order of elements":       {`<name>a</name><vcpu>2</vcpu>`, `<vcpu>2</vcpu><name>a</name>`},
		"comments":                {`<name>a</name>`, `<!-- b --><name>a<!-- c --></name><?d e?>`},
		"references":              {`<name>a&amp;b</name>`, `<name>&#x61;<![CDATA[&]]>b</name>`},
		"units":                   {`<memory unit='GiB'>1</memory>`, `<memory>1048576</memory>`},
		"bytes":                   {`<memory unit='b'>1048576</memory>`, `<memory unit='MiB'>1</memory>`},
		"units of limits":         {`<memtune><hard_limit unit='G'>1</hard_limit></memtune>`, `<memtune><hard_limit>1048576</hard_limit></memtune>`},
		"current memory":          {`<memory>4</memory><currentMemory>4</currentMemory>`, `<memory>4</memory>`},
		"case of a MAC":           {`<devices><interface><mac address='52:54:00:AB:CD:EF'/></interface></devices>`, `<devices><interface><mac address='52:54:00:ab:cd:ef'/></interface></devices>`},
		"form of a UUID":          {`<uuid>5B1F0C1E6F0A4D0E9A530D9C6C2F7A11</uuid>`, `<uuid>5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11</uuid>`},
		"numbers of an address":   {`<devices><disk><address slot='0x0a'/></disk></devices>`, `<devices><disk><address slot='10'/></disk></devices>`},
		"an address":              {`<devices><disk><address slot='0x0a'/></disk></devices>`, `<devices><disk/></devices>`},
		"aliases":                 {`<devices><disk><alias name='a'/></disk></devices>`, `<devices><disk><alias name='b'/></disk></devices>`},
		"machine":                 {`<os><type machine='q35'>hvm</type></os>`, `<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>`},
		"the older machine":       {`<os><type machine='pc'>hvm</type></os>`, `<os><type machine='pc-i440fx-7.2'>hvm</type></os>`},
		"host-model that runs":    {`<cpu mode='host-model' check='partial'/>`, `<domain type='kvm' id='1'><cpu mode='custom' match='exact' check='full'><model fallback='forbid'>EPYC</model><feature policy='require' name='x2apic'/></cpu></domain>`},
		"a chain that runs":       {`<devices><disk/></devices>`, `<domain type='kvm' id='1'><devices><disk><backingStore type='file'><source file='/b'/></backingStore></disk></devices></domain>`},
		"an emulator":             {`<devices/>`, `<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>`},
		"a unit of one side":      {`<features><tcg><tb-cache>32768</tb-cache></tcg></features>`, `<features><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>`},
		"prefixes":                {`<metadata><a:b xmlns:a='urn:x'><a:c/></a:b></metadata>`, `<metadata><b xmlns='urn:x'><c/></b></metadata>`},
		"disks in another order":  {`<devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices>`, `<devices><disk><target dev='vdb'/></disk><disk><target dev='vda'/></disk></devices>`},
		"defaults of a disk":      {`<devices><disk><target dev='vda'/></disk></devices>`, `<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><target dev='vda' bus='virtio'/></disk></devices>`},
		"a port that is chosen":   {`<devices><graphics type='vnc' port='-1' autoport='yes'/></devices>`, `<devices><graphics type='vnc' port='5901' autoport='yes' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics></devices>`},
		"a tap of a running one":  {`<devices><interface/></devices>`, `<devices><interface><target dev='vnet12'/></interface></devices>`},
		"a console of its serial": {`<devices><serial type='pty'/></devices>`, `<devices><serial type='pty'><source path='/dev/pts/1'/><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial><console type='pty' tty='/dev/pts/1'><target type='serial' port='0'/></console></devices>`},
		"empty containers":        {`<devices/><metadata/><features/>`, ``},
		"equal channels":          {`<devices><hostdev a='1'/><hostdev a='2'/></devices>`, `<devices><hostdev a='2'/><hostdev a='1'/></devices>`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, differences(t, c[0], c[1]))
			require.Empty(t, differences(t, c[1], c[0]))
		})
	}
}

func TestDiffDiffers(t *testing.T) {
	disk := func(text string) string { return `<devices><disk><target dev='vda'/>` + text + `</disk></devices>` }
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"text":           {`<name>a</name>`, `<name>b</name>`, []string{`~ name: a -> b`}},
		"memory":         {`<memory unit='MiB'>1</memory>`, `<memory>4096</memory>`, []string{`~ memory: 1 MiB -> 4096 KiB`}},
		"less memory":    {`<memory>4</memory>`, `<memory>4</memory><currentMemory>2</currentMemory>`, []string{`+ currentMemory: <currentMemory>2</currentMemory>`}},
		"attribute":      {disk(`<driver cache='none'/>`), disk(`<driver cache='unsafe'/>`), []string{`~ devices/disk/driver/@cache: none -> unsafe`}},
		"new attribute":  {disk(`<driver/>`), disk(`<driver cache='unsafe'/>`), []string{`+ devices/disk/driver/@cache: unsafe`}},
		"lost attribute": {disk(`<driver cache='none'/>`), disk(`<driver/>`), []string{`- devices/disk/driver/@cache: none`}},
		"of the domain":  {`<domain type='kvm'/>`, `<domain type='qemu'/>`, []string{`~ @type: kvm -> qemu`}},
		"another disk": {disk(``), `<devices><disk><target dev='vdb'/></disk></devices>`,
			[]string{`- devices/disk: <disk><target dev='vda'/></disk>`, `+ devices/disk: <disk><target dev='vdb'/></disk>`}},
		"one of two disks": {`<devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/><serial>1</serial></disk></devices>`,
			`<devices><disk><target dev='vdb'/><serial>2</serial></disk><disk><target dev='vda'/></disk></devices>`,
			[]string{`~ devices/disk[target/@dev='vdb']/serial: 1 -> 2`}},
		"a NIC": {`<devices/>`, "<devices>\n <interface type='bridge'>\n  <source bridge='br0'/>\n </interface></devices>",
			[]string{`+ devices/interface: <interface type='bridge'><source bridge='br0'/></interface>`}},
		"a MAC": {`<devices><interface><mac address='52:54:00:00:00:01'/></interface></devices>`, `<devices><interface><mac address='52:54:00:00:00:02'/></interface></devices>`,
			[]string{`- devices/interface: <interface><mac address='52:54:00:00:00:01'/></interface>`, `+ devices/interface: <interface><mac address='52:54:00:00:00:02'/></interface>`}},
		"a moved device": {disk(`<address slot='1'/>`), disk(`<address slot='2'/>`), []string{`~ devices/disk/address/@slot: 1 -> 2`}},
		"boot order":     {`<os><boot dev='hd'/><boot dev='network'/></os>`, `<os><boot dev='network'/><boot dev='hd'/></os>`, []string{`~ os/boot[1]/@dev: hd -> network`, `~ os/boot[2]/@dev: network -> hd`}},
		"metadata": {`<metadata><a:b xmlns:a='urn:x'>1</a:b></metadata>`, `<metadata><b xmlns='urn:y'>1</b></metadata>`,
			[]string{`- metadata/a:b: <a:b xmlns:a='urn:x'>1</a:b>`, `+ metadata/b: <b xmlns='urn:y'>1</b>`}},
		"machine":      {`<os><type machine='pc-q35-7.2'>hvm</type></os>`, `<os><type machine='pc-q35-9.0'>hvm</type></os>`, []string{`~ os/type/@machine: pc-q35-7.2 -> pc-q35-9.0`}},
		"no balloon":   {`<devices><memballoon model='none'/></devices>`, `<devices/>`, []string{`- devices/memballoon: <memballoon model='none'/>`}},
		"no USB":       {`<devices/>`, `<devices><controller type='usb' model='none'/></devices>`, []string{`+ devices/controller: <controller type='usb' model='none'/>`}},
		"an unknown":   {`<devices><future-device a='b'/></devices>`, `<devices/>`, []string{`- devices/future-device: <future-device a='b'/>`}},
		"a video":      {`<devices/>`, `<devices><video><model type='vga'/></video></devices>`, []string{`+ devices/video: <video><model type='vga'/></video>`}},
		"CPU features": {`<cpu mode='host-model'/>`, `<cpu mode='host-model'><feature policy='disable' name='vmx'/></cpu>`, []string{`+ cpu/feature: <feature policy='disable' name='vmx'/>`}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, cmp.Diff(c.want, differences(t, c.old, c.new)))
		})
	}
}

// What an owner has to know of is never taken for libvirt's own, in either direction.
func TestDiffHidesNothing(t *testing.T) {
	device := func(text string) string { return "<devices>" + text + "</devices>" }
	const listening = `<source mode='bind' host='0.0.0.0' service='4555'/>`
	for name, c := range map[string][2]string{
		"a serial that listens":        {device(`<serial type='tcp'><source host='0.0.0.0' service='1'/></serial>`), device(`<serial type='tcp'><source mode='bind' host='0.0.0.0' service='1'/></serial>`)},
		"a console that listens":       {device(`<console type='pty'/>`), device(`<console type='tcp'>` + listening + `</console>`)},
		"a serial of another kind":     {device(`<console type='pty'/>`), device(`<serial type='tcp'>` + listening + `</serial><console type='tcp'>` + listening + `</console>`)},
		"a label":                      {``, `<seclabel type='dynamic' model='selinux' relabel='yes'><baselabel>u:r:unconfined_t:s0</baselabel></seclabel>`},
		"a backing file":               {device(`<disk/>`), device(`<disk><backingStore type='file'><source file='/etc/shadow'/></backingStore></disk>`)},
		"another program for QEMU":     {device(``), device(`<emulator>/tmp/evil</emulator>`)},
		"a program beside QEMU":        {device(``), device(`<emulator>/usr/bin/qemu-system-x/../../../tmp/evil</emulator>`)},
		"a firmware":                   {`<os firmware='efi'/>`, `<os firmware='efi'><loader>/evil.fd</loader></os>`},
		"another firmware":             {`<os firmware='efi'><loader/></os>`, `<os firmware='efi'><loader>/evil.fd</loader></os>`},
		"no secure boot":               {`<os firmware='efi'/>`, `<os firmware='efi'><firmware><feature enabled='no' name='secure-boot'/></firmware></os>`},
		"a CPU that nobody runs":       {`<cpu mode='host-model'/>`, `<cpu mode='custom' match='exact' check='full'><model>qemu64</model><feature policy='disable' name='spec-ctrl'/></cpu>`},
		"another device of the host":   {device(`<hostdev><source><address bus='3' slot='0'/></source></hostdev>`), device(`<hostdev><source><address bus='3' slot='0' function='1'/></source></hostdev>`)},
		"another chipset":              {`<os><type machine='pc'>hvm</type></os>`, `<os><type machine='pc-q35-7.2'>hvm</type></os>`},
		"another bus":                  {device(`<disk><target dev='vda'/></disk>`), device(`<disk><target dev='vda' bus='ide'/></disk>`)},
		"data of an owner":             {`<metadata><a:b xmlns:a='u'/></metadata>`, `<metadata><a:b xmlns:a='u'><a:uuid>1</a:uuid></a:b></metadata>`},
		"a number of an owner":         {`<metadata><a:b xmlns:a='u' port='0x10'/></metadata>`, `<metadata><a:b xmlns:a='u' port='16'/></metadata>`},
		"space of an owner":            {`<metadata><a:b xmlns:a='u'>1</a:b></metadata>`, `<metadata><a:b xmlns:a='u'> 1</a:b></metadata>`},
		"a profile":                    {device(`<interface><virtualport type='802.1Qbh'/></interface>`), device(`<interface><virtualport type='802.1Qbh'><parameters profileid='admin'/></virtualport></interface>`)},
		"a NIC without vhost":          {device(`<interface><driver/></interface>`), device(`<interface><driver name='qemu'/></interface>`)},
		"a port that is fixed":         {device(`<graphics type='vnc' port='-1' autoport='yes'/>`), device(`<graphics type='vnc' port='5900' autoport='no'/>`)},
		"a port without autoport":      {device(`<graphics type='vnc' port='-1'/>`), device(`<graphics type='vnc' port='5900'/>`)},
		"a password":                   {device(`<graphics type='vnc' passwd='SECRET1'/>`), device(`<graphics type='vnc' passwd='SECRET2'/>`)},
		"a display with a password":    {device(``), device(`<graphics type='vnc' passwd='SECRET1'/>`)},
		"an address that is listening": {device(`<graphics type='vnc' listen='127.0.0.1'/>`), device(`<graphics type='vnc' listen='0.0.0.0'/>`)},
		"an attribute with a prefix":   {device(`<graphics type='vnc'/>`), device(`<graphics type='vnc' xmlns:x='u' x:listen='0.0.0.0'/>`)},
		"a filter":                     {device(`<interface><filterref filter='a'/></interface>`), device(`<interface/>`)},
		"a partition":                  {``, `<resource><partition>/other</partition></resource>`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, list := range [][]string{differences(t, c[0], c[1]), differences(t, c[1], c[0])} {
				require.NotEmpty(t, list)
				require.NotContains(t, strings.Join(list, "\n"), "SECRET")
			}
		})
	}
}

// A document is the same as itself, and each edit of it is a difference that names
// the place.
func TestDiffCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.xml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 60)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		d, err := domainxml.Parse(raw)
		if !taken(file) {
			require.Error(t, err, file)
			continue
		}
		require.NoError(t, err, file)
		require.Empty(t, domainxml.Diff(d, d), file)
		edited := mustParse(t, string(raw))
		require.NoError(t, edited.Apply(domainxml.Set("description", "changed by a test")), file)
		list := domainxml.Diff(d, edited)
		require.Len(t, list, 1, file)
		require.Equal(t, "description", list[0].Path, file)
	}
}

// taken says whether a file of the corpus has a domain where it is looked for, in
// UTF-8.
func taken(file string) bool {
	name := strings.TrimSuffix(filepath.Base(file), ".xml")
	return !strings.HasPrefix(name, "nodomain-") && name != "odd-domain-in-envelope" && name != "odd-latin1-declared"
}

// A Difference is data.
func TestDiffJSON(t *testing.T) {
	list := domainxml.Diff(mustParse(t, "<domain><name>a</name></domain>"), mustParse(t, "<domain><name>b</name></domain>"))
	text, err := json.Marshal(list)
	require.NoError(t, err)
	require.JSONEq(t, `[{"op":"set","path":"name","old":"a","new":"b"}]`, string(text))
}
