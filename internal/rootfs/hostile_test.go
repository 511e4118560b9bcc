//go:build linux

package rootfs

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// plants are what a tenant puts in the place of a file or directory. They get its
// path on the host, and the directory outside of the tree that must stay as it is.
var plants = map[string]func(t *testing.T, p, outside string){
	"absolute link":                func(t *testing.T, p, outside string) { symlink(t, filepath.Join(outside, "victim"), p) },
	"absolute link to a directory": func(t *testing.T, p, outside string) { symlink(t, outside, p) },
	"escaping link": func(t *testing.T, p, outside string) {
		symlink(t, strings.Repeat("../", 20)+strings.TrimPrefix(outside, "/"), p)
	},
	"link inside":  func(t *testing.T, p, _ string) { symlink(t, "../usr", p) },
	"link to proc": func(t *testing.T, p, _ string) { symlink(t, "/proc/self/root"+filepath.Dir(p), p) },
	"link loop":    func(t *testing.T, p, _ string) { symlink(t, filepath.Base(p), p) },
	"FIFO":         func(t *testing.T, p, _ string) { require.NoError(t, unix.Mkfifo(p, 0o666)) },
	"device": func(t *testing.T, p, _ string) {
		require.NoError(t, unix.Mknod(p, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	},
	"directory": func(t *testing.T, p, _ string) { require.NoError(t, os.MkdirAll(filepath.Join(p, "full"), 0o755)) },
	"hard link": func(t *testing.T, p, outside string) {
		require.NoError(t, os.Link(filepath.Join(outside, "victim"), p))
	},
	"huge file": func(t *testing.T, p, _ string) {
		require.NoError(t, os.WriteFile(p, nil, 0o644))
		require.NoError(t, os.Truncate(p, 1<<30))
	},
	"no line end": func(t *testing.T, p, _ string) { require.NoError(t, os.WriteFile(p, []byte("x"), 0o644)) },
	"zero bytes": func(t *testing.T, p, _ string) {
		require.NoError(t, os.WriteFile(p, []byte("a\x00b\x00\n"), 0o644))
		require.NoError(t, os.Chmod(p, 0o777|os.ModeSetuid))
	},
}

func symlink(t *testing.T, target, p string) { require.NoError(t, os.Symlink(target, p)) }

// targets are the paths that are read or written in each image, and some of their
// directories.
var targets = map[string][]string{
	"debian-networkd": {
		"/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/machine-id", "/var/lib/dbus", "/var/lib/dbus/machine-id",
		"/etc/ssh", "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_ecdsa_key",
		"/etc/systemd/network", "/etc/systemd/network/05-provision-eth0.network", "/etc/systemd/system/multi-user.target.wants",
		"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
		"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/home", "/home/web", "/home/web/.ssh", "/home/web/.ssh/authorized_keys",
		"/usr/lib/systemd", "/usr/sbin/init",
	},
	"debian-ifupdown": {"/etc/network", "/etc/network/interfaces", "/etc/network/interfaces.d", "/etc/network/interfaces.d/setup", "/etc/sudoers.d", "/etc/sudoers.d/90-provision", "/etc/skel", "/etc/skel/.bashrc"},
	"ubuntu-netplan":  {"/etc/netplan", "/etc/netplan/90-provision.yaml"},
	"centos-nm":       {"/etc/NetworkManager/system-connections", "/etc/NetworkManager/system-connections/provision-eth0.nmconnection"},
	"alpine-openrc":   {"/etc/runlevels/boot", "/etc/runlevels/boot/networking", "/etc/init.d"},
	"cloud-init": {
		"/var/lib/cloud", "/var/lib/cloud/seed/nocloud", "/var/lib/cloud/seed/nocloud/meta-data", "/var/lib/cloud/seed/nocloud/user-data",
		"/var/lib/cloud/seed/nocloud/vendor-data", "/etc/cloud/cloud.cfg.d/99-provision.cfg",
	},
}

// TestHostileTrees plants everything at every path. Whatever comes of it, nothing
// outside changes, nothing waits, an error names the place, and without an error
// the guest has what was asked for.
func TestHostileTrees(t *testing.T) {
	cases := 0
	for image, paths := range targets {
		for _, target := range paths {
			cases += len(plants)
			t.Run(image+target, func(t *testing.T) {
				t.Parallel()
				for name, plant := range plants {
					t.Run(name, func(t *testing.T) { hostile(t, images()[image], target, plant) })
				}
			})
		}
	}
	require.Greater(t, cases, 600)
}

// memory is a directory on a tmpfs: there are many trees, and it is not the disk
// that is tested.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "rootfs-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func hostile(t *testing.T, files map[string]string, target string, plant func(t *testing.T, p, outside string)) {
	top := memory(t)
	outside, dir := filepath.Join(top, "outside"), filepath.Join(top, "rootfs")
	put(t, outside, map[string]string{"victim": "of the host\n", "dir/passwd": "root:x:0:0::/:/bin/sh\n", "resolv.conf": "nameserver 192.0.2.99\n"})
	put(t, dir, files)
	at := filepath.Join(dir, target)
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(t, os.RemoveAll(at))
	plant(t, at, outside)
	before := list(t, outside, true)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	var rep Report
	tree := open(t, dir)
	go func() {
		var err error
		rep, err = tree.Apply(ctx, firstBoot())
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		require.Fail(t, "Apply waits for something in the tree")
	}
	require.Equal(t, before, list(t, outside, true), "the host's files")
	inside := list(t, dir, false)
	require.False(t, strings.Contains(inside, "/"+temporary), "a temporary file is left")
	copies := strings.Count(inside, "of the host\n")
	if info, err := os.Stat(filepath.Join(outside, "victim")); err == nil && ownerOf(info).links > 1 {
		copies-- // the hard link is still there
	}
	require.Zero(t, copies, "copies of a file of the host's")
	if err != nil {
		require.ErrorContains(t, err, target)
		return
	}
	if slices.Contains(rep.Changed, target) && !strings.HasSuffix(target, "machine-id") {
		info, err := os.Lstat(at)
		if err == nil && info.Mode().IsRegular() { // RSA keys are gone
			o := ownerOf(info)
			require.GreaterOrEqual(t, o.uid, base)
			require.EqualValues(t, 1, o.links)
			require.Zero(t, info.Mode()&(os.ModeSetuid|os.ModeSetgid))
		}
	}
}
