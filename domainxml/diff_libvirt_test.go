//go:build linux

package domainxml_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/testrig"
)

// TestDiffOfLibvirt: what libvirt makes of a document, defined and running, is no
// difference.
func TestDiffOfLibvirt(t *testing.T) {
	rig, _ := testrig.Start(t)
	files, err := filepath.Glob("testdata/diff/*.xml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".xml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			kernel, err := testrig.Kernel()
			require.NoError(t, err)
			disk := filepath.Join(rig.Dir, "disk.raw")
			require.NoError(t, os.WriteFile(disk, make([]byte, 1<<20), 0o600))
			text := strings.NewReplacer("DISK", disk, "/nowhere", kernel).Replace(string(raw))
			defined := dumped(t, rig, mustParse(t, text)).String()
			requireNoDifference(t, text, defined)
			require.NoError(t, define(t, rig, mustParse(t, defined)))
			name, err := mustParse(t, text).Get("name")
			require.NoError(t, err)
			_, err = rig.Virsh(t.Context(), "start", name)
			require.NoError(t, err)
			live, err := rig.Virsh(t.Context(), "dumpxml", name)
			require.NoError(t, err)
			_, err = rig.Virsh(t.Context(), "destroy", name)
			require.NoError(t, err)
			requireNoDifference(t, text, live)
			requireNoDifference(t, defined, live)
		})
	}
}

func requireNoDifference(t *testing.T, old, new string) {
	t.Helper()
	var list []string
	for _, d := range domainxml.Diff(mustParse(t, old), mustParse(t, new)) {
		list = append(list, d.String())
	}
	require.Empty(t, list, "%s", new)
	require.Empty(t, domainxml.Diff(mustParse(t, new), mustParse(t, old)))
}
