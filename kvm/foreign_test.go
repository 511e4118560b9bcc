//go:build linux

package kvm_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

var errUnsupported = errors.ErrUnsupported

func second[T any](_ T, err error) error { return err }

// rewrite changes the definition of a domain by other means.
func rewrite(t *testing.T, rig *testrig.Libvirt, name string, change func(string) string) {
	t.Helper()
	text, err := rig.Virsh(t.Context(), "dumpxml", "--inactive", name)
	require.NoError(t, err)
	changed := change(text)
	require.NotEqual(t, text, changed)
	file := filepath.Join(t.TempDir(), "domain.xml")
	writeFile(t, file, changed)
	_, err = rig.Virsh(t.Context(), "define", file)
	require.NoError(t, err)
}

// importImage puts the tiny image into the pool of a Host.
func importImage(t *testing.T, h *provision.Host) {
	t.Helper()
	path, err := testrig.CachedImage(t.Context(), cacheDir(t))
	require.NoError(t, err)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = h.ImportImage(t.Context(), imageName, f, &provision.ImportOptions{Format: "qcow2"})
	require.NoError(t, err)
}

// qemu returns the process of a guest.
func qemu(t *testing.T, rig *testrig.Libvirt, name string) *os.Process {
	t.Helper()
	pid, err := rig.GuestPID(name)
	require.NoError(t, err)
	p, err := os.FindProcess(pid)
	require.NoError(t, err)
	return p
}

// newOpened returns a backend that a Host has opened, to call it directly.
func newOpened(t *testing.T, rig *testrig.Libvirt) *kvm.Backend {
	t.Helper()
	b := newBackend(rig.URI)
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return b
}
