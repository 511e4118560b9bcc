package domainxml_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// disk is a disk of /a: its attributes, and those of its driver and target.
func disk(attrs, driver, target, more string) string {
	return "<disk " + attrs + "><driver name='qemu' " + driver + "/><source file='/a' dev='/dev/a'/><target " + target + "/>" + more + "</disk>"
}

func devices(list ...string) string { return "<devices>" + strings.Join(list, "") + "</devices>" }

const (
	file  = "type='file' device='disk'"
	cdrom = "type='file' device='cdrom'"
	lun   = "type='block' device='lun'"
	vda   = "dev='vda' bus='virtio'"
	sda   = "dev='sda' bus='scsi'"
)

func scsi(model string) string { return "<controller type='scsi' index='0' " + model + "/>" }

func TestDiskBusRules(t *testing.T) {
	const warning = "warning disk: "
	bus := func(target string) string { return devices(disk(file, "type='raw'", target, "")) }
	on := func(controller string) string { return devices(controller, disk(file, "type='raw'", sda, "")) }
	seed := func(attrs, name, target, more string) string {
		return devices("<disk " + attrs + "><driver type='raw'/><source file='" + name + "'/><target " + target + "/>" + more + "</disk>")
	}
	const sata = "dev='sda' bus='sata'"
	runLintCases(t, []lintCase{
		{name: "hd", rule: "disk-bus", doc: bus("dev='hda'"), want: []string{warning + "the bus is ide"}},
		{name: "vd", rule: "disk-bus", doc: bus("dev='vda'")},
		{name: "sd", rule: "disk-bus", doc: bus("dev='sda'"), want: []string{warning + "the SCSI controller is of no model"}},
		{name: "xvd", rule: "disk-bus", doc: bus("dev='xvda'")},
		{name: "card", rule: "disk-bus", doc: bus("dev='sda' bus='sd'"), want: []string{warning + "the bus is sd"}},
		{name: "stick", rule: "disk-bus", doc: bus("dev='sda' bus='usb' removable='on'")},
		{name: "virtio-scsi", rule: "disk-bus", doc: on(scsi("model='virtio-scsi'"))},
		{name: "lsilogic", rule: "disk-bus", doc: on(scsi("model='lsilogic'")), want: []string{warning + "the SCSI controller is lsilogic"}},
		{name: "no model", rule: "disk-bus", doc: on(scsi("")), want: []string{warning}},
		{name: "no model on aarch64", rule: "disk-bus", doc: "<os><type arch='aarch64'>hvm</type></os>" + on(scsi("")), want: []string{warning}},
		{name: "no model on pseries", rule: "disk-bus", doc: "<os><type arch='ppc64le'>hvm</type></os>" + on(scsi(""))},
		{name: "second controller", rule: "disk-bus", doc: devices(scsi("model='lsilogic'"), "<controller type='scsi' index='1' model='virtio-scsi'/>",
			disk(file, "type='raw'", sda, "<address type='drive' controller='1'/>"))},
		{name: "CD-ROM", rule: "disk-bus", doc: devices(disk(cdrom, "type='raw'", sata, ""))},
		{name: "read-only", rule: "disk-bus", doc: devices(disk(file, "type='raw'", "dev='sda' bus='usb'", "<readonly/>"))},
		{name: "xen", rule: "disk-bus", doc: "<domain type='xen'>" + bus("dev='hda'") + "</domain>"},

		{name: "seed", rule: "seed-bus", doc: seed(cdrom, "/seed.iso", sata, ""), want: []string{"warning disk: the seed is on the bus sata"}},
		{name: "cidata", rule: "seed-bus", doc: seed(cdrom, "/x/web1-CIDATA", "dev='hda'", ""), want: []string{"warning disk: the seed is on the bus ide"}},
		{name: "nova", rule: "seed-bus", doc: seed(cdrom, "/instances/5b1f/disk.config", sata, ""), want: []string{"warning"}},
		{name: "proxmox", rule: "seed-bus", doc: seed(cdrom, "/dev/vm-100-cloudinit", sata, ""), want: []string{"warning"}},
		{name: "floppy", rule: "seed-bus", doc: seed("type='file' device='floppy'", "/config-2.img", "dev='fda'", ""), want: []string{"warning disk: the seed is on the bus fdc"}},
		{name: "disk", rule: "seed-bus", doc: seed(file, "/nocloud.img", "dev='sda' bus='usb'", "<readonly/>"), want: []string{"warning"}},
		{name: "virtio", rule: "seed-bus", doc: seed(file, "/seed.iso", vda, "<readonly/>")},
		{name: "virtio-scsi", rule: "seed-bus", doc: seed(cdrom, "/seed.iso", sda, "")},
		{name: "base image", rule: "seed-bus", doc: seed(file, "/debian-12-nocloud-amd64.qcow2", sata, "")},
		{name: "installer", rule: "seed-bus", doc: seed(cdrom, "/debian-12.iso", sata, "")},
		{name: "installer to boot", rule: "seed-bus", doc: seed(cdrom, "/ubuntu-cloud-init.iso", sata, "<boot order='1'/>")},
		{name: "word", rule: "seed-bus", doc: seed(cdrom, "/linseed.iso", sata, "")},
		{name: "folder", rule: "seed-bus", doc: seed(cdrom, "/seed/debian.iso", sata, "")},
		{name: "empty", rule: "seed-bus", doc: seed(cdrom, "", sata, "")},

		{name: "three", rule: "disk-target-duplicate", doc: devices(disk(file, "", vda, ""), disk(file, "", "dev='vda' bus='scsi'", ""), disk(file, "", "dev='vdb'", "")), want: []string{"error disk[2]: another disk has the target vda too"}},
		{name: "ESX", rule: "disk-target-duplicate", doc: "<domain type='vmware'>" + devices(disk(file, "", vda, ""), disk(file, "", vda, "")) + "</domain>"},
		{name: "no target", rule: "disk-target-duplicate", doc: devices("<disk/>", "<disk/>")},
	})
}

func TestDiskCacheRules(t *testing.T) {
	one := func(attrs, driver, more string) string { return devices(disk(attrs, driver, vda, more)) }
	network := func(driver string) string {
		return devices("<disk type='network' device='disk'><driver name='qemu' " + driver + "/><source protocol='rbd' name='a/b'/><target " + vda + "/></disk>")
	}
	const shared = "<shareable/>"
	runLintCases(t, []lintCase{
		{name: "transient", rule: "disk-cache-unsafe", doc: one(file, "cache='unsafe'", "<transient/>")},
		{name: "CD-ROM", rule: "disk-cache-unsafe", doc: one(cdrom, "cache='unsafe'", "")},

		{name: "default", rule: "disk-io-native", doc: one(file, "io='native' cache='default'", ""), want: []string{"error disk: the I/O is native, and the cache mode not said"}},
		{name: "writeback", rule: "disk-io-native", doc: one(file, "io='native' cache='writeback'", ""), want: []string{"error disk: the I/O is native, and the cache mode writeback"}},
		{name: "directsync", rule: "disk-io-native", doc: one(file, "io='native' cache='directsync'", "")},
		{name: "empty CD-ROM", rule: "disk-io-native", doc: devices("<disk device='cdrom'><driver io='native'/><target dev='sda'/></disk>"), want: []string{"error disk: "}},
		{name: "network", rule: "disk-io-native", doc: network("io='native'"), want: []string{"error disk: "}},
		{name: "threads", rule: "disk-io-native", doc: one(file, "io='threads'", "")},

		{name: "unsafe", rule: "disk-shared-cache", doc: one(file, "cache='unsafe'", shared), want: []string{"error disk: the disk is shareable, and its cache mode unsafe"}},
		{name: "directsync", rule: "disk-shared-cache", doc: one(file, "cache='directsync'", shared)},
		{name: "not said", rule: "disk-shared-cache", doc: one(file, "", shared)},
		{name: "read-only", rule: "disk-shared-cache", doc: one(file, "cache='writeback'", shared+"<readonly/>")},

		{name: "not said", rule: "disk-cache", doc: one(file, "", ""), want: []string{"info disk: the cache mode is not said, which means writeback: what"}},
		{name: "block", rule: "disk-cache", doc: one("type='block'", "cache='writethrough'", ""), want: []string{"info disk: the cache mode is writethrough: each"}},
		{name: "directsync", rule: "disk-cache", doc: one(file, "cache='directsync' io='native'", ""), want: []string{"info disk: the cache mode is directsync: each"}},
		{name: "native", rule: "disk-cache", doc: one(file, "io='native'", "")},
		{name: "unsafe", rule: "disk-cache", doc: one(file, "cache='unsafe'", "")},
		{name: "shared", rule: "disk-cache", doc: one(file, "", shared)},
		{name: "LUN", rule: "disk-cache", doc: one(lun, "", "")},
		{name: "network", rule: "disk-cache", doc: network("cache='writeback'")},
		{name: "CD-ROM", rule: "disk-cache", doc: one(cdrom, "", "")},

		{name: "raw", rule: "disk-shared-format", doc: one(file, "type='raw'", shared)},
		{name: "not said", rule: "disk-shared-format", doc: one(file, "", shared)},
		{name: "read-only", rule: "disk-shared-format", doc: one(file, "type='qcow2'", shared+"<readonly/>")},

		{name: "block", rule: "disk-discard", doc: one("type='block'", "type='raw'", "")},
		{name: "ignore", rule: "disk-discard", doc: one(file, "type='raw' discard='ignore'", "")},
		{name: "vmdk", rule: "disk-discard", doc: one(file, "type='vmdk'", "")},
		{name: "read-only", rule: "disk-discard", doc: one(file, "type='raw'", "<readonly/>")},
		{name: "transient", rule: "disk-discard", doc: one(file, "type='raw'", "<transient/>")},
		{name: "LUN", rule: "disk-discard", doc: one(lun, "type='raw'", "")},
		{name: "network", rule: "disk-discard", doc: network("type='raw'"), want: []string{"info disk: "}},
	})
}

func TestDiskImageRules(t *testing.T) {
	image := func(attrs, driver, source, more string) string {
		return devices("<disk " + attrs + "><driver name='qemu' " + driver + "/>" + source + "<target " + vda + "/>" + more + "</disk>")
	}
	const a = "<source file='/a'/>"
	thread := func(domain, inner string) string {
		return "<domain type='" + domain + "'>" + devices("<disk type='file'>"+inner+"</disk>") + "</domain>"
	}
	tune := func(inner string) string { return image(file, "", a, "<iotune>"+inner+"</iotune>") }
	runLintCases(t, []lintCase{
		{name: "no driver", rule: "disk-format", doc: devices("<disk type='block'><source dev='/dev/a'/><target dev='vda'/></disk>"), want: []string{"error disk: the format"}},
		{name: "network", rule: "disk-format", doc: image("type='network'", "", "<source protocol='rbd' name='a/b'/>", ""), want: []string{"error disk: "}},
		{name: "CD-ROM", rule: "disk-format", doc: image(cdrom, "", "<source file='/a.iso'/>", ""), want: []string{"warning disk: "}},
		{name: "empty CD-ROM", rule: "disk-format", doc: image(cdrom, "", "", "")},
		{name: "volume", rule: "disk-format", doc: image("type='volume'", "", "<source pool='p' volume='v'/>", "")},
		{name: "vhostuser", rule: "disk-format", doc: image("type='vhostuser'", "", "<source type='unix' path='/s'/>", "")},
		{name: "backing", rule: "disk-format", doc: image(file, "type='qcow2'", a, "<backingStore type='file'><format type='raw'/><source file='/b'/><backingStore type='file'><source file='/c'/></backingStore></backingStore>"),
			want: []string{"error disk/backingStore/backingStore: the format of the image below"}},
		{name: "end of chain", rule: "disk-format", doc: image(file, "type='qcow2'", a, "<backingStore/>")},

		{name: "KVM", rule: "disk-iothread", doc: thread("kvm", "<target dev='vda'/>"), want: []string{"info : no disk has an I/O thread"}},
		{name: "no KVM", rule: "disk-iothread", doc: thread("qemu", "<target dev='vda'/>")},
		{name: "SCSI", rule: "disk-iothread", doc: thread("kvm", "<target dev='sda' bus='scsi'/>")},
		{name: "mapped", rule: "disk-iothread", doc: thread("kvm", "<driver><iothreads><iothread id='1'/></iothreads></driver><target dev='vda'/>")},
		{name: "MMIO", rule: "disk-iothread", doc: thread("kvm", "<target dev='vda'/><address type='virtio-mmio'/>")},
		{name: "one has", rule: "disk-iothread", doc: "<iothreads>1</iothreads>" + devices(disk(file, "iothread='1'", vda, ""), disk(file, "", "dev='vdb'", ""))},
		{name: "no disks", rule: "disk-iothread", doc: devices()},

		{name: "write", rule: "iotune-total", doc: tune("<total_iops_sec_max>5</total_iops_sec_max><write_iops_sec_max>10</write_iops_sec_max>"), want: []string{"error disk/iotune: total_iops_sec_max"}},
		{name: "zero", rule: "iotune-total", doc: tune("<total_bytes_sec>10</total_bytes_sec><read_bytes_sec>0</read_bytes_sec>")},
		{name: "different", rule: "iotune-total", doc: tune("<total_bytes_sec>10</total_bytes_sec><read_iops_sec>10</read_iops_sec>")},
	})
}

// What the name tells decides; where only a look helps, nothing is set.
func TestDiskFormatFix(t *testing.T) {
	for name, want := range map[string]string{"/a.QCOW2": "qcow2", "/a.img": "raw", "/a.b/c": "raw", "/a.iso": "raw", "/a.vmdk": ""} {
		fix := lint(t, example(devices("<disk type='file'><source file='"+name+"'/><target dev='vda'/></disk>")), "disk-format", domainxml.LintOptions{})[0].Fix
		if want == "" {
			require.Empty(t, fix)
			continue
		}
		require.Equal(t, []domainxml.Edit{domainxml.Set("/domain/devices/disk/driver/@type", want)}, fix)
	}
}

// The thread is one that there is.
func TestDiskIOThreadFix(t *testing.T) {
	disks := devices("<disk type='file'><target dev='vda'/></disk>")
	for threads, want := range map[string]int{"": 2, "<iothreads>0</iothreads>": 2, "<iothreads>3</iothreads>": 1, "<iothreadids><iothread id='4'/></iothreadids>": 1} {
		fix := lint(t, example(threads+disks), "disk-iothread", domainxml.LintOptions{})[0].Fix
		require.Len(t, fix, want, threads)
		last := fix[want-1]
		require.Equal(t, "/domain/devices/disk/driver/@iothread", last.Path)
		require.Equal(t, strings.Contains(threads, "4"), last.Value == "4")
	}
}

// Two disks that are moved get names that no other has.
func TestDiskBusFix(t *testing.T) {
	d := fixed(t, "<domain type='kvm'>"+devices(
		disk(file, "type='raw'", vda, ""),
		disk(file, "type='raw'", "dev='vdc' bus='sata'", "<address type='drive' unit='1'/>"),
		"<disk type='file' device='cdrom'><source file='/seed.iso'/><target dev='hda' tray='open'/></disk>",
		disk(cdrom, "type='raw'", "dev='hdc' bus='ide'", ""),
	)+"</domain>", "disk-bus", "seed-bus")
	for i, want := range []string{"vda", "vdb", "vdd", "hdc"} {
		dev, err := d.Get("devices/disk[" + string(rune('1'+i)) + "]/target/@dev")
		require.NoError(t, err)
		require.Equal(t, want, dev)
	}
	seed, err := d.Element("devices/disk[3]")
	require.NoError(t, err)
	require.Equal(t, "<disk type='file' device='disk'><source file='/seed.iso'/><target dev='vdd' bus='virtio'/><driver name='qemu' type='raw'/><readonly/></disk>", seed)
	require.NotContains(t, d.String(), "address")
}

// fixed returns the document after the fixes of rules, applied together.
func fixed(t *testing.T, doc string, rules ...string) *domainxml.Document {
	t.Helper()
	var fix []domainxml.Edit
	for _, rule := range rules {
		for _, f := range lint(t, []byte(doc), rule, domainxml.LintOptions{Filter: "mine"}) {
			fix = append(fix, f.Fix...)
		}
	}
	d, err := domainxml.Parse([]byte(doc))
	require.NoError(t, err)
	require.NoError(t, d.Apply(fix...))
	return d
}

// wrong has something for each rule with a fix.
var wrong = `<domain type='kvm'>
  <name>wrong</name>
  <memory unit='MiB'>512</memory>
  <vcpu>4</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <controller type='scsi' index='0' model='lsilogic'/>
    <disk type='file' device='disk'><source file='/a.qcow2'/><target dev='sda' bus='sata'/><address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>
    <disk type='file' device='disk'><driver name='qemu' cache='unsafe' io='native'/><source file='/b.img'/><target dev='sdb' bus='usb'/></disk>
    <disk type='block' device='disk'><driver name='qemu' type='raw' cache='unsafe'/><source dev='/dev/c'/><target dev='vda' bus='virtio'/><shareable/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw' cache='writethrough'/><source file='/d.img'/><target dev='sdd'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw' cache='writeback' discard='unmap'/><source file='/e.img'/><target dev='sde' bus='scsi'/><vendor>ACME</vendor></disk>
    <disk type='file' device='cdrom'><driver name='qemu'/><source file='/seed.iso' startupPolicy='requisite'/><target dev='sdc' bus='sata' tray='closed'/></disk>
    <disk type='file' device='cdrom'><target dev='sdf' bus='sata'/><readonly/></disk>
    <disk type='network' device='disk'><driver name='qemu' io='native'/><source protocol='rbd' name='pool/image'/><target dev='vdb' bus='virtio'/></disk>
    <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><target dev='vnet0'/><model type='virtio'/></interface>
    <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='e1000'/></interface>
    <interface type='network'><mac address='00:50:56:00:00:01'/><source network='default'/><model type='virtio'/></interface>
    <interface type='network'><mac address='00:50:56:00:00:01'/><source network='default'/><model type='virtio'/><filterref filter='clean-traffic'/></interface>
    <interface type='bridge'><mac address='zz'/><source bridge='ovs0'/><virtualport type='openvswitch'/><model type='virtio'/><bandwidth><inbound average='1000' peak='2000'/><outbound average='1000' peak='2000'/></bandwidth></interface>
  </devices>
</domain>
`

// All fixes are applied together, and then none is left to be made.
func TestNICAndDiskFixesTogether(t *testing.T) {
	rules := []string{
		"nic-model", "nic-bridge", "nic-filter", "nic-filter-ipv6", "nic-filter-address", "nic-filter-ignored",
		"mac-duplicate", "mac-range", "vlan-unsupported", "nic-queues", "bandwidth-ovs", "nic-tap-name",
		"disk-bus", "seed-bus", "disk-target-duplicate", "disk-cache-unsafe", "disk-io-native", "disk-shared-cache", "disk-cache",
		"disk-format", "disk-shared-format", "disk-discard", "disk-iothread", "iotune-total",
	}
	without := map[string]bool{
		"nic-bridge": true, "nic-filter-address": true, "nic-filter-ignored": true, "vlan-unsupported": true,
		"disk-target-duplicate": true, "disk-shared-format": true, "iotune-total": true,
	}
	d := fixed(t, wrong, rules...)
	for _, rule := range rules {
		if !without[rule] {
			require.NotEmpty(t, lint(t, []byte(wrong), rule, domainxml.LintOptions{}), rule)
		}
		for _, f := range lint(t, d.Bytes(), rule, domainxml.LintOptions{Filter: "mine"}) {
			require.Empty(t, f.Fix, "%s", f)
		}
	}
}
