package lxc

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// thisMachine is the one that the test runs on, with a directory of its own for guests.
func thisMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "check") // users pass there, unlike in t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(dir), "trials leave nothing there") })
	require.NoError(t, os.Chmod(dir, 0o711))
	version, err := exec.Command("/usr/bin/lxc-start", "--version").Output()
	require.NoError(t, err, "install lxc")
	return &machine{
		files: os.DirFS("/"), try: localProber{}, path: dir, start: "/usr/bin/lxc-start", attach: "/usr/bin/lxc-attach", liblxc: strings.TrimSpace(string(version)),
		ids: idRange{1_000_000_000, 100 * perGuest},
	}
}

func byCheck(list []provision.Finding) map[string][]provision.Finding {
	by := map[string][]provision.Finding{}
	for _, f := range list {
		by[f.Check] = append(by[f.Check], f)
	}
	return by
}

// TestCheckHere examines this machine: the trials are real, leave nothing behind, and
// a second look says the same.
func TestCheckHere(t *testing.T) {
	m := thisMachine(t)
	state := func() (all []string) {
		entries, err := os.ReadDir(m.path)
		require.NoError(t, err)
		for _, d := range entries {
			all = append(all, d.Name())
		}
		modules, _ := os.ReadFile("/proc/modules")
		fds, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, d := range fds {
			to, _ := os.Readlink("/proc/self/fd/" + d.Name())
			if strings.Contains(to, m.path) || strings.Contains(to, "user:[") || strings.Contains(to, "overlay") {
				all = append(all, to)
			}
		}
		return append(all, string(regexp.MustCompile(` [0-9]+ `).ReplaceAll(modules, []byte(" "))))
	}
	before := state()
	list, err := examine(t.Context(), m)
	require.NoError(t, err)
	t.Log("\n" + asText(list))
	requireFindings(t, list)
	require.Equal(t, before, state())
	by := byCheck(list)
	for check, has := range map[string]string{
		"overlay": "tried", "idmap": "tried", "overlay-idmap": "tried", "veth": "one was made and removed", "bridge": "one was made and removed",
	} {
		require.Len(t, by[check], 1, check)
		require.Equal(t, informs, by[check][0].Severity, "%+v", by[check][0])
		require.Contains(t, by[check][0].Evidence, has)
	}
	again, err := examine(t.Context(), m)
	require.NoError(t, err)
	changes := regexp.MustCompile(`^(space|inodes|processes|open-files|neighbours-.*|leftover-.*)$`)
	for i := range list {
		if changes.MatchString(list[i].Check) {
			list[i], again[i] = provision.Finding{}, provision.Finding{}
		}
	}
	require.Empty(t, cmp.Diff(list, again))
}
