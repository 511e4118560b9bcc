package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func TestWait(t *testing.T) {
	m := withGuest(t)
	require.Equal(t, exitState, m.run("wait", "web1", "-for", "exec").code, "it is off")
	require.Equal(t, "web1: stopped\n", m.ok("wait", "web1", "-for", "stopped"))
	r := m.run("-timeout", "50ms", "wait", "-for", "running", "web1")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "state running")
	m.ok("start", "web1")
	for _, what := range []string{"exec", "running", "console=BOOTED-OK web1"} {
		require.Equal(t, "web1: running\n", m.ok("-timeout", "1m", "wait", "web1", "-for", what), what)
	}
	require.Equal(t, provision.StateRunning, fromJSON[outcome](t, m.ok("wait", "web1", "-json", "-for", "running")).Status.State)
	r = m.run("-timeout", "50ms", "wait", "web1", "-for", "address")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "an address from lease, agent or arp")

	require.Equal(t, exitFailed, m.run("-timeout", "50ms", "wait", "web1", "-for", "gone").code)
	m.ok("delete", "-force", "web1")
	require.Equal(t, "web1: absent\n", m.ok("wait", "web1", "-for", "gone"))
	require.Equal(t, exitNotFound, m.run("wait", "web1", "-for", "running").code)
	for _, what := range []string{"sleeping", "absent", "console=", ""} {
		require.Equal(t, exitUsage, m.run("wait", "web1", "-for", what).code, what)
	}
	require.Contains(t, m.run("wait", "web1").stderr, "wait needs -for WHAT")
}
