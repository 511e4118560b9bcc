package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/provisiontest"
)

func TestCheckText(t *testing.T) {
	found := []provision.Finding{
		{Check: "kvm", Severity: provision.SeverityError, Message: "there is no /dev/kvm", Evidence: "one line\nand another\x1b[2J", Remedy: "load kvm_intel"},
		{Check: "pool", Severity: provision.SeverityInfo, Message: "the pool has room"},
	}
	require.Equal(t, `error: there is no /dev/kvm [kvm]
    one line
    "and another\x1b[2J"
    Remedy: load kvm_intel
info: the pool has room [pool]

1 error, 0 warnings, 1 info
`, checkText(found, domainxml.SeverityInfo))
	require.Equal(t, "0 errors\n", checkText(nil, domainxml.SeverityError))
}

// The worst stands first, and what is not shown counts for the exit code all the
// same.
func TestCheckSeverity(t *testing.T) {
	m := withGuest(t)
	sim := provisiontest.NewBackend(&provisiontest.BackendOptions{File: m.dir + "/state.json"})
	m.ok("suspend", "web1", "-reason", "abuse")
	require.Zero(t, m.run("check").code)
	require.NoError(t, sim.ForceStart("web1"))
	r := m.run("check")
	require.Equal(t, exitFindings, r.code)
	require.Regexp(t, `^error: guest "web1" is suspended: .* \[suspended\]\n(?s:.*)info: .*\n    .*\n\n1 error, 0 warnings, 1 info\n$`, r.stdout)
	all := fromJSON[[]provision.Finding](t, m.run("check", "-json", "-severity", "error").stdout)
	require.Len(t, all, 1)
	m.ok("suspend", "web1", "-reason", "abuse")
	require.Equal(t, "0 errors, 0 warnings\n", m.ok("check", "-severity", "warning"))
	require.Equal(t, exitUsage, m.run("check", "-severity", "bad").code)
}
