//go:build linux

package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/guestforge/provision/internal/golden"
)

func eachImage(t *testing.T, f func(t *testing.T, name, dir string, tree *Tree)) {
	for name, files := range images() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, files)
			f(t, name, dir, open(t, dir))
		})
	}
}

// TestApply shows the trees before any comparison in words: what is written, for
// whom, and that a second time changes nothing, times included.
func TestApply(t *testing.T) {
	eachImage(t, func(t *testing.T, name, dir string, tree *Tree) {
		rep, err := tree.Apply(t.Context(), firstBoot())
		require.NoError(t, err)
		for _, p := range rep.Changed {
			require.True(t, filepath.IsAbs(p), p)
		}
		text, err := json.MarshalIndent(rep, "", "  ")
		require.NoError(t, err)
		golden.Check(t, name+".txt", string(text)+"\n"+list(t, dir, false))

		before := list(t, dir, true)
		again, err := tree.Apply(t.Context(), firstBoot())
		require.NoError(t, err)
		require.Empty(t, again.Changed)
		require.Equal(t, rep.Network, again.Network)
		require.Equal(t, before, list(t, dir, true))
	})
}

// Nothing asked for, nothing done.
func TestApplyNothing(t *testing.T) {
	eachImage(t, func(t *testing.T, name, dir string, tree *Tree) {
		before := list(t, dir, true)
		rep, err := tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1"})
		require.NoError(t, err)
		if name != "cloud-init" { // which is told that there is nothing to do
			require.Empty(t, rep.Changed)
			require.Equal(t, before, list(t, dir, true))
		}
	})
}

func TestApplyUserData(t *testing.T) {
	fb := firstBoot()
	fb.UserData = []byte("#cloud-config\npackages: [nginx]\n")
	eachImage(t, func(t *testing.T, name, dir string, tree *Tree) {
		before := list(t, dir, true)
		rep, err := tree.Apply(t.Context(), fb)
		if name == "cloud-init" {
			require.NoError(t, err)
			data, err := tree.ReadFile(seedDir+"/user-data", maxText)
			require.NoError(t, err)
			require.Equal(t, string(fb.UserData), string(data))
			return
		}
		var field *FieldError
		require.ErrorAs(t, err, &field)
		require.Equal(t, "userData", field.Path)
		require.NotContains(t, err.Error(), "nginx")
		require.Empty(t, rep.Changed)
		require.Equal(t, before, list(t, dir, true))
	})
}

func TestUserDataOfDisabledCloudInit(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, files(images()["cloud-init"], map[string]string{"etc/cloud/cloud-init.disabled": ""}))
	_, err := open(t, dir).Apply(t.Context(), FirstBoot{InstanceID: "i-1", UserData: []byte("#!")})
	require.ErrorContains(t, err, "userData: is for cloud-init, which /etc/cloud/cloud-init.disabled")
}

// Without a user, root is who logs in.
func TestAccessOfRoot(t *testing.T) {
	for name, want := range map[string]string{
		"debian-networkd": "root:" + testHash + ":19800:0:99999:7:::\n",
		"alpine-openrc":   "root:" + testHash + "::0:::::\n",
		"busybox":         "root:" + testHash + "::0:99999:7:::\n",
	} {
		dir := t.TempDir()
		put(t, dir, images()[name])
		tree := open(t, dir)
		_, err := tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1", Access: Access{AuthorizedKeys: []string{testKey}}})
		require.NoError(t, err)
		keys, err := tree.ReadFile("/root/.ssh/authorized_keys", maxText)
		require.NoError(t, err)
		require.Equal(t, testKey+"\n", string(keys))
		if name == "alpine-openrc" { // a locked account takes no keys
			shadow, err := tree.ReadFile("/etc/shadow", maxText)
			require.NoError(t, err)
			require.Equal(t, "root:*::0:::::\n", string(shadow))
		}

		_, err = tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1", Access: Access{User: "root", PasswordHash: testHash}})
		require.NoError(t, err)
		shadow, err := tree.ReadFile("/etc/shadow", maxText)
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(shadow), "\n")
		require.Equal(t, want, first+"\n", name)
		passwd, err := tree.ReadFile("/etc/passwd", maxText)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(passwd), "root:x:0:0:"), name)
		require.NotContains(t, string(passwd), testHash)
		require.False(t, tree.Exists("/etc/sudoers.d/90-provision"))
		info, err := os.Stat(filepath.Join(dir, "etc/shadow"))
		require.NoError(t, err)
		if name == "busybox" {
			require.Equal(t, os.FileMode(0o640), info.Mode())
		}
	}
}

// Keys that the user has stay, as they do with cloud-init.
func TestAuthorizedKeysAreAdded(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, files(users, map[string]string{"root/.ssh/authorized_keys": "ssh-rsa AAAA first"}))
	tree := open(t, dir)
	_, err := tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1", Access: Access{AuthorizedKeys: []string{testKey, testKey}}})
	require.NoError(t, err)
	keys, err := tree.ReadFile("/root/.ssh/authorized_keys", maxText)
	require.NoError(t, err)
	require.Equal(t, "ssh-rsa AAAA first\n"+testKey+"\n", string(keys))
}

// A user that is there keeps number, home and shell.
func TestAccessOfUserThatIsThere(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, users)
	tree := open(t, dir)
	_, err := tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1", Access: Access{User: "old", AuthorizedKeys: []string{testKey}}})
	require.NoError(t, err)
	passwd, err := tree.ReadFile("/etc/passwd", maxText)
	require.NoError(t, err)
	require.Equal(t, users["etc/passwd"], string(passwd))
	info, err := os.Lstat(filepath.Join(dir, "home/old/.ssh/authorized_keys"))
	require.NoError(t, err)
	require.Equal(t, owner{base + 1000, base + 1000, 1}, ownerOf(info))
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

// sshd can use the pairs, whose halves belong together.
func TestHostKeys(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, files(users, systemd, sshd))
	tree := open(t, dir)
	_, err := tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1", NewIdentity: true})
	require.NoError(t, err)
	read := func(kind string) string {
		private, err := tree.ReadFile("/etc/ssh/ssh_host_"+kind+"_key", maxKeyFile)
		require.NoError(t, err)
		signer, err := ssh.ParsePrivateKey(private)
		require.NoError(t, err)
		public, err := tree.ReadFile("/etc/ssh/ssh_host_"+kind+"_key.pub", maxKeyFile)
		require.NoError(t, err)
		key, comment, _, _, err := ssh.ParseAuthorizedKey(public)
		require.NoError(t, err)
		require.Equal(t, "provision-i-1", comment)
		require.Equal(t, signer.PublicKey().Marshal(), key.Marshal())
		return string(public)
	}
	first := read("ed25519") + read("ecdsa")
	require.False(t, tree.Exists("/etc/ssh/ssh_host_rsa_key"))

	_, err = tree.Apply(t.Context(), FirstBoot{InstanceID: "i-1", NewIdentity: true})
	require.NoError(t, err)
	require.Equal(t, first, read("ed25519")+read("ecdsa"), "keys of this guest stay")

	_, err = tree.Apply(t.Context(), FirstBoot{InstanceID: "i-2", NewIdentity: true})
	require.NoError(t, err)
	public, err := tree.ReadFile("/etc/ssh/ssh_host_ed25519_key.pub", maxKeyFile)
	require.NoError(t, err)
	require.NotContains(t, first, string(public), "a clone has others")
}

// What has a meaning in one of the files is refused, without a word of its value.
func TestApplyRefuses(t *testing.T) {
	for i, c := range []struct {
		change func(*FirstBoot)
		path   string
	}{
		{func(fb *FirstBoot) { fb.InstanceID = "" }, "id"},
		{func(fb *FirstBoot) { fb.InstanceID = "a\nb" }, "id"},
		{func(fb *FirstBoot) { fb.Hostname = "a b" }, "hostname"},
		{func(fb *FirstBoot) { fb.Hostname = "a\nb" }, "hostname"},
		{func(fb *FirstBoot) { fb.NICs[0].Name = "lo" }, "nics[0]"},
		{func(fb *FirstBoot) { fb.NICs[1].Name = "../x" }, "nics[1]"},
		{func(fb *FirstBoot) { fb.NICs[0].Name = "a;b" }, "nics[0]"},
		{func(fb *FirstBoot) { fb.NICs[0].MAC = "x" }, "nics[0]"},
		{func(fb *FirstBoot) { fb.NICs[0].MTU = -1 }, "nics[0]"},
		{func(fb *FirstBoot) {
			fb.NICs[0].Addresses = append(fb.NICs[0].Addresses, prefixes("1.2.3.4/8")[0].Masked())
			fb.NICs[0].MTU = 70000
		}, "nics[0]"},
		{func(fb *FirstBoot) { fb.NICs[0].Gateways[1] = fb.NICs[0].Gateways[1].WithZone("x\ny") }, "nics[0]"},
		{func(fb *FirstBoot) { fb.DNS.Servers[1] = fb.DNS.Servers[1].WithZone("x\ny") }, "dns.servers[1]"},
		{func(fb *FirstBoot) { fb.DNS.Search[1] = "a\nnameserver 1.2.3.4" }, "dns.search[1]"},
		{func(fb *FirstBoot) { fb.Access.User = "web:x" }, "access.user"},
		{func(fb *FirstBoot) { fb.Access.User = "%web" }, "access.user"},
		{func(fb *FirstBoot) { fb.Access.PasswordHash = "SECRET:x" }, "access.passwordHash"},
		{func(fb *FirstBoot) { fb.Access.PasswordHash = "SECRET\nx" }, "access.passwordHash"},
		{func(fb *FirstBoot) { fb.Access.AuthorizedKeys[0] = "SECRET\nx" }, "access.authorizedKeys[0]"},
	} {
		dir := t.TempDir()
		fb := firstBoot()
		c.change(&fb)
		rep, err := open(t, dir).Apply(t.Context(), fb)
		var field *FieldError
		require.ErrorAs(t, err, &field, "case %d", i)
		require.Equal(t, c.path, field.Path)
		require.NotContains(t, err.Error(), "SECRET")
		require.Empty(t, rep.Changed)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

// A context that has ended stops it between two steps.
func TestApplyCancelled(t *testing.T) {
	tree := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rep, err := tree.Apply(ctx, firstBoot())
	require.ErrorIs(t, err, ctx.Err())
	require.Empty(t, rep.Changed)
}

// Bad files of users are named, and nothing is guessed.
func TestAccountsThatCannotBeEdited(t *testing.T) {
	for want, change := range map[string]map[string]string{
		"/etc/passwd: not safe to use: the line of web has 3 fields, not 7":    {"etc/passwd": "web:x:5\n"},
		"/etc/passwd: not safe to use: \"70000\" is not an id from 0 to 65535": {"etc/passwd": "web:x:70000:1::/home/web:/bin/sh\n"},
		"/etc/passwd: not safe to use: \"-1\" is not an id":                    {"etc/passwd": "web:x:5:-1::/home/web:/bin/sh\n"},
		"/etc/passwd: not safe to use: the home of web is no path":             {"etc/passwd": "web:x:5:1::home:/bin/sh\n"},
		"/etc/shadow: not safe to use: the line of web has 2 fields, not 9":    {"etc/shadow": "web:x\n"},
		"/etc/group: not safe to use: the line of shadow has 1 fields, not 4":  {"etc/group": "shadow\n"},
		"/etc/passwd: no id from 1000 to 60000 is free for web":                {"etc/passwd": everyID()},
		"/etc/gshadow: not safe to use: it has bytes of zero":                  {"etc/gshadow": "\x00"},
		"/home/web/.ssh: not safe to use: it is a symbolic link, no directory": {"home/web/.ssh": "-> /root"},
		"/home/web: not safe to use: it is a symbolic link to nothing":         {"home/web": "-> /nowhere"},
	} {
		dir := t.TempDir()
		put(t, dir, files(users, change))
		_, err := open(t, dir).Apply(t.Context(), FirstBoot{InstanceID: "i-1", Access: Access{User: "web", AuthorizedKeys: []string{testKey}}})
		if strings.Contains(want, "free for") {
			require.False(t, errors.Is(err, ErrUnsafe))
		}
		require.ErrorContains(t, err, want)
	}
}

func everyID() string {
	var s strings.Builder
	for id := 1000; id <= 60000; id++ {
		fmt.Fprintf(&s, "u%d:x:%d:1::/:/bin/sh\n", id, id)
	}
	return s.String()
}
