package domainxml_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// machine is what says the machine of a domain.
func machine(arch, name string) string {
	return "<os><type arch='" + arch + "' machine='" + name + "'>hvm</type></os>"
}

func TestLintMachine(t *testing.T) {
	at := func(severity string) []string { return []string{severity + " /domain/os/type"} }
	version := []ruleCase{
		{name: "nothing said", doc: "<name>a</name>", want: []string{"info /domain"}},
		{name: "no machine", doc: "<os><type arch='x86_64'>hvm</type></os>", want: at("info")},
		{name: "container", doc: "<domain type='lxc'><os><type>exe</type></os></domain>"},
		{name: "no machine on RISC-V", doc: "<os><type arch='riscv64'>hvm</type></os>"},
	}
	for name, arch := range map[string]string{"pc": "i686", "q35": "x86_64", "virt": "aarch64", "pseries": "ppc64le", "s390-ccw-virtio": "s390x"} {
		version = append(version, ruleCase{name: name, doc: machine(arch, name), want: at("info")})
	}
	for name, arch := range map[string]string{
		"pc-i440fx-7.2": "x86_64", "pc-1.0": "x86_64", "virt-7.2": "aarch64", "rhel6.6.0": "x86_64", "virt": "riscv64", "microvm": "x86_64", "isapc": "i686",
	} {
		version = append(version, ruleCase{name: arch + name, doc: machine(arch, name)})
	}
	runRule(t, "machine-version", version)

	var old []ruleCase
	for _, name := range []string{"pc-q35-5.0", "pc-i440fx-10.1", "pc-q35-rhel7.6.0", "pc-i440fx-trusty", "pc-q35-2", "q35", "", "microvm-1.0", "pc-i440fx-2.8-xenial"} {
		old = append(old, ruleCase{name: "kept " + name, doc: machine("x86_64", name)})
	}
	for _, name := range []string{"pc-0.12", "pc-i440fx-2.1", "pc-q35-4.2", "virt-4.0"} {
		old = append(old, ruleCase{name: name, doc: machine("x86_64", name), want: at("warning")})
	}
	runRule(t, "machine-old", old)

	runRule(t, "acpi", []ruleCase{
		{name: "arm", doc: machine("aarch64", "virt-7.2")},
		{name: "microvm", doc: machine("x86_64", "microvm")},
		{name: "nothing said", doc: "<name>a</name>", want: []string{"warning /domain"}},
	})
}

func TestLintEmulation(t *testing.T) {
	d := func(kind, arch, inner string) string {
		return "<domain type='" + kind + "'>" + machine(arch, "x") + inner + "</domain>"
	}
	at := func(severity string) []string { return []string{severity + " /domain"} }
	runRule(t, "emulation", []ruleCase{
		{name: "kvm", doc: d("kvm", "x86_64", "")},
		{name: "hvf", doc: d("hvf", "aarch64", "")},
		{name: "an architecture that hosts have not", doc: d("qemu", "riscv64", "")},
		{name: "x86", doc: d("qemu", "x86_64", ""), want: at("warning")},
		{name: "arm", doc: d("qemu", "aarch64", ""), want: at("warning")},
	})
	runRule(t, "tcg-cache", []ruleCase{
		{name: "kvm", doc: d("kvm", "x86_64", "")},
		{name: "said", doc: d("qemu", "s390x", "<features><tcg><tb-cache unit='MiB'>1</tb-cache></tcg></features>")},
		{name: "old libvirt", doc: d("qemu", "x86_64", ""), opts: domainxml.LintOptions{Libvirt: 7_010_000}},
		{name: "libvirt that has it", doc: d("qemu", "x86_64", "<features><acpi/></features>"), opts: domainxml.LintOptions{Libvirt: 8_000_000}, want: at("info")},
		{name: "half said", doc: d("qemu", "s390x", "<memory>9</memory><features><tcg/></features>"), want: at("info")},
	})
}

// What stands in the arguments is in no finding.
func TestLintQEMUCommandline(t *testing.T) {
	d := func(ns, inner string) string {
		return "<domain type='kvm' xmlns:q='" + ns + "'>" + inner + "</domain>"
	}
	const qemu, secret = "http://libvirt.org/schemas/domain/qemu/1.0", "<q:commandline><q:arg value='hunter2'/></q:commandline>"
	runRule(t, "qemu-commandline", []ruleCase{
		{name: "another namespace", doc: d("http://example.net/", secret)},
		{name: "deprecation", doc: d(qemu, "<q:deprecation behavior='none'/>")},
		{name: "another prefix", doc: d(qemu, secret), want: []string{"warning /domain/q:commandline"}},
		{name: "override", doc: d(qemu, "<q:override><q:device alias='a'/></q:override>"), want: []string{"warning /domain/q:override"}},
		{
			name: "its own default", doc: "<domain type='kvm'><commandline xmlns='" + qemu + "'><arg value='-S'/></commandline></domain>",
			want: []string{"warning /domain/commandline"},
		},
	})
	text, err := json.Marshal(lint(t, example(d(qemu, secret)), "qemu-commandline", domainxml.LintOptions{}))
	require.NoError(t, err)
	require.NotContains(t, string(text), "hunter2")
}

func TestLintBoot(t *testing.T) {
	disk := func(order string) string {
		return "<disk type='file'><boot order='" + order + "'/></disk>"
	}
	d := func(os, inner string) string { return "<os>" + os + "</os><devices>" + inner + "</devices>" }
	runRule(t, "boot-mixed", []ruleCase{
		{name: "by kind", doc: d("<boot dev='hd'/><boot dev='network'/>", "<disk type='file'/>")},
		{name: "by device", doc: d("<bootmenu enable='yes'/>", disk("1"))},
		{name: "no devices", doc: "<os><boot dev='hd'/></os>"},
		{name: "both", doc: d("<boot dev='hd'/><boot dev='network'/>", "<hostdev><boot order='1'/></hostdev>"), want: []string{"error /domain/os"}},
	})
	runRule(t, "boot-order-duplicate", []ruleCase{
		{name: "in order", doc: d("", disk("1")+disk("2")+"<interface><boot order='3'/></interface>")},
		{name: "no number", doc: d("", disk("x")+disk("x"))},
		{name: "twice", doc: d("", disk("1")+"<interface type='bridge'><boot order='01'/></interface>"), want: []string{"error /domain/devices/interface/boot"}},
	})
	crash := []ruleCase{
		{name: "not said", doc: "<name>a</name>"},
		{name: "another hypervisor", doc: "<domain type='xen'><on_crash>restart</on_crash></domain>"},
	}
	for _, action := range []string{"destroy", "preserve", "coredump-destroy"} {
		crash = append(crash, ruleCase{name: action, doc: "<on_crash>" + action + "</on_crash>"})
	}
	for _, action := range []string{"restart", "rename-restart", "coredump-restart"} {
		crash = append(crash, ruleCase{name: action, doc: "<on_crash>" + action + "</on_crash>", want: []string{"info /domain/on_crash"}})
	}
	runRule(t, "on-crash", crash)
	runRule(t, "seclabel-none", []ruleCase{
		{name: "a host without a driver", doc: "<seclabel type='none' model='none'/>"},
		{name: "of a disk", doc: "<devices><disk type='file'><source file='/a'><seclabel model='dac' type='none' relabel='no'/></source></disk></devices>"},
		{name: "container", doc: "<domain type='lxc'><seclabel type='none'/></domain>"},
		{name: "one of two", doc: "<seclabel type='dynamic' model='dac'/><seclabel type='none' model='selinux'/>", want: []string{"warning /domain/seclabel[2]"}},
	})
	runRule(t, "uuid-missing", []ruleCase{{name: "empty", doc: "<uuid> </uuid>", want: []string{"info /domain"}}})
}

func TestLintDevices(t *testing.T) {
	s390 := machine("s390x", "s390-ccw-virtio")
	runRule(t, "rng", []ruleCase{
		{name: "container", doc: "<domain type='lxc'><devices/></domain>"},
		{name: "no devices", doc: "<name>a</name>", want: []string{"warning /domain"}},
	})
	runRule(t, "serial-console", []ruleCase{
		{name: "console", doc: "<devices><console type='pty'><target type='virtio'/></console></devices>"},
		{name: "s390x", doc: s390 + "<devices/>", want: []string{"warning /domain/devices"}},
	})
	runRule(t, "agent-channel", []ruleCase{
		{name: "second", doc: "<devices><channel type='spicevmc'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel></devices>"},
		{name: "none", doc: "<devices/>", want: []string{"info /domain/devices"}},
	})
	runRule(t, "migration-hostdev", []ruleCase{
		{name: "teamed", doc: "<devices><interface type='hostdev'><teaming type='transient' persistent='ua-a'/></interface></devices>"},
		{name: "container", doc: "<domain type='lxc'><devices><hostdev mode='capabilities' type='misc'/></devices></domain>"},
		{
			name: "NIC and GPU", doc: "<devices><hostdev mode='subsystem' type='mdev'/><interface type='hostdev'/></devices>",
			want: []string{"info /domain/devices/hostdev", "info /domain/devices/interface"},
		},
	})
	runRule(t, "floppy", []ruleCase{
		{
			name: "two", doc: "<devices><disk device='floppy'><target dev='fda'/></disk><disk device='floppy'><target dev='fdb'/></disk><controller type='fdc'/></devices>",
			want: []string{"warning /domain/devices/disk[target/@dev='fda']", "warning /domain/devices/disk[target/@dev='fdb']"},
		},
		{name: "with something in it", doc: "<devices><disk type='file' device='floppy'><source file='/a'/></disk></devices>", want: []string{"warning /domain/devices/disk"}},
		{name: "another hypervisor", doc: "<domain type='xen'><devices><disk device='floppy'/></devices></domain>"},
	})
	runRule(t, "usb-tablet", []ruleCase{
		{name: "keyboard", doc: "<devices><input type='keyboard' bus='usb'/><input type='mouse' bus='ps2'/></devices>"},
		{name: "no bus", doc: "<devices><input type='keyboard' bus='ps2'/><input type='tablet'/></devices>", want: []string{"info /domain/devices/input[2]"}},
	})
	runRule(t, "sound", []ruleCase{{name: "two", doc: "<devices><sound model='ac97'/><sound model='ich9'/></devices>", want: []string{"info /domain/devices/sound[1]", "info /domain/devices/sound[2]"}}})
}

// What Build makes has nothing wrong with it, but for the emulation asked for.
func TestLintBuilt(t *testing.T) {
	files, err := filepath.Glob("testdata/build/*.xml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		doc, err := os.ReadFile(file)
		require.NoError(t, err)
		d, err := domainxml.Parse(doc)
		require.NoError(t, err)
		all, err := d.Lint(nil)
		require.NoError(t, err)
		for _, f := range all {
			if f.Severity == domainxml.SeverityInfo || strings.HasPrefix(f.Rule, "nic-") || strings.HasPrefix(f.Rule, "disk-") {
				continue
			}
			require.Equal(t, "emulation", f.Rule, "%s: %s", file, f)
		}
	}
}
