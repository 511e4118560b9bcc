//go:build linux

package kvm_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
)

// keptFiles lists what libvirtd keeps of domains in its own directories.
func keptFiles(t *testing.T, rig *testrig.Libvirt) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(filepath.Join(rig.Dir, "lib"), func(path string, d os.DirEntry, err error) error {
		// master-key and the like live and die with the process.
		if err == nil && !d.IsDir() && !strings.Contains(path, "/qemu/domain-") {
			list = append(list, strings.TrimPrefix(path, rig.Dir+"/lib"))
		}
		return nil
	})
	require.NoError(t, err)
	return list
}

// TestDeleteLeavesNothing: what others added to a guest, or what libvirt keeps of
// it in directories of its own, goes with it.
func TestDeleteLeavesNothing(t *testing.T) {
	rig := startRig(t)
	h := openHost(t, rig.URI, nil)
	ctx := t.Context()
	before, kept := leftovers(t, rig), keptFiles(t, rig)
	virsh := func(t *testing.T, args ...string) {
		t.Helper()
		_, err := rig.Virsh(ctx, args...)
		require.NoError(t, err)
	}
	for _, c := range []struct {
		name string
		add  func(t *testing.T, g *provision.Guest)
		file string // a part of the name of what must be there before Delete
	}{
		{"a managed save", func(t *testing.T, g *provision.Guest) {
			require.NoError(t, g.Start(ctx, nil))
			virsh(t, "managedsave", g.Name())
			st, err := g.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, "its memory is saved", st.Reason)
		}, "/qemu/save/"},
		{"a snapshot inside of the disk", func(t *testing.T, g *provision.Guest) {
			rewrite(t, rig, g.Name(), withoutSeed)
			virsh(t, "snapshot-create-as", g.Name(), "s1")
		}, "/qemu/snapshot/"},
		{"a snapshot in a file of its own", func(t *testing.T, g *provision.Guest) {
			virsh(t, "snapshot-create-as", g.Name(), "s1", "--disk-only", "--diskspec", "vdb,snapshot=no")
			require.FileExists(t, filepath.Join(rig.PoolDir, string(g.ID())+".root.s1"))
		}, "/qemu/snapshot/"},
		{"a chain of snapshots, taken while it runs", func(t *testing.T, g *provision.Guest) {
			require.NoError(t, g.Start(ctx, nil))
			virsh(t, "snapshot-create-as", g.Name(), "s1", "--disk-only", "--diskspec", "vdb,snapshot=no")
			virsh(t, "snapshot-create-as", g.Name(), "s2", "--disk-only", "--diskspec", "vdb,snapshot=no")
		}, "/qemu/snapshot/"},
		{"a checkpoint", func(t *testing.T, g *provision.Guest) {
			// Bitmaps take a newer version of the format than libvirt's default.
			_, err := rig.Inside(ctx, "qemu-img", "amend", "-f", "qcow2", "-o", "compat=1.1", filepath.Join(rig.PoolDir, string(g.ID())+".root.qcow2"))
			require.NoError(t, err)
			require.NoError(t, g.Start(ctx, nil))
			virsh(t, "checkpoint-create-as", g.Name(), "c1", "--diskspec", "vda", "--diskspec", "vdb,checkpoint=no")
		}, "/qemu/checkpoint/"},
		{"NVRAM", func(t *testing.T, g *provision.Guest) {
			rewrite(t, rig, g.Name(), func(xml string) string {
				return strings.Replace(xml, "</type>", "</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"+
					"<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>", 1)
			})
			require.NoError(t, g.Start(ctx, nil))
		}, "/qemu/nvram/"},
		{"a TPM whose state is to be kept", func(t *testing.T, g *provision.Guest) {
			rewrite(t, rig, g.Name(), func(xml string) string {
				return strings.Replace(xml, "</devices>", "<tpm model='tpm-crb'><backend type='emulator' version='2.0' persistent_state='yes'/></tpm></devices>", 1)
			})
			require.NoError(t, g.Start(ctx, nil))
		}, "/swtpm/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := h.Create(ctx, tinySpec("adorned"), nil)
			require.NoError(t, err)
			t.Cleanup(func() { remove(t, g) })
			c.add(t, g)
			require.Contains(t, strings.Join(keptFiles(t, rig), "\n"), c.file)
			require.NoError(t, g.Delete(ctx, &provision.DeleteOptions{Force: true}))
			require.Equal(t, before, leftovers(t, rig))
			require.Equal(t, kept, keptFiles(t, rig))
		})
	}
}

// withoutSeed takes the raw disk away, which cannot hold a snapshot.
func withoutSeed(xml string) string {
	begin := strings.LastIndex(xml[:strings.Index(xml, ".seed.img")], "<disk ")
	end := begin + strings.Index(xml[begin:], "</disk>") + len("</disk>")
	return xml[:begin] + xml[end:]
}

// TestDeleteWhileOthersStart: a guest is never merely undefined while it runs,
// also when somebody starts it in the middle of a Delete.
func TestDeleteWhileOthersStart(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	before := leftovers(t, rig)
	for _, step := range []string{"disks", "undefine"} {
		h := openHost(t, rig.URI, &provision.Options{Around: func(ctx context.Context, c provision.Call, next func(context.Context) error) error {
			if c.Op == "delete" && c.Step == step {
				// Without its disks it does not start.
				_, err := rig.Virsh(ctx, "start", "restless")
				require.Equal(t, step == "disks", err == nil, "%v", err)
			}
			return next(ctx)
		}})
		g, err := h.Create(ctx, tinySpec("restless"), nil)
		require.NoError(t, err)
		require.NoError(t, g.Delete(ctx, nil))
		require.Equal(t, before, leftovers(t, rig), step)
	}
	t.Run("one that became transient", func(t *testing.T) {
		h := openHost(t, rig.URI, nil)
		g, err := h.Create(ctx, tinySpec("hidden"), nil)
		require.NoError(t, err)
		require.NoError(t, g.Start(ctx, nil))
		_, err = rig.Virsh(ctx, "undefine", "hidden")
		require.NoError(t, err)
		require.NoError(t, g.Delete(ctx, &provision.DeleteOptions{Force: true}))
		require.Equal(t, before, leftovers(t, rig))
	})
}

// TestCrashedQEMU kills the process of a guest: it can be started and deleted,
// and its tap goes.
func TestCrashedQEMU(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	before := leftovers(t, rig)
	g, err := h.Create(ctx, tinySpec("frail"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, g) })
	off := leftovers(t, rig)
	crash := func() {
		t.Helper()
		require.NoError(t, g.Start(ctx, nil))
		require.NotEqual(t, off, leftovers(t, rig), "it has a process and a tap")
		require.NoError(t, qemu(t, rig, "frail").Kill())
		wait, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		st, err := g.Wait(wait, provision.UntilState(provision.StateCrashed))
		require.NoError(t, err)
		require.Equal(t, "its QEMU process died", st.Reason)
		require.Eventually(t, func() bool {
			now := leftovers(t, rig)
			return len(now) == len(off)
		}, 20*time.Second, 100*time.Millisecond, "process and tap are gone")
		require.Equal(t, off, leftovers(t, rig))
	}
	crash()
	crash() // it was started once more
	result, err := g.Stop(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, provision.StopNone, result)
	require.NoError(t, g.Delete(ctx, nil), "without force: it does not run")
	require.Equal(t, before, leftovers(t, rig))
}
