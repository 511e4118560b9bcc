//go:build linux

package lxctest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

func changesOf(t *testing.T, h *provision.Host, s provision.Spec) map[string][2]string {
	t.Helper()
	p, err := h.Plan(t.Context(), s)
	require.NoError(t, err)
	found := map[string][2]string{}
	for _, c := range p.Changes {
		found[c.Path] = [2]string{c.Have, c.Want}
	}
	return found
}

// What somebody changes by hand is shown, stays, and does not keep settings of the
// library from taking effect.
func TestDrift(t *testing.T) {
	path := lxcrig.Machine(t)
	h := lxcrig.Open(t, path)
	s := lxcrig.Spec("drift")
	s.CPU.Limit, s.Limits.Processes, s.Native = 0.5, 200, &lxc.Native{Nesting: true}
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.Empty(t, changesOf(t, h, s))
	config, hook := filepath.Join(path, "drift/config"), filepath.Join(path, "drift/hook")

	text, err := os.ReadFile(config)
	require.NoError(t, err)
	edited := strings.Replace(string(text), "sys_time", "sys_time sys_boot", 1)
	edited = strings.Replace(edited, "pids.max = 200", "pids.max = 100", 1) + "lxc.environment = PW=SECRET\nlxc.include = /dev/null\n"
	require.NoError(t, os.WriteFile(config, []byte(edited), 0o600))
	require.NoError(t, os.Chmod(hook, 0o600))
	found := changesOf(t, h, s)
	require.Contains(t, found["definition/hook"][0], "-rw-------")
	delete(found, "definition/hook")
	require.Empty(t, cmp.Diff(map[string][2]string{
		"definition/lxc.cap.drop":    {"mac_admin mac_override sys_module sys_rawio sys_time sys_boot", "mac_admin mac_override sys_module sys_rawio sys_time"},
		"definition/lxc.environment": {"(not shown)", ""},
		"definition/lxc.include":     {"/dev/null", ""},
		"limits.processes":           {"100", "200"},
	}, found))

	require.NoError(t, g.SetAutostart(t.Context(), true))
	require.NoError(t, g.SetAutostart(t.Context(), true))
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	require.True(t, st.Autostart)
	after, err := os.ReadFile(config)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(after), "lxc.start.auto"))
	require.Contains(t, string(after), "sys_time sys_boot")
	require.NotContains(t, changesOf(t, h, s), "definition/hook", "it was made again")

	// One that nobody has changed is made again by a start when it is another
	// version's.
	require.NoError(t, os.WriteFile(config, text, 0o600))
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o700))
	require.NoError(t, g.Start(t.Context(), nil))
	require.NoError(t, g.Delete(t.Context(), &provision.DeleteOptions{Force: true}))
}
