//go:build linux

package kvm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// startLVM puts a stand-in for LVM into the namespaces of a rig, and starts a pool of
// type logical, "vg". libvirtd and its storage driver are the real ones, and so are
// the block devices.
func startLVM(t *testing.T, rig *testrig.Libvirt, total provision.Bytes) (dir string) {
	t.Helper()
	require.FileExists(t, "/sbin/lvm", "run: apt-get install lvm2")
	ctx := context.WithoutCancel(t.Context())
	dir = filepath.Join(rig.Dir, "lvm")
	require.NoError(t, os.Mkdir(dir, 0o700))
	vg := fmt.Sprintf("provision-test-%d", os.Getpid()) // all namespaces have one /dev
	text, err := os.ReadFile("testdata/lvm/lvm.sh")
	require.NoError(t, err)
	script := strings.NewReplacer("@DIR@", dir, "@VG@", vg, "@TOTAL@", fmt.Sprint(uint64(total))).Replace(string(text))
	program := filepath.Join(dir, "lvm")
	require.NoError(t, os.WriteFile(program, []byte(script), 0o700))
	t.Cleanup(func() {
		_, err := rig.Inside(ctx, "sh", "-c", fmt.Sprintf("for d in /dev/%s/*; do [ -L $d ] && losetup -d $(readlink $d); done; rm -r /dev/%s", vg, vg))
		require.NoError(t, err)
	})
	for _, args := range [][]string{{"mkdir", "/dev/" + vg}, {"mount", "--bind", program, "/sbin/lvm"}} {
		_, err := rig.Inside(ctx, args[0], args[1:]...)
		require.NoError(t, err)
	}
	for _, args := range []string{"pool-define-as vg logical --source-name " + vg, "pool-start vg"} {
		_, err = rig.Virsh(ctx, strings.Fields(args)...)
		require.NoError(t, err)
	}
	return dir
}

// TestGuestOnLVM: disks are raw block devices, the root disk a full copy, sizes what
// LVM has rounded them up to; and nobody reads what a deleted guest has written.
func TestGuestOnLVM(t *testing.T) {
	rig := startLinux(t)
	dir := startLVM(t, rig, 256*provision.MiB)
	alone := openPool(t, rig, "vg", "")
	_, err := alone.Create(t.Context(), tinySpec("alone"), nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "Options.FilePool: is required")

	h := openPool(t, rig, "vg", "default")
	before := leftovers(t, rig)
	s := tinySpec("lvm")
	s.Disks[0].Size = 49 * provision.MiB
	s.Disks = append(s.Disks, provision.Disk{Size: 16 * provision.MiB}, provision.Disk{Size: 6 * provision.MiB})
	over := s
	over.Native = &kvm.Native{RootDisk: kvm.RootOverlay}
	_, err = h.Plan(t.Context(), over)
	require.ErrorIs(t, err, provision.ErrInvalid)
	require.ErrorContains(t, err, "native.rootDisk")

	g := bootedGuest(t, h, s)
	text, err := g.ConsoleLog(t.Context(), 0)
	require.NoError(t, err)
	for _, line := range []string{"disk=vda size=54525952 ro=0", "disk=vdb size=16777216 ro=0", "disk=vdc size=8388608 ro=0"} {
		require.Contains(t, string(text), line)
	}
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, st.Disks, 3)
	for i, want := range []provision.Bytes{52 * provision.MiB, 16 * provision.MiB, 8 * provision.MiB} {
		require.Equal(t, want, st.Disks[i].Size)
		require.Regexp(t, `^/dev/provision-test-\d+/`+string(g.ID())+`\.(root|disk1|disk2)$`, st.Disks[i].Source)
	}
	for _, l := range st.Limits {
		if strings.HasSuffix(l.Path, ".size") {
			require.Equal(t, provision.Enforced, l.Enforcement, "%+v", l)
		}
	}
	require.Empty(t, changes(t, h, s))
	mode, err := rig.Inside(t.Context(), "stat", "-L", "-c", "%a", st.Disks[1].Source)
	require.NoError(t, err)
	require.Equal(t, "600", strings.TrimSpace(mode))

	_, err = rig.Inside(t.Context(), "sh", "-c", "printf secret-of-a-tenant | dd conv=notrunc of="+st.Disks[1].Source)
	require.NoError(t, err)
	remove(t, g)
	require.Equal(t, before, leftovers(t, rig))
	requireWiped(t, dir, 3)
	s.Disks[1].Size = provision.GiB
	_, err = h.Create(t.Context(), s, nil)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, `"vg"`)
	left, err := filepath.Glob(dir + "/*.lv")
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, before, leftovers(t, rig))
}

// requireWiped looks at what the volumes held that LVM has free again.
func requireWiped(t *testing.T, dir string, volumes int) {
	t.Helper()
	freed, err := filepath.Glob(dir + "/*.free")
	require.NoError(t, err)
	require.Len(t, freed, volumes)
	for _, f := range freed {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		require.Equal(t, len(data), bytes.Count(data, []byte{0}), "%s is overwritten", f)
	}
}

// TestOrphansOnLVM: a disk that was left is overwritten before it is removed, and
// what is left in the pool of files is found too.
func TestOrphansOnLVM(t *testing.T) {
	rig := startRig(t)
	dir := startLVM(t, rig, 128*provision.MiB)
	h := openPool(t, rig, "vg", "default")
	before := leftovers(t, rig)
	s := tinySpec("lost")
	s.Disks = append(s.Disks, provision.Disk{Size: 8 * provision.MiB})
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	_, err = rig.Inside(t.Context(), "sh", "-c", "printf secret-of-a-tenant | dd conv=notrunc of="+st.Disks[1].Source)
	require.NoError(t, err)
	require.NoError(t, second(rig.Virsh(t.Context(), "undefine", "lost")))
	id := string(g.ID())
	require.Equal(t, []string{"log " + id + ".console.log", "seed " + id + ".seed.img", "volume " + id + ".disk1", "volume " + id + ".root"}, orphanNames(t, h))
	sweep(t, h)
	requireWiped(t, dir, 2)
	require.Equal(t, before, leftovers(t, rig))
}
