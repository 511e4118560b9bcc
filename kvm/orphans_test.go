//go:build linux

package kvm_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
)

var anyAge = &provision.OrphanOptions{MinAge: time.Nanosecond}

// orphanNames lists orphans as "kind name".
func orphanNames(t *testing.T, h *provision.Host) []string {
	t.Helper()
	all, err := h.Orphans(t.Context(), anyAge)
	require.NoError(t, err)
	list := []string{}
	for _, o := range all {
		require.NotEmpty(t, o.Evidence)
		list = append(list, string(o.Kind)+" "+o.Name)
	}
	return list
}

func sweep(t *testing.T, h *provision.Host) {
	t.Helper()
	all, err := h.Orphans(t.Context(), anyAge)
	require.NoError(t, err)
	for _, o := range all {
		require.NoError(t, h.RemoveOrphan(t.Context(), o, anyAge), "%s %s", o.Kind, o.Name)
	}
}

// volume puts a file into the pool as an older time would have left it.
func volume(t *testing.T, rig *testrig.Libvirt, name string, age time.Duration) {
	t.Helper()
	path := filepath.Join(rig.PoolDir, name)
	writeFile(t, path, "left")
	when := time.Now().Add(-age)
	require.NoError(t, os.Chtimes(path, when, when))
}

// TestOrphans: what is left is found with its age, and what only looks so is not.
func TestOrphans(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	refresh := func() {
		t.Helper()
		require.NoError(t, second(rig.Virsh(ctx, "pool-refresh", "default")))
	}
	before := leftovers(t, rig)
	living, err := h.Create(ctx, tinySpec("living"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, living) })
	there := leftovers(t, rig)
	require.Empty(t, orphanNames(t, h))

	t.Run("undefined by hand", func(t *testing.T) {
		g, err := h.Create(ctx, tinySpec("lost"), nil)
		require.NoError(t, err)
		require.NoError(t, second(rig.Virsh(ctx, "undefine", "lost")))
		id := string(g.ID())
		require.Equal(t, []string{"log " + id + ".console.log", "seed " + id + ".seed.img", "volume " + id + ".root.qcow2"}, orphanNames(t, h))
		young, err := h.Orphans(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, young, "they are younger than ten minutes")
		volume(t, rig, id+".console.log.0", time.Hour) // as virtlogd has it; the pool does not know it
		sweep(t, h)
		require.Equal(t, there, leftovers(t, rig))
	})

	t.Run("rotated logs that the pool knows", func(t *testing.T) {
		log := uuid.NewString() + ".console.log"
		volume(t, rig, log, time.Hour)
		volume(t, rig, log+".0", time.Hour)
		refresh()
		volume(t, rig, log+".1", time.Hour)
		require.Equal(t, []string{"log " + log, "log " + log + ".0"}, orphanNames(t, h))
		sweep(t, h)
		require.Equal(t, there, leftovers(t, rig))
	})

	t.Run("a trial of KVM that was killed", func(t *testing.T) {
		old, young := uuid.NewString(), uuid.NewString()
		for _, suffix := range []string{".trial.img", ".trial.log"} {
			volume(t, rig, old+suffix, time.Hour)
			volume(t, rig, young+suffix, time.Minute)
		}
		refresh()
		require.Equal(t, []string{"trial " + old + ".trial.img", "trial " + old + ".trial.log"}, orphanNames(t, h), "a trial may be under way")
		sweep(t, h)
		for _, suffix := range []string{".trial.img", ".trial.log"} {
			require.NoError(t, second(rig.Virsh(ctx, "vol-delete", young+suffix, "default")))
		}
	})

	t.Run("domains of trials", func(t *testing.T) {
		start := func(id string) {
			file := filepath.Join(t.TempDir(), "trial.xml")
			writeFile(t, file, fmt.Sprintf(`<domain type='qemu'><name>provision-trial-%s</name><uuid>%s</uuid><memory unit='MiB'>32</memory>`+
				`<vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`, id, id))
			require.NoError(t, second(rig.Virsh(ctx, "create", file)))
		}
		next, stop := iter.Pull2(h.Events(ctx, nil))
		defer stop()
		e, err, _ := next()
		require.NoError(t, err)
		require.Equal(t, provision.EventReady, e.Type)
		const old = "01900000-0000-7000-8000-000000000001" // of 2024: it outlived its connection
		young := uuid.Must(uuid.NewV7()).String()          // it is under way
		start(old)
		start(young)
		require.Equal(t, []string{"trial provision-trial-" + old}, orphanNames(t, h))
		for st, err := range h.Guests(ctx, nil) {
			require.NoError(t, err)
			require.NotContains(t, st.Name, "trial")
		}
		require.ErrorIs(t, h.RemoveOrphan(ctx, provision.Orphan{Kind: provision.OrphanTrial, Name: "provision-trial-" + young, ID: provision.ID(young)}, anyAge), provision.ErrConflict)
		sweep(t, h)
		require.NoError(t, second(rig.Virsh(ctx, "destroy", "provision-trial-"+young)), "it was left alone")
		require.NoError(t, living.SetLabels(ctx, map[string]string{"a": "b"}))
		e, err, _ = next()
		require.NoError(t, err)
		require.Equal(t, "living", e.Name, "trials are no guests")
	})

	t.Run("an import that was killed", func(t *testing.T) {
		volume(t, rig, "image-torn.qcow2", time.Hour)
		volume(t, rig, "image-empty.raw", time.Hour)
		require.NoError(t, os.WriteFile(filepath.Join(rig.PoolDir, "image-empty.json"), nil, 0o600))
		volume(t, rig, "image-foreign.json", time.Hour) // not ours: it has no manifest of ours in it
		volume(t, rig, "image-foreign.raw", time.Hour)
		refresh()
		require.Equal(t, []string{"image image-empty.json", "image image-empty.raw", "image image-torn.qcow2"}, orphanNames(t, h))
		sweep(t, h)
		for _, name := range []string{"image-foreign.json", "image-foreign.raw"} {
			require.NoError(t, second(rig.Virsh(ctx, "vol-delete", name, "default")))
		}
	})

	t.Run("what only looks like ours, or is used by others", func(t *testing.T) {
		used, base := uuid.NewString()+".root.qcow2", uuid.NewString()+".root.qcow2"
		names := []string{used, base, uuid.NewString() + ".qcow2", uuid.NewString() + ".iso", "web1.root.qcow2",
			"00000000-0000-0000-0000-000000000000.root.qcow2", "image.raw", "x-" + uuid.NewString() + ".root.qcow2"}
		for _, name := range names {
			volume(t, rig, name, time.Hour)
		}
		refresh()
		require.NoError(t, second(rig.Virsh(ctx, "vol-create-as", "default", "foreign.qcow2", "1M", "--format", "qcow2",
			"--backing-vol", base, "--backing-vol-format", "raw")))
		defer foreignDomain(t, rig, "foreign", "<disk type='volume'><source pool='default' volume='"+used+"'/><target dev='vda' bus='virtio'/></disk>")()
		require.Empty(t, orphanNames(t, h))
		for _, o := range []provision.Orphan{{Kind: provision.OrphanVolume, Name: used, ID: provision.ID(used[:36])}, {Kind: provision.OrphanVolume, Name: "web1.root.qcow2"}} {
			require.ErrorIs(t, h.RemoveOrphan(ctx, o, anyAge), provision.ErrConflict)
			require.ErrorIs(t, newOpened(t, rig).RemoveOrphan(ctx, o, time.Now()), provision.ErrConflict)
		}
		for _, name := range append(names, "foreign.qcow2") {
			require.NoError(t, second(rig.Virsh(ctx, "vol-delete", name, "default")))
		}
	})
	require.Equal(t, there, leftovers(t, rig))
	remove(t, living)
	require.Equal(t, before, leftovers(t, rig))
}

// TestOrphansOfFilePool: what is left in FilePool is found there, and a volume of
// it that cannot be read hides nothing.
func TestOrphansOfFilePool(t *testing.T) {
	rig := startRig(t)
	ctx := t.Context()
	dir := filepath.Join(rig.Dir, "other")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, second(rig.Virsh(ctx, "pool-create-as", "disks", "dir", "--target", dir)))
	h := openPool(t, rig, "disks", "default")
	before, disks := leftovers(t, rig), filesOf(t, rig, dir)
	s := tinySpec("apart")
	s.Disks = append(s.Disks, provision.Disk{Size: provision.MiB})
	g, err := h.Create(ctx, s, nil)
	require.NoError(t, err)
	require.NoError(t, second(rig.Virsh(ctx, "undefine", "apart")))
	id, trial := string(g.ID()), uuid.NewString()+".trial.img"
	for _, name := range []string{id + ".nvram.fd", trial, "image-torn.qcow2"} {
		volume(t, rig, name, time.Hour)
	}
	require.NoError(t, second(rig.Virsh(ctx, "pool-refresh", "default")))
	require.Equal(t, []string{"image image-torn.qcow2", "log " + id + ".console.log", "seed " + id + ".seed.img", "trial " + trial,
		"volume " + id + ".disk1.qcow2", "volume " + id + ".nvram.fd", "volume " + id + ".root.qcow2"}, orphanNames(t, h))

	loop := filepath.Join(rig.PoolDir, "loop.img")
	require.NoError(t, second(rig.Virsh(ctx, "vol-create-as", "default", "loop.img", "1M")))
	require.NoError(t, os.Remove(loop))
	require.NoError(t, os.Symlink("loop.img", loop))
	_, err = h.Orphans(ctx, anyAge)
	require.Error(t, err, "what stands on it is not known")
	require.NoError(t, os.Remove(loop))
	require.NoError(t, second(rig.Virsh(ctx, "pool-refresh", "default")))

	sweep(t, h)
	require.Equal(t, before, leftovers(t, rig))
	require.Equal(t, disks, filesOf(t, rig, dir))
}

// TestImageInUse: an image that a foreign domain or volume stands on stays.
func TestImageInUse(t *testing.T) {
	rig := startLinux(t) // its image is a qcow2
	ctx := t.Context()
	h := openHost(t, rig.URI, nil)
	image := filepath.Join(rig.PoolDir, "image-"+imageName+".qcow2")
	refused := func(by string) {
		t.Helper()
		err := h.RemoveImage(ctx, imageName)
		require.ErrorIs(t, err, provision.ErrState)
		require.ErrorContains(t, err, by)
		require.FileExists(t, image)
		list, err := h.Images(ctx)
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(list, func(i provision.Image) bool { return i.Name == imageName }), "it is whole")
	}
	t.Run("disk of a foreign domain", func(t *testing.T) {
		defer foreignDomain(t, rig, "direct", "<disk type='file'><driver name='qemu' type='qcow2'/><source file='"+image+"'/><target dev='vda' bus='virtio'/></disk>")()
		refused("domain direct")
	})
	t.Run("backing file of a foreign volume", func(t *testing.T) {
		require.NoError(t, second(rig.Virsh(ctx, "vol-create-as", "default", "mine.qcow2", "64M", "--format", "qcow2",
			"--backing-vol", "image-"+imageName+".qcow2", "--backing-vol-format", "qcow2")))
		refused("volume mine.qcow2 of pool default")
		require.NoError(t, second(rig.Virsh(ctx, "vol-delete", "mine.qcow2", "default")))
	})
	t.Run("backing file outside of all pools, of a domain that runs", func(t *testing.T) {
		overlay := filepath.Join(rig.Dir, "overlay.qcow2")
		_, err := rig.Inside(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay)
		require.NoError(t, err)
		defer foreignDomain(t, rig, "outside", "<disk type='file'><driver name='qemu' type='qcow2'/><source file='"+overlay+"'/><target dev='vda' bus='virtio'/></disk>")()
		require.NoError(t, second(rig.Virsh(ctx, "start", "outside")))
		refused("domain outside")
		require.NoError(t, second(rig.Virsh(ctx, "destroy", "outside")))
	})
	require.NoError(t, h.RemoveImage(ctx, imageName), "nobody uses it any more")
	require.NoFileExists(t, image)
}

// foreignDomain defines a domain that is not ours and returns what removes it.
func foreignDomain(t *testing.T, rig *testrig.Libvirt, name, devices string) (remove func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "foreign.xml")
	writeFile(t, file, fmt.Sprintf(`<domain type='qemu'><name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>`+
		`<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>%s</devices></domain>`, name, devices))
	require.NoError(t, second(rig.Virsh(t.Context(), "define", file)))
	return func() {
		require.NoError(t, second(rig.Virsh(context.WithoutCancel(t.Context()), "undefine", name)))
	}
}
