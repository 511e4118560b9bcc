//go:build linux

package rootfs

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// base is the first id of the guests of these tests.
const base = 200000

// put makes files in a directory of the host: a name that ends in "/" is a
// directory, a text that begins with "-> " a symbolic link. All belong to the guest.
func put(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		target, link := strings.CutPrefix(text, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			require.NoError(t, os.MkdirAll(p, 0o755))
		case link:
			require.NoError(t, os.Symlink(target, p))
		default:
			require.NoError(t, os.WriteFile(p, []byte(text), 0o644))
		}
	}
	require.NoError(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, base, base)
	}))
}

func open(t testing.TB, dir string) *Tree {
	t.Helper()
	require.Zero(t, os.Geteuid(), "files of guests belong to others: run these tests as root")
	tree, err := Open(dir, base, base)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	return tree
}

// list describes all of a directory: type and mode, owner, content, and with times
// also the inode and the time of the last write. Of large files the size has to do.
func list(t testing.TB, dir string, withTimes bool) string {
	t.Helper()
	var s strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		st := info.Sys().(*syscall.Stat_t)
		rel, err := filepath.Rel(dir, p)
		require.NoError(t, err)
		fmt.Fprintf(&s, "%s %s %d:%d", filepath.Join("/", rel), info.Mode(), st.Uid, st.Gid)
		if withTimes {
			fmt.Fprintf(&s, " %d %s", st.Ino, info.ModTime().Format(time.RFC3339Nano))
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			require.NoError(t, err)
			fmt.Fprintf(&s, " -> %s", target)
		case info.Mode().IsRegular() && info.Size() > 1<<20:
			fmt.Fprintf(&s, " %d bytes", info.Size())
		case info.Mode().IsRegular():
			text, err := os.ReadFile(p)
			require.NoError(t, err)
			if strings.Contains(string(text), "OPENSSH PRIVATE KEY") || strings.Contains(p, "_key.pub") {
				text = []byte("(key)\n")
			}
			for line := range strings.SplitAfterSeq(string(text), "\n") {
				if line != "" {
					fmt.Fprintf(&s, "\n\t%s", strings.TrimSuffix(line, "\n"))
				}
			}
		}
		s.WriteByte('\n')
		return nil
	}))
	return s.String()
}

const (
	testKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJSJ9d1sV5kEJm0j9nIxz3Lc1zqzQ0o1bq0Y4yq2uJ5k admin"
	testHash = "$6$saltsalt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g."
)

func firstBoot() FirstBoot {
	return FirstBoot{
		InstanceID: "5b1f0c1e-6f0a-4d0e-9a53-0d9c6c2f7a11", NewIdentity: true,
		Hostname: "web1.example.net",
		NICs: []NIC{
			{
				Name: "eth0", MAC: "52:54:00:a1:b2:c3", MTU: 1400,
				Addresses: prefixes("192.0.2.10/24", "192.0.2.11/32", "2001:db8::10/64"),
				Gateways:  []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")},
			},
			{
				Name: "eth1", MAC: "52:54:00:a1:b2:c4",
				Addresses: prefixes("10.7.0.5/32"), Gateways: []netip.Addr{netip.MustParseAddr("10.6.0.1")},
			},
			{Name: "eth2", MAC: "52:54:00:a1:b2:c5"},
		},
		DNS:    DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}, Search: []string{"example.net", "example.org"}},
		Access: Access{User: "web", AuthorizedKeys: []string{testKey}, PasswordHash: testHash},
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}
