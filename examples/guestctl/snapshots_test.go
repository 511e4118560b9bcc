package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestResize(t *testing.T) {
	m := withGuest(t)
	one, _, _ := strings.Cut(twoGuests, "---")
	file := m.file("larger.yaml", one+"memory: {size: 1GiB}\ncpu: {limit: 0.5}\n")
	m.ok("start", "web1")
	r := m.run("resize", "-f", file)
	require.Equal(t, exitState, r.code)
	require.Contains(t, r.stderr, "memory.size")
	require.Contains(t, r.stderr, "\n-at-restart takes what has to wait")
	text := m.ok("resize", "-f", file, "-at-restart")
	require.NotRegexp(t, `\n\n`, text)
	require.Contains(t, text, "web1: 2 changed\n")
	require.Contains(t, text, "cpu.limit: - -> 0.5 (live)")
	require.Contains(t, text, "! memory.size: not enforced: it takes effect with the next restart")
	m.ok("restart", "web1")
	require.Equal(t, provision.GiB, m.status("web1").Memory)
	plans := fromJSON[[]provision.Plan](t, m.ok("-json", "resize", "-f", file))
	require.Equal(t, provision.ActionNone, plans[0].Action)

	r = m.run("resize", "-f", m.file("other.yaml", twoGuests))
	require.Equal(t, exitState, r.code, "back to the default, of a guest that is on: %s", r.stderr)
	require.Contains(t, r.stderr, "document 1")
	r = m.run("resize", "-f", m.file("label.yaml", strings.Replace(one, "77", "78", 1)))
	require.Equal(t, exitInvalid, r.code)
	require.Contains(t, r.stderr, "labels.customer")
}

func TestSnapshots(t *testing.T) {
	m := withGuest(t)
	m.ok("start", "web1")
	require.Equal(t, "web1: snapshot clean taken, the guest was frozen\n", m.ok("snapshot", "create", "web1", "clean"))
	m.ok("exec", "web1", "touch", "/mark")
	require.Regexp(t, `clean +20[0-9-]+ [0-9:]+ .*frozen`, m.ok("snapshot", "list", "web1"))
	require.Equal(t, exitTaken, m.run("snapshot", "create", "web1", "clean").code)
	require.Equal(t, exitState, m.run("snapshot", "restore", "web1", "clean").code)
	m.ok("stop", "web1")
	require.Equal(t, "web1: snapshot clean restored\n", m.ok("snapshot", "restore", "web1", "clean"))
	m.ok("start", "web1")
	require.Equal(t, exitProgram, m.run("exec", "web1", "test", "-e", "/mark").code)
	taken := fromJSON[provision.Snapshot](t, m.ok("-json", "snapshot", "create", "web1", "again"))
	require.Contains(t, fromJSON[[]provision.Snapshot](t, m.ok("-json", "snapshot", "list", "web1")), taken)
	require.Equal(t, "web1: snapshot again deleted\n", m.ok("snapshot", "delete", "web1", "again"))
	m.ok("snapshot", "delete", "web1", "again")
	m.ok("snapshot", "delete", "web1", "clean")
	require.Equal(t, "[]\n", m.ok("-json", "snapshot", "list", "web1"))
}

func TestExecTerminal(t *testing.T) {
	m := withGuest(t)
	m.ok("start", "web1")
	require.Equal(t, "24 80\r\n", m.ok("exec", "-t", "web1", "--", "stty", "size"))
	require.Equal(t, "24 80\r\n", fromJSON[execDoc](t, m.ok("-json", "exec", "-t", "web1", "--", "stty", "size")).Stdout)
	r := m.runWith(t.Context(), "typed\n", "exec", "-t", "-i", "web1", "--", "cat")
	require.Equal(t, result{0, "typed\r\n", ""}, r)
	require.Equal(t, exitInvalid, m.run("exec", "-t", "web1", "--", "/nonexistent/program").code)
}
