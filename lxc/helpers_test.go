//go:build linux

package lxc_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

// running makes and starts a guest of a machine.
func running(t *testing.T, path string, s provision.Spec) (*provision.Host, *provision.Guest) {
	t.Helper()
	h := lxcrig.Open(t, path)
	g, err := h.Create(t.Context(), s, nil)
	require.NoError(t, err)
	require.NoError(t, g.Start(t.Context(), nil))
	return h, g
}

// inside runs a command line in a guest.
func inside(t *testing.T, path, name, line string) string {
	t.Helper()
	return lxcrig.Run(t, "lxc-attach", "-P", path, "-n", name, "--clear-env", "-v", "PATH=/bin", "--", "/bin/sh", "-c", line)
}

func status(t *testing.T, g *provision.Guest) provision.Status {
	t.Helper()
	st, err := g.Status(t.Context())
	require.NoError(t, err)
	return st
}

// limit is one of a guest's, or the zero one.
func limit(t *testing.T, g *provision.Guest, path string) provision.Limit {
	t.Helper()
	for _, l := range status(t, g).Limits {
		if l.Path == path {
			return l
		}
	}
	return provision.Limit{}
}

// becomes waits for what another process does.
func becomes(t *testing.T, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 10*time.Millisecond)
}

func write(t *testing.T, file, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(value), 0))
}
