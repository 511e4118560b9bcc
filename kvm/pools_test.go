//go:build linux

package kvm_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

func bootsIn(t *testing.T, rig *testrig.Libvirt, pool, dir string) (xml string) {
	t.Helper()
	h := openPool(t, rig, pool, "")
	kvmrig.Import(t, h, imageName, kvmrig.BriefDisk())
	before := filesOf(t, rig, dir)
	s := tinySpec("in-" + pool)
	s.Disks = append(s.Disks, provision.Disk{Size: 8 * provision.MiB})
	g := bootedGuest(t, h, s)
	xml, err := rig.Virsh(t.Context(), "dumpxml", s.Name)
	require.NoError(t, err)
	require.Contains(t, xml, dir+"/"+string(g.ID())+".disk1.qcow2")
	remove(t, g)
	require.Equal(t, before, filesOf(t, rig, dir))
	return xml
}

// TestPoolOfTypeFS: libvirt mounts the file system itself.
func TestPoolOfTypeFS(t *testing.T) {
	rig := startRig(t)
	image, dir := filepath.Join(rig.Dir, "fs.img"), filepath.Join(rig.Dir, "fs")
	loop := ""
	for _, args := range [][]string{{"truncate", "-s", "256M", image}, {"mkfs.ext4", "-q", image}, {"mkdir", dir}, {"losetup", "-f", "--show", image}} {
		out, err := rig.Inside(t.Context(), args[0], args[1:]...)
		require.NoError(t, err)
		loop = strings.TrimSpace(out)
	}
	t.Cleanup(func() {
		// Detached when the last mount ends, with the rig.
		require.NoError(t, exec.Command("losetup", "-d", loop).Run())
	})
	_, err := rig.Virsh(t.Context(), "pool-create-as", "mounted", "fs", "--source-dev", loop, "--target", dir, "--source-format", "ext4")
	require.NoError(t, err)
	require.Contains(t, bootsIn(t, rig, "mounted", dir), "cache='none'")
}

// TestPoolOnTmpfs: the file system below a pool is seen where libvirtd sees the same
// one, and disks then go through the page cache.
func TestPoolOnTmpfs(t *testing.T) {
	rig := startRig(t)
	dir, err := os.MkdirTemp("/dev/shm", "pool")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	_, err = rig.Virsh(t.Context(), "pool-create-as", "memory", "dir", "--target", dir)
	require.NoError(t, err)
	xml := bootsIn(t, rig, "memory", dir)
	require.Contains(t, xml, "cache='writeback' io='threads' discard='unmap' detect_zeroes='unmap'")
	require.NotContains(t, xml, "cache='none'")

	hidden := filepath.Join(rig.Dir, "hidden") // where this process sees a directory of ext4
	for _, args := range [][]string{{"mkdir", hidden}, {"mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", hidden}} {
		_, err := rig.Inside(t.Context(), args[0], args[1:]...)
		require.NoError(t, err)
	}
	_, err = rig.Virsh(t.Context(), "pool-create-as", "hidden", "dir", "--target", hidden)
	require.NoError(t, err)
	h := openPool(t, rig, "hidden", "")
	kvmrig.Import(t, h, imageName, kvmrig.BriefDisk())
	s := tinySpec("hidden")
	s.Native = &kvm.Native{DiskCache: "directsync", DiskIO: "native"}
	g := bootedGuest(t, h, s)
	xml, err = rig.Virsh(t.Context(), "dumpxml", s.Name)
	require.NoError(t, err)
	require.Contains(t, xml, "cache='directsync' io='native'")
	require.Empty(t, changes(t, h, s))
	remove(t, g)
}

// TestPoolsThatAreRefused: for each type that libvirt knows here and this package does
// not take, the reason and a way out are told.
func TestPoolsThatAreRefused(t *testing.T) {
	rig, _ := testrig.Start(t)
	const source = `<source><host name='192.0.2.9'/><device path='/dev/none'/><name>none</name><adapter type='scsi_host' name='scsi_host9'/></source>`
	for _, kind := range []string{"disk", "iscsi", "scsi", "mpath"} {
		file := filepath.Join(t.TempDir(), "pool.xml")
		writeFile(t, file, fmt.Sprintf(`<pool type='%s'><name>%s</name>%s<target><path>/dev/none</path></target></pool>`, kind, kind, source))
		_, err := rig.Virsh(t.Context(), "pool-define", file)
		require.NoError(t, err)
		h := openPool(t, rig, kind, "")
		_, err = h.Create(t.Context(), tinySpec("none"), nil)
		require.ErrorIs(t, err, errors.ErrUnsupported, kind)
		require.ErrorContains(t, err, "a storage pool of type "+kind+" is not supported")
		list, err := h.Check(t.Context())
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(list, func(f provision.Finding) bool {
			return f.Check == "pool" && f.Severity == provision.SeverityError
		}), "%v", list)
	}
	h := openPool(t, rig, "default", "disk")
	_, err := h.Images(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "Options.FilePool")
}

// TestNoRefresh: nothing that is done every day refreshes a pool.
func TestNoRefresh(t *testing.T) {
	rig := startRig(t)
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	h := openHost(t, p.URI, nil)
	_, err := h.ImportImage(t.Context(), "other", strings.NewReader(strings.Repeat("x", 1<<20)), &provision.ImportOptions{Format: "raw"})
	require.NoError(t, err)
	s := tinySpec("calm")
	s.Disks = append(s.Disks, provision.Disk{Size: provision.MiB})
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	_, err = g.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, changes(t, h, s))
	for _, err := range h.Guests(t.Context(), nil) {
		require.NoError(t, err)
	}
	_, err = h.Check(t.Context())
	require.NoError(t, err)
	remove(t, g)
	require.NoError(t, h.RemoveImage(t.Context(), "other"))
	require.Positive(t, p.count(procVolCreateXML), "the proxy counts")
	require.Positive(t, p.count(procVolDelete), "the proxy counts")
	require.Zero(t, p.count(procPoolRefresh))
}

// TestDeleteWithPoolOff: a disk in a pool that is off is not taken for deleted.
func TestDeleteWithPoolOff(t *testing.T) {
	rig := startRig(t)
	dir := filepath.Join(rig.Dir, "other")
	require.NoError(t, os.Mkdir(dir, 0o700))
	virsh := func(args ...string) {
		_, err := rig.Virsh(t.Context(), args...)
		require.NoError(t, err)
	}
	virsh("pool-define-as", "other", "dir", "--target", dir)
	virsh("pool-start", "other")
	g, err := openPool(t, rig, "other", "default").Create(t.Context(), tinySpec("away"), nil)
	require.NoError(t, err)
	virsh("pool-destroy", "other")
	h := openPool(t, rig, "default", "")
	same, err := h.Guest(t.Context(), "away")
	require.NoError(t, err)
	err = same.Delete(t.Context(), nil)
	require.ErrorIs(t, err, provision.ErrState)
	require.ErrorContains(t, err, "pool-start")
	_, err = os.Stat(filepath.Join(dir, string(g.ID())+".root.qcow2"))
	require.NoError(t, err)
	virsh("pool-start", "other")
	require.NoError(t, same.Delete(t.Context(), nil))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
