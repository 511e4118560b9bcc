package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/mountinfo"
)

// fakeDisks is a tree like /sys: two disks with a partition each, RAID of the
// partitions, a volume on that, a loop device with a file there, and devices that are wrong.
func fakeDisks(t *testing.T) *finder {
	t.Helper()
	sys := plant(t, map[string]string{
		"devices/sda/dev": "8:0\n", "devices/sda/sda1/dev": "8:1\n", "devices/sda/sda1/partition": "1\n",
		"devices/sdb/dev": "8:16\n", "devices/sdb/sdb1/dev": "8:17\n", "devices/sdb/sdb1/partition": "1\n",
		"devices/md0/dev": "9:0\n", "devices/dm-0/dev": "254:0\n",
		"devices/loop0/dev": "7:0\n", "devices/loop0/loop/backing_file": "/raid/a file\n",
		"devices/loop1/dev": "7:1\n", "devices/loop1/loop/backing_file": "/on-loop1\n",
		"devices/odd/dev": "x\n", "devices/odd/odd1/dev": "11:1\n", "devices/odd/odd1/partition": "1\n",
	})
	link := func(from, to string) {
		from = filepath.Join(sys, from)
		require.NoError(t, os.MkdirAll(filepath.Dir(from), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(sys, "devices", to), from))
	}
	for number, dir := range map[string]string{"8:0": "sda", "8:1": "sda/sda1", "8:16": "sdb", "8:17": "sdb/sdb1", "9:0": "md0", "254:0": "dm-0", "7:0": "loop0", "7:1": "loop1", "11:1": "odd/odd1"} {
		link("dev/block/"+number, dir)
	}
	link("devices/md0/slaves/sda1", "sda/sda1")
	link("devices/md0/slaves/sdb1", "sdb/sdb1")
	link("devices/dm-0/slaves/md0", "md0")
	link("fs/btrfs/2c0f/devices/sda1", "sda/sda1")
	link("fs/btrfs/2c0f/devices/sdb1", "sdb/sdb1")
	require.NoError(t, os.MkdirAll(filepath.Join(sys, "devices/sda/slaves"), 0o755))
	places := map[string]place{
		"/root": {device: Device{8, 1}}, "/raid/a file": {device: Device{254, 0}}, "/loop": {device: Device{7, 0}},
		"/on-loop1": {device: Device{7, 1}}, "/odd": {device: Device{11, 1}}, "/unknown": {device: Device{99, 9}},
		"/overlay": {mount: mountinfo.Mount{Type: "overlay", Super: []string{"rw", "lowerdir=/x", "upperdir=/loop"}}},
		"/circle":  {mount: mountinfo.Mount{Type: "overlay", Super: []string{"upperdir=/circle"}}},
		"/view":    {mount: mountinfo.Mount{Type: "overlay", Super: []string{"ro"}}},
		"/btrfs":   {mount: mountinfo.Mount{Type: "btrfs", Source: "/dev/sdb1"}}, "/dev/sdb1": {node: Device{8, 17}},
		"/alone": {mount: mountinfo.Mount{Type: "btrfs", Source: "/dev/sda"}}, "/dev/sda": {node: Device{8, 0}},
		"/tmp": {mount: mountinfo.Mount{Type: "tmpfs"}}, "/nfs": {mount: mountinfo.Mount{Type: "nfs4"}}, "/tank": {mount: mountinfo.Mount{Type: "zfs"}}, "/fuse": {mount: mountinfo.Mount{Type: "fuse.sshfs"}},
	}
	return &finder{sys: sys, locate: func(path string) (place, error) {
		at, ok := places[path]
		if !ok {
			return at, os.ErrNotExist
		}
		return at, nil
	}}
}

func TestDisksFake(t *testing.T) {
	t.Parallel()
	both := []Device{{8, 0}, {8, 16}}
	for path, want := range map[string][]Device{
		"/root": {{8, 0}}, "/raid/a file": {{254, 0}}, "/loop": {{7, 0}}, "/on-loop1": {{7, 1}}, "/overlay": {{7, 0}}, "/btrfs": both,
	} {
		f := fakeDisks(t)
		require.NoError(t, f.path(path, 0), path)
		require.Empty(t, cmp.Diff(want, f.found), path)
	}
	for _, path := range []string{"/tmp", "/nfs", "/tank", "/fuse", "/view", "/circle"} {
		f := fakeDisks(t)
		var none *NoDiskError
		require.ErrorAs(t, f.path(path, 0), &none, path)
		require.NotEmpty(t, none.Reason)
	}
	for _, path := range []string{"/odd", "/unknown", "/absent", "/alone"} {
		f := fakeDisks(t)
		err := f.path(path, 0)
		require.Error(t, err, path)
		require.False(t, errors.As(err, new(*NoDiskError)), path)
	}
}

// The disks of this machine, through a loop device, an overlay and, on two loop
// devices, btrfs.
func TestDisks(t *testing.T) {
	base := t.TempDir()
	disks, err := Volumes(base)
	require.NoError(t, err, "the directory for temporary files is on a disk")
	require.NotEmpty(t, disks)
	dir, device := loopMount(t)
	require.EqualValues(t, 7, device.Major)
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	merged := filepath.Join(dir, "merged")
	require.NoError(t, unix.Mount("overlay", merged, "overlay", 0, "lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(merged, 0)) })
	for _, path := range []string{dir, merged} {
		have, err := Volumes(path)
		require.NoError(t, err)
		require.Equal(t, []Device{device}, have)
	}
	_, err = Volumes("/proc")
	require.ErrorAs(t, err, new(*NoDiskError))
	_, err = Volumes(filepath.Join(base, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestDisksBtrfs(t *testing.T) {
	mkfs, err := exec.LookPath("mkfs.btrfs")
	require.NoError(t, err, "run: apt-get install btrfs-progs")
	base := t.TempDir()
	var loops []string
	for _, name := range []string{"a", "b"} {
		image := filepath.Join(base, name)
		require.NoError(t, os.WriteFile(image, nil, 0o600))
		require.NoError(t, os.Truncate(image, 128<<20))
		loop := tool(t, "losetup", "-f", "--show", image)
		t.Cleanup(func() { tool(t, "losetup", "-d", loop) })
		loops = append(loops, loop)
	}
	tool(t, mkfs, "-q", loops[0], loops[1])
	dir := t.TempDir()
	tool(t, "mount", "-o", "device="+loops[0]+",device="+loops[1], loops[0], dir)
	t.Cleanup(func() { tool(t, "umount", dir) })
	tool(t, "btrfs", "subvolume", "create", dir+"/guest")
	have, err := Volumes(dir + "/guest")
	require.NoError(t, err)
	var want []Device
	for _, loop := range loops {
		at, err := locate(loop)
		require.NoError(t, err)
		want = append(want, at.node)
	}
	require.ElementsMatch(t, want, have)
}
