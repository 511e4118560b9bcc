//go:build linux

package lxc_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/lxcrig"
)

func TestConsole(t *testing.T) {
	path := lxcrig.Machine(t)
	g := started(t, lxcrig.Open(t, path), lxcrig.Spec("a"))
	before := descriptors(t)
	c, err := g.Console(t.Context(), nil)
	require.NoError(t, err)
	// Nobody reads: the guest does not wait for that, and the reader is told.
	said(t, g, provision.ExecOptions{}, "sh", "-c", "dd if=/dev/zero bs=1M count=3 2>/dev/null | tr '\\0' x >/dev/console; echo THE-END >/dev/console")
	var have strings.Builder
	part := make([]byte, 1<<16)
	for !strings.Contains(have.String(), "THE-END") {
		n, err := c.Read(part)
		require.NoError(t, err)
		have.Write(part[:n])
	}
	require.Regexp(t, `\[[0-9]+ bytes lost\]\r\n`, have.String())
	require.Less(t, have.Len(), 2<<20)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return descriptors(t) <= before }, 5*time.Second, 10*time.Millisecond)

	// The log has a bound, where liblxc begins it anew: 12 MiB were written.
	const bound = 8 << 20
	said(t, g, provision.ExecOptions{}, "sh", "-c", "dd if=/dev/zero bs=1M count=9 2>/dev/null | tr '\\0' y >/dev/console; echo LATE >/dev/console")
	var text []byte
	require.Eventually(t, func() bool {
		text, err = os.ReadFile(filepath.Join(path, "a", "console.log"))
		return err == nil && bytes.Contains(text, []byte("LATE"))
	}, 10*time.Second, 10*time.Millisecond)
	require.LessOrEqual(t, len(text), bound)
	end, err := g.ConsoleLog(t.Context(), int64(len(text)-6))
	require.NoError(t, err)
	require.Equal(t, "LATE\r\n", string(end))
	none, err := g.ConsoleLog(t.Context(), bound)
	require.NoError(t, err)
	require.Empty(t, none)
}
