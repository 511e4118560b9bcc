//go:build linux

package lxctest_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// outside makes what no guest may touch, and returns where it is and a function that
// requires it to be as it was.
func (m *machine) outside() (dir string, same func(*testing.T)) {
	m.t.Helper()
	dir = filepath.Join(m.path, ".outside")
	require.NoError(m.t, os.MkdirAll(dir+"/etc/ssh", 0o755))
	for _, name := range []string{"victim", "etc/passwd", "etc/shadow", "etc/hosts"} {
		require.NoError(m.t, os.WriteFile(filepath.Join(dir, name), []byte("of the host\n"), 0o644))
	}
	was := listing(m.t, dir)
	return dir, func(t *testing.T) {
		t.Helper()
		require.Equal(t, was, listing(t, dir), "the host's files")
	}
}

// listing is all that there is to know of a tree.
func listing(tb testing.TB, dir string) string {
	tb.Helper()
	var out strings.Builder
	require.NoError(tb, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %o %d:%d %d %d.%09d", path, st.Mode, st.Uid, st.Gid, st.Nlink, st.Mtim.Sec, st.Mtim.Nsec)
		if e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %q", text)
		}
		out.WriteByte('\n')
		return nil
	}))
	return out.String()
}

// with returns the tiny image with some entries added or put in the place of others.
func with(t *testing.T, tiny []byte, entries ...tar.Header) []byte {
	t.Helper()
	replaced := map[string]bool{}
	for _, h := range entries {
		replaced[strings.Trim(h.Name, "/")] = true
	}
	below := func(name string) bool {
		for dir := strings.Trim(name, "/"); dir != "."; dir = filepath.Dir(dir) {
			if replaced[dir] {
				return true
			}
		}
		return false
	}
	var out bytes.Buffer
	w, r := tar.NewWriter(&out), tar.NewReader(bytes.NewReader(tiny))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if below(h.Name) {
			continue
		}
		require.NoError(t, w.WriteHeader(h))
		_, err = io.Copy(w, r)
		require.NoError(t, err)
	}
	for _, h := range entries {
		body := []byte("planted\n")
		if h.Typeflag != tar.TypeReg {
			body = nil
		}
		h.Size = int64(len(body))
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write(body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}
func hard(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
}

// TestHostileImages imports tarballs that reach for what is outside of their tree.
func TestHostileImages(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	out, same := m.outside()
	tiny := lxcrig.Tiny(t)
	up := strings.Repeat("../", 20)
	for name, c := range map[string]struct {
		refused bool
		entries []tar.Header
	}{
		"name with ..":             {true, []tar.Header{file("../escaped")}},
		"name with .. inside":      {true, []tar.Header{file("etc/../../escaped")}},
		"name with many ..":        {true, []tar.Header{file(up + out[1:] + "/escaped")}},
		"absolute name":            {false, []tar.Header{file(out + "/escaped")}},
		"directory with ..":        {true, []tar.Header{{Name: "../dir/", Typeflag: tar.TypeDir}}},
		"through an absolute link": {true, []tar.Header{link("way", out), file("way/escaped")}},
		"through a relative link":  {true, []tar.Header{link("way", up+out[1:]), file("way/escaped")}},
		"through two links":        {true, []tar.Header{link("first", up), link("way", "first"+out), file("way/escaped")}},
		"link over a directory":    {false, []tar.Header{link("bin2", out), {Name: "bin2/", Typeflag: tar.TypeDir, Mode: 0o777}, file("bin2/x")}},
		"link over a file":         {false, []tar.Header{link("victim", out+"/victim"), file("victim")}},
		"hard link to the host":    {true, []tar.Header{hard("victim", out+"/victim")}},
		"hard link with ..":        {true, []tar.Header{hard("victim", up+out[1:]+"/victim")}},
		"hard link through a link": {true, []tar.Header{link("way", out), hard("victim", "way/victim")}},
		"hard link to a link":      {false, []tar.Header{link("way", out+"/victim"), hard("victim", "way"), file("victim")}},
		"block device":             {false, []tar.Header{{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8}}},
		"character device":         {false, []tar.Header{{Name: "dev/mem", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1}}},
		"id of nobody's":           {true, []tar.Header{{Name: "file", Typeflag: tar.TypeReg, Uid: 70000}}},
		"set-id programs":          {false, []tar.Header{{Name: "bin/su", Typeflag: tar.TypeReg, Mode: 0o6755}}},
	} {
		t.Run(name, func(t *testing.T) {
			m.judge(t, with(t, tiny, c.entries...), c.refused)
			same(t)
			require.Equal(t, before, m.leftovers())
		})
	}
}

// judge takes an image through all of its life. It is refused, or what it does stays
// inside.
func (m *machine) judge(t *testing.T, content []byte, refused bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := m.ImportImage(ctx, "hostile", bytes.NewReader(content), &provision.ImportOptions{Format: "tar"})
	if err != nil {
		require.ErrorIs(t, err, provision.ErrInvalid)
		return
	}
	defer func() { require.NoError(t, m.RemoveImage(ctx, "hostile")) }()
	require.False(t, refused, "it was taken")
	s := spec("a", lxc.Native{})
	s.Image, s.Access = "hostile", provision.Access{AuthorizedKeys: []string{key}}
	s.NICs = []provision.NIC{{Bridge: lxcrig.Bridge, Addresses: prefixes("192.0.2.10/24")}}
	g, err := m.Create(ctx, s, nil)
	if err != nil {
		require.NoError(t, ctx.Err(), "nothing that a tenant plants is waited for")
		t.Log(err)
		return
	}
	if err := g.Start(ctx, nil); err != nil {
		t.Log(err)
	}
	_, err = g.Status(ctx)
	require.NoError(t, err)
	_, err = g.Stop(ctx, &provision.StopOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, g.Delete(ctx, nil))
}

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJVD0PjhSw1mBxdt4BMLK7vkBcXDf1pBR3tQbW2JYV6R test"

// written are the paths in a guest's tree that are read, written or mounted on.
var written = []string{"etc", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/passwd", "etc/shadow", "etc/network", "etc/network/interfaces",
	"etc/machine-id", "etc/ssh", "root", "root/.ssh", "root/.ssh/authorized_keys", "var/lib/cloud", "var/lib/dbus", "sbin", "sbin/init",
	"dev", "dev/console", "dev/pts", "proc", "sys", "sys/fs/cgroup", ".lxc_keep"}

// TestPlantedPaths: an image has something else at each path that is written at
// Create, or mounted on at Start.
func TestPlantedPaths(t *testing.T) {
	m := newMachine(t)
	m.reopen(lxc.Options{StartTimeout: 2 * time.Second}) // liblxc opens some, and waits at a FIFO
	before := m.leftovers()
	out, same := m.outside()
	tiny := lxcrig.Tiny(t)
	cases := 0
	for i, path := range written { // internal/rootfs has each plant at each path
		up := strings.Repeat("../", strings.Count(path, "/")+20)
		plants := []struct {
			what string
			tar.Header
		}{
			{"absolute link to a directory", link(path, out)},
			{"absolute link to a file", link(path, out+"/victim")},
			{"escaping link", link(path, up+out[1:]+"/etc")},
			{"FIFO", tar.Header{Name: path, Typeflag: tar.TypeFifo}},
		}
		for _, h := range []int{i % 4, (i + 1 + i/4) % 4} {
			cases++
			t.Run(path+"/"+plants[h].what, func(t *testing.T) {
				m.judge(t, with(t, tiny, plants[h].Header), false)
				same(t)
			})
		}
	}
	require.GreaterOrEqual(t, cases, 30)
	require.Equal(t, before, m.leftovers())
}

// TestStartThatHangs: liblxc opens what is in the place of /proc, and waits for
// somebody at the other end of a FIFO. It is given up after StartTimeout.
func TestStartThatHangs(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	m.reopen(lxc.Options{StartTimeout: time.Second})
	lxcrig.Import(t, m.Host, "hostile", with(t, lxcrig.Tiny(t), tar.Header{Name: "proc", Typeflag: tar.TypeFifo}), "tar")
	s := spec("a", lxc.Native{})
	s.Image = "hostile"
	g := m.create(s)
	require.ErrorIs(t, g.Start(t.Context(), nil), provision.ErrUnavailable)
	require.Equal(t, provision.StateStopped, m.state(g))
	require.NoError(t, g.Delete(t.Context(), nil))
	require.NoError(t, m.RemoveImage(t.Context(), "hostile"))
	m.clean(before)
}
