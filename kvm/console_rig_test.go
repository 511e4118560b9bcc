//go:build linux

package kvm_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
)

// shell runs commands in a tiny guest, by its console.
type shell struct {
	tty *os.File
	log string
	n   int
}

func openShell(t *testing.T, rig *testrig.Libvirt, g *provision.Guest) *shell {
	t.Helper()
	path, err := rig.Virsh(t.Context(), "ttyconsole", g.Name())
	require.NoError(t, err)
	tty, err := os.OpenFile(strings.TrimSpace(path), os.O_RDWR, 0)
	require.NoError(t, err)
	// A console that is open and not read stops the guest that writes to it.
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, tty) // until it is closed
	}()
	t.Cleanup(func() { tty.Close(); <-read })
	return &shell{tty: tty, log: filepath.Join(rig.PoolDir, string(g.ID())+".console.log")}
}

// run returns the status with which a command ended, "0" for example.
func (s *shell) run(t *testing.T, command string) string {
	t.Helper()
	s.n++
	line := testrig.RunLine(s.n, command)
	require.Less(t, len(line), 4000, "a terminal cuts lines")
	_, err := s.tty.WriteString(line)
	require.NoError(t, err)
	ended := regexp.MustCompile(regexp.QuoteMeta(testrig.RanLine(s.n)) + `(\d+)\r?\n`)
	var text []byte
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err = os.ReadFile(s.log)
		require.NoError(t, err)
		if m := ended.FindSubmatch(text); m != nil {
			return string(m[1])
		}
	}
	require.Fail(t, "a command did not end", "%s", text[max(0, len(text)-2000):])
	return ""
}
