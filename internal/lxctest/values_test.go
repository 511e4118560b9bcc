//go:build linux

package lxctest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// TestControlCharacters: none gets into a configuration, where a line break would be
// a hook that root of the host runs, nor anything else that has a meaning there.
func TestControlCharacters(t *testing.T) {
	m := newMachine(t)
	before := m.leftovers()
	const hook = "lxc.hook.start-host = /bin/sh"
	values := []string{"a\n" + hook, "a\r" + hook, "a\x00b", "a\x1b[2Jb", "a\x7fb", "\n" + hook, "a\u0085b", "a\n"}
	for field, set := range map[string]func(s *provision.Spec, value string){
		"name":           func(s *provision.Spec, v string) { s.Name = v },
		"hostname":       func(s *provision.Spec, v string) { s.Hostname = v },
		"key":            func(s *provision.Spec, v string) { s.Key = v },
		"image":          func(s *provision.Spec, v string) { s.Image = v },
		"bridge":         func(s *provision.Spec, v string) { s.NICs[0].Bridge = v },
		"search":         func(s *provision.Spec, v string) { s.DNS.Search = []string{v} },
		"user":           func(s *provision.Spec, v string) { s.Access.User = v; s.Access.AuthorizedKeys = []string{key} },
		"authorized key": func(s *provision.Spec, v string) { s.Access.AuthorizedKeys = []string{key + v} },
		"password hash":  func(s *provision.Spec, v string) { s.Access.PasswordHash = "$6$" + v },
		"label's name":   func(s *provision.Spec, v string) { s.Labels = map[string]string{v: "x"} },
		"native.init":    func(s *provision.Spec, v string) { s.Native = &lxc.Native{Init: "/sbin/init " + v} },
		"native.halt":    func(s *provision.Spec, v string) { s.Native = &lxc.Native{HaltSignal: "SIGPWR" + v} },
		"native.root":    func(s *provision.Spec, v string) { s.Native = &lxc.Native{Root: lxc.RootKind(v)} },
		"native.device": func(s *provision.Spec, v string) {
			s.Native = &lxc.Native{Devices: []lxc.Device{lxc.Device("fuse" + v)}}
		},
		"native.drop": func(s *provision.Spec, v string) { s.Native = &lxc.Native{DropCapabilities: []string{"chown" + v}} },
	} {
		for _, v := range values {
			s := lxcrig.Spec("a")
			set(&s, v)
			_, err := m.Create(t.Context(), s, nil)
			require.Error(t, err, "%s: %q", field, v)
			require.True(t, errors.Is(err, provision.ErrInvalid) || errors.Is(err, errors.ErrUnsupported), "%s: %q: %v", field, v, err)
		}
	}
	require.Equal(t, before, m.leftovers())
	for _, name := range []string{"", ".", "..", "../x", "a/b", "-rf", "a b", "a\nb", ".provision", strings.Repeat("a", 300)} {
		_, err := m.Guest(t.Context(), name)
		require.Error(t, err, "%q", name)
	}
	for _, path := range []string{"relative", "/a b", "/a\nb", "/a/../b", "/a=b", "/"} {
		_, err := provision.Open(t.Context(), lxc.New(&lxc.Options{LXCPath: path}), nil)
		require.ErrorIs(t, err, provision.ErrInvalid, "%q", path)
	}
}
