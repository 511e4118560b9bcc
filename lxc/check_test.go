package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
)

// told is a machine that is told in a file: parts that start with "-- PATH --" are its
// files, "-- PATH MODE --" are those with a mode ("d711" is that of a directory), and
// "-- try/NAME --" is what a trial says: "ok", "no: WHY", or "untried: WHY".
type told struct {
	files fstest.MapFS
	tried map[string]string
}

var partRE = regexp.MustCompile(`(?m)^-- (\S+|run/.+?)(?: (d?)([0-7]{3,4}))? --\n`)

func parseTold(t *testing.T, text string) told {
	t.Helper()
	all := told{files: fstest.MapFS{}, tried: map[string]string{}}
	at := partRE.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name, body := text[m[2]:m[3]], text[m[1]:end]
		if rest, ok := strings.CutPrefix(name, "try/"); ok {
			all.tried[rest] = strings.TrimSpace(body)
			continue
		}
		if strings.HasPrefix(name, "run/") {
			all.tried[name] = body
			continue
		}
		f := &fstest.MapFile{Data: []byte(body), Mode: 0o444}
		if m[6] >= 0 {
			bits, err := strconv.ParseUint(text[m[6]:m[7]], 8, 32)
			require.NoError(t, err)
			f.Mode = fs.FileMode(bits & 0o777)
			if bits&0o4000 != 0 {
				f.Mode |= fs.ModeSetuid
			}
			if bits&0o1000 != 0 {
				f.Mode |= fs.ModeSticky
			}
		}
		if m[4] < m[5] {
			f.Mode |= fs.ModeDir
			f.Data = nil
		}
		all.files[name] = f
	}
	return all
}

func (p told) answer(name string) error {
	text, ok := p.tried[name]
	why, untried := strings.CutPrefix(text, "untried: ")
	switch {
	case !ok:
		return fmt.Errorf("%w: %s is not told", errUntried, name)
	case untried:
		return fmt.Errorf("%w: %s", errUntried, why)
	case text == "ok":
		return nil
	}
	return errors.New(strings.TrimPrefix(text, "no: "))
}

func (p told) overlay(string) error                          { return p.answer("overlay") }
func (p told) idmap(context.Context, string, idRange) error  { return p.answer("idmap") }
func (p told) reflink(string) error                          { return p.answer("reflink") }
func (p told) link(_ context.Context, ip, kind string) error { return p.answer("link-" + kind) }
func (p told) idmappedOverlay(context.Context, string, idRange) error {
	return p.answer("overlay-idmap")
}

func (p told) projectQuota(string) (bool, error) {
	if p.tried["quota"] == "off" {
		return false, nil
	}
	return true, p.answer("quota")
}

func (p told) space(string) (s space, err error) {
	if _, err = fmt.Sscan(p.tried["space"], &s.bytes, &s.freeBytes, &s.inodes, &s.freeInodes); err != nil {
		return space{}, p.answer("space")
	}
	return s, nil
}

func (p told) synced() (bool, error) {
	if p.tried["clock"] == "free" {
		return false, nil
	}
	return true, p.answer("clock")
}

func (p told) owner(info fs.FileInfo) (uint32, error) {
	var uid uint32
	_, err := fmt.Sscan(p.tried["owner-"+info.Name()], &uid)
	if err != nil && p.tried["owner-"+info.Name()] != "" {
		return 0, fmt.Errorf("%w: %w", errUntried, err)
	}
	return uid, nil
}

func (p told) output(_ context.Context, path string, args ...string) (string, error) {
	line := strings.Join(append([]string{"run" + path}, args...), " ")
	text, ok := p.tried[line]
	if why, no := strings.CutPrefix(text, "no: "); no || !ok {
		return "", errors.New(oneLine(line + ": " + why))
	}
	return text, nil
}

// machine is one that is told, with a guest on br0.
func (p told) machine() *machine {
	return &machine{
		files: p.files, try: p, path: "/var/lib/lxc", start: "/usr/bin/lxc-start", attach: "/usr/bin/lxc-attach", liblxc: "5.0.2",
		ids: idRange{1_000_000, 1000 * perGuest}, blocks: 1,
		guests: map[string]bool{"id-web1": true}, names: map[string]bool{"web1": true}, bridges: map[string][]string{"br0": {"web1"}},
	}
}

// TestCheckMachines examines machines that are told in testdata/check, and compares
// with what is to be found there.
func TestCheckMachines(t *testing.T) {
	for name, errs := range map[string]int{"hybrid": 0, "debian12": 0, "centos7": 3, "broken": 10, "unprivileged": 0} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "check", name+".machine"))
			require.NoError(t, err)
			list, err := examine(t.Context(), parseTold(t, string(text)).machine())
			require.NoError(t, err)
			requireFindings(t, list)
			golden.Check(t, "check/"+name+".findings", asText(list))
			n := 0
			for _, f := range list {
				if f.Severity == fails {
					n++
				}
			}
			require.Equal(t, errs, n, "errors")
		})
	}
}

// TestCheckNothingKnown: on a machine that tells nothing and on which nothing can be
// tried, nothing that needs something is said to be well.
func TestCheckNothingKnown(t *testing.T) {
	m := parseTold(t, "").machine()
	list, err := examine(t.Context(), m)
	require.NoError(t, err)
	requireFindings(t, list)
	// What takes no look at the machine, or is about what is not there.
	well := regexp.MustCompile(`^(liblxc|newuidmap|newgidmap|subuid|subgid|id-blocks|leftover-trials)$`)
	for _, f := range list {
		if f.Severity == informs && !strings.HasPrefix(f.Message, "it is not known whether ") {
			require.Regexp(t, well, f.Check, "%+v", f)
		}
	}
}

// TestCheckControllersWithoutList: what is mounted is found, also where /proc/cgroups
// cannot be read.
func TestCheckControllersWithoutList(t *testing.T) {
	m := parseTold(t, "-- proc/self/mountinfo --\n1 1 1:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n").machine()
	list, err := examine(t.Context(), m)
	require.NoError(t, err)
	by := map[string]provision.Finding{}
	for _, f := range list {
		by[f.Check] = f
	}
	require.Equal(t, "v1 at /sys/fs/cgroup/cpu,cpuacct", by["cgroup-cpu"].Evidence)
	require.Equal(t, by["cgroup-cpu"].Evidence, by["cgroup-cpuacct"].Evidence)
	require.Equal(t, cautions, by["cgroup-memory"].Severity)
	require.Contains(t, by["cgroup-memory"].Message, "it is not known")
}

func TestCheckEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := examine(ctx, parseTold(t, "").machine())
	require.ErrorIs(t, err, context.Canceled)
}

// requireFindings: every finding has a name and words, and what is wrong or not known
// has a remedy.
func requireFindings(t *testing.T, list []provision.Finding) {
	t.Helper()
	for _, f := range list {
		require.Regexp(t, `^[a-z0-9.-]+$`, f.Check)
		require.NotEmpty(t, f.Message, "%+v", f)
		require.Less(t, len(f.Evidence), 1000, "evidence is no dump: %s", f.Evidence)
		require.NotContains(t, f.Evidence+f.Message+f.Remedy, "\n")
		require.True(t, f.Severity == informs || f.Remedy != "", "%+v", f)
		require.True(t, !strings.HasPrefix(f.Message, "it is not known") || f.Remedy != "" && f.Severity != fails, "%+v", f)
	}
}

// asText is how guestctl check prints findings.
func asText(list []provision.Finding) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s: %s [%s]\n", f.Severity, f.Message, f.Check)
		if f.Evidence != "" {
			fmt.Fprintf(&b, "    %s\n", f.Evidence)
		}
		if f.Remedy != "" {
			fmt.Fprintf(&b, "    Remedy: %s\n", f.Remedy)
		}
	}
	return b.String()
}
