//go:build linux

package domainxml_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/testrig"
)

// edited are documents of QEMU on x86 that this libvirtd takes, at most with the
// type changed: how they are written differs.
var edited = []string{
	"corpus/gnomeboxes44-define", "corpus/libvirt30-debian9-live", "corpus/libvirt50-debian10-q35", "corpus/libvirt70-debian11-backingchain-live",
	"corpus/libvirt90-inactive-q35", "corpus/odd-cdata", "corpus/odd-comments-everywhere",
	"corpus/odd-cr-mixed-line-ends", "corpus/odd-crlf-line-ends", "corpus/odd-indent-none-and-deep", "corpus/odd-one-line",
	"corpus/odd-processing-instructions", "corpus/odd-utf8-bom", "corpus/terraform-provider09-libvirtxml", "corpus/virtinstall-cloud-init",
	"corpus/virtinstall-import-debian11", "corpus/virtinstall-kernel-step1", "corpus/virtinstall-machine-pc", "corpus/virtinstall-pxe-filterref",
	"corpus/virtv2v-local-from-proxmox", "build/ordinary", "build/several-disks", "bench/small",
}

// libvirtd takes what Build makes, and by its schema.
func TestLibvirtTakesBuilt(t *testing.T) {
	rig, _ := testrig.Start(t)
	for name := range guests() {
		t.Run(name, func(t *testing.T) {
			d := load(t, "build/"+name+".xml")
			require.NoError(t, d.Apply(set("@type", "qemu")))
			if name == "hostile-names" {
				// Characters that XML can carry, and libvirt's names cannot.
				require.ErrorContains(t, define(t, rig, d), "validat")
				return
			}
			want, err := d.Inventory()
			require.NoError(t, err)
			have, err := dumped(t, rig, d).Inventory()
			require.NoError(t, err)
			for i := range want.NICs { // libvirt drops names of its own form
				want.NICs[i].Device = have.NICs[i].Device
			}
			require.Empty(t, cmp.Diff(want, have, cmpopts.EquateEmpty()))
		})
	}
}

// libvirtd takes documents after each kind of edit, and understands what is new.
func TestLibvirtTakesEdited(t *testing.T) {
	rig, _ := testrig.Start(t)
	for _, name := range edited {
		t.Run(filepath.Base(name), func(t *testing.T) {
			d := load(t, name+".xml")
			require.NoError(t, d.Apply(set("@type", "qemu")))
			before, err := d.Inventory()
			require.NoError(t, err)

			require.NoError(t, d.SetCPUs(2, 4))
			require.NoError(t, d.SetMemory(512<<20, 1<<30))
			target, err := d.AddDisk(domainxml.Disk{Path: "/srv/a&b's \"disk\".qcow2", Format: "qcow2", Serial: "data"})
			require.NoError(t, err)
			require.NoError(t, d.AddNIC(domainxml.NIC{Bridge: "br0", MAC: mac}))
			require.NoError(t, d.SetBoot(mac, target))
			require.NoError(t, d.SetMetadata(record(hostile)))
			require.NoError(t, d.Apply(
				set("title", "<edited> & 'quoted'"), set("cputune/shares", "512"), set("cputune/vcpupin[@vcpu='0']/@cpuset", "0"),
				set("devices/disk[target/@dev='"+target+"']/driver/@cache", "writeback"),
				set("devices/disk[target/@dev='"+target+"']/iotune/total_iops_sec", "500"),
			))

			out := dumped(t, rig, d)
			inv, err := out.Inventory()
			require.NoError(t, err)
			require.Equal(t, [2]int{2, 4}, [2]int{inv.CPUs, inv.MaxCPUs})
			require.Equal(t, [2]uint64{512 << 20, 1 << 30}, [2]uint64{inv.Memory, inv.MaxMemory})
			require.Len(t, inv.Disks, len(before.Disks)+1)
			require.Len(t, inv.NICs, len(before.NICs)+1)
			require.Contains(t, inv.Disks, domainxml.DiskItem{Type: "file", Device: "disk", Target: target, Bus: "virtio", Format: "qcow2", Source: "/srv/a&b's \"disk\".qcow2", Serial: "data"})
			require.Contains(t, inv.NICs, domainxml.NICItem{Type: "bridge", Source: "br0", MAC: mac, Model: "virtio"})
			require.Equal(t, hostile, inv.Metadata[ours])
			for path, want := range map[string]string{
				"title": "<edited> & 'quoted'", "cputune/shares": "512", "cputune/vcpupin[@vcpu='0']/@cpuset": "0",
				"devices/disk[boot/@order='2']/target/@dev": target, "devices/interface[boot/@order='1']/mac/@address": mac,
				"devices/disk[target/@dev='" + target + "']/driver/@cache":         "writeback",
				"devices/disk[target/@dev='" + target + "']/iotune/total_iops_sec": "500",
			} {
				have, err := out.Get(path)
				require.NoError(t, err, path)
				require.Equal(t, want, have, path)
			}

			require.NoError(t, d.RemoveDisk(target))
			require.NoError(t, d.RemoveNIC(mac))
			require.NoError(t, d.RemoveMetadata(ours))
			require.NoError(t, d.SetBoot())
			inv, err = dumped(t, rig, d).Inventory()
			require.NoError(t, err)
			require.Len(t, inv.Disks, len(before.Disks))
			require.Len(t, inv.NICs, len(before.NICs))
		})
	}
}

// define gives libvirtd a document, which it checks with its schema first: that is
// what virt-xml-validate does, for which a Debian without libxml2-utils lacks
// xmllint.
func define(t *testing.T, rig *testrig.Libvirt, d *domainxml.Document) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "domain.xml")
	require.NoError(t, os.WriteFile(file, d.Bytes(), 0o600))
	_, err := rig.Virsh(t.Context(), "define", file, "--validate")
	return err
}

// dumped is what libvirtd makes of a document.
func dumped(t *testing.T, rig *testrig.Libvirt, d *domainxml.Document) *domainxml.Document {
	t.Helper()
	require.NoError(t, define(t, rig, d), "%s", d)
	name, err := d.Get("name")
	require.NoError(t, err)
	text, err := rig.Virsh(t.Context(), "dumpxml", "--inactive", name)
	require.NoError(t, err)
	_, err = rig.Virsh(t.Context(), "undefine", name, "--nvram")
	require.NoError(t, err)
	return mustParse(t, text)
}

// libvirt's own parser takes and refuses the same, except as the tables say. Its
// driver for tests needs no daemon; what is well-formed fails there for its name or
// is defined.
func TestParseAgreesWithLibvirt(t *testing.T) {
	testrig.Need(t)
	dir := t.TempDir()
	type verdict struct {
		doc   string
		taken bool // is libvirt to find it well-formed
	}
	var list []verdict
	for _, tt := range malformed {
		list = append(list, verdict{tt.doc, tt.libLax != ""})
	}
	for _, tt := range wellFormed {
		list = append(list, verdict{tt.doc, true})
	}
	for _, doc := range withDomain(t) {
		list = append(list, verdict{doc, true})
	}
	for _, n := range []int{256, 5000} {
		list = append(list, verdict{nested(n), n == 256})
	}
	for i, v := range list {
		require.NoError(t, os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte(v.doc), 0o600))
	}
	const batch = 50
	for from := 0; from < len(list); from += batch {
		var script strings.Builder
		for i := from; i < min(from+batch, len(list)); i++ {
			fmt.Fprintf(&script, "echo %d; define %s;", i, filepath.Join(dir, strconv.Itoa(i)))
		}
		cmd := exec.CommandContext(t.Context(), "virsh", "-c", "test:///default", script.String())
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		stderr, _ := cmd.CombinedOutput() // fails as the last document does
		for i := from; i < min(from+batch, len(list)); i++ {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				_, said, ok := strings.Cut(string(stderr), fmt.Sprintf("from %s\n", filepath.Join(dir, strconv.Itoa(i))))
				require.True(t, ok || list[i].taken, "%q: %s", list[i].doc, stderr)
				said, _, _ = strings.Cut(said, "\n")
				refused := strings.Contains(said, "(domain_definition):")
				require.Equal(t, list[i].taken, !refused, "%.300q: %s", list[i].doc, said)
			})
		}
	}
}
