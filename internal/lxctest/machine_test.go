//go:build linux

package lxctest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
	"github.com/guestforge/provision/lxc"
)

// machine is where the guests of one test are.
type machine struct {
	*provision.Host
	t    testing.TB
	path string
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	path := lxcrig.Machine(t)
	return &machine{lxcrig.Open(t, path), t, path}
}

// spec is a guest without NICs whose first program is one line of shell.
func spec(name string, native lxc.Native) provision.Spec {
	s := lxcrig.Spec(name)
	s.NICs, s.Native = nil, &native
	return s
}

func (m *machine) create(s provision.Spec) *provision.Guest {
	m.t.Helper()
	g, err := m.Create(m.t.Context(), s, nil)
	require.NoError(m.t, err)
	return g
}

func (m *machine) start(s provision.Spec) *provision.Guest {
	m.t.Helper()
	g := m.create(s)
	require.NoError(m.t, g.Start(m.t.Context(), nil))
	return g
}

// clean deletes all guests, and requires that nothing is left of them.
func (m *machine) clean(before []string) {
	m.t.Helper()
	for st, err := range m.Guests(m.t.Context(), nil) {
		require.NoError(m.t, err)
		g, err := m.Guest(m.t.Context(), st.Name)
		require.NoError(m.t, err)
		require.NoError(m.t, g.Delete(m.t.Context(), &provision.DeleteOptions{Force: true}))
	}
	require.Equal(m.t, before, m.leftovers())
}

func (m *machine) leftovers() []string { return lxcrig.Leftovers(m.t, m.path) }

func (m *machine) state(g *provision.Guest) provision.State {
	m.t.Helper()
	st, err := g.Status(m.t.Context())
	require.NoError(m.t, err)
	return st.State
}

// attach runs a line of shell in a guest by lxc-attach.
func (m *machine) attach(ctx context.Context, g *provision.Guest, script string) (string, error) {
	cmd := exec.CommandContext(ctx, "/usr/bin/lxc-attach", "-P", m.path, "-n", g.Name(), "--clear-env", "--", "/bin/sh", "-c", "export PATH=/bin\n"+script)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// inside runs a line of shell in a guest that must succeed.
func (m *machine) inside(g *provision.Guest, script string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 20*time.Second)
	defer cancel()
	out, err := m.attach(ctx, g, script)
	require.NoError(m.t, err, "%s: %s", script, out)
	return strings.TrimSpace(out)
}

// group is a file of the group that has a guest's limits, in a hierarchy of version 1.
func (m *machine) group(controller string, g *provision.Guest, file ...string) string {
	return filepath.Join(append([]string{"/sys/fs/cgroup", controller, lxc.GroupsOf(m.path), string(g.ID())}, file...)...)
}

// number reads a file that has one.
func (m *machine) number(path string) int {
	m.t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(m.read(path)))
	require.NoError(m.t, err)
	return n
}

func (m *machine) read(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(m.t, err)
	return string(text)
}

// monitor is liblxc's process that looks after a guest.
func (m *machine) monitor(g *provision.Guest) int {
	m.t.Helper()
	monitor, _ := m.processes(g)
	return monitor
}

// first is the first process of a guest, as the host sees it.
func (m *machine) first(g *provision.Guest) int {
	m.t.Helper()
	_, first := m.processes(g)
	return first
}

// processes finds the process of a guest whose parent is one of its monitor group,
// which has hooks and lxc-start too for a while.
func (m *machine) processes(g *provision.Guest) (monitor, first int) {
	m.t.Helper()
	monitors := strings.Fields(m.read(m.group("pids", g, "monitor", "cgroup.procs")))
	for _, pid := range strings.Fields(m.read(m.group("pids", g, "guest", "ns", "cgroup.procs"))) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			continue // it has ended
		}
		parent := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[1]
		if slices.Contains(monitors, parent) {
			monitor, err = strconv.Atoi(parent)
			require.NoError(m.t, err)
			first, err = strconv.Atoi(pid)
			require.NoError(m.t, err)
			return monitor, first
		}
	}
	require.Fail(m.t, "the guest has no first process")
	return 0, 0
}

// reopen has a Host with other options.
func (m *machine) reopen(o lxc.Options) {
	m.t.Helper()
	o.LXCPath, o.IDDir = m.path, m.path+"/.provision/ids"
	h, err := provision.Open(m.t.Context(), lxc.New(&o), &provision.Options{LockDir: m.path + "/.locks"})
	require.NoError(m.t, err)
	m.t.Cleanup(func() { require.NoError(m.t, h.Close()) })
	m.Host = h
}

// ended says that a process is gone, or waits for its parent only.
func ended(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(text, []byte(") Z "))
}

// eventually waits until a condition holds.
func (m *machine) eventually(what string, holds func() bool) {
	m.t.Helper()
	require.Eventually(m.t, holds, 20*time.Second, 10*time.Millisecond, what)
}

// says waits until a guest has written something to its console.
func (m *machine) says(g *provision.Guest, text string) {
	m.t.Helper()
	m.eventually(text, func() bool {
		said, err := os.ReadFile(filepath.Join(m.path, g.Name(), "console.log"))
		return err == nil && bytes.Contains(said, []byte(text))
	})
}

// limit returns what a Status says of one.
func limit(t testing.TB, st provision.Status, path string) provision.Limit {
	t.Helper()
	i := slices.IndexFunc(st.Limits, func(l provision.Limit) bool { return l.Path == path })
	require.GreaterOrEqual(t, i, 0, "%s is not among %+v", path, st.Limits)
	return st.Limits[i]
}
