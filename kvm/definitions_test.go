//go:build linux

package kvm_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

const foreignUUID = "6d2c5c1e-9d0b-4d6c-8f6e-5a1b2c3d4e5f"

// foreignXML is a domain that no program of ours made, with a password.
func foreignXML(name string) string {
	return fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>`+
		`<os><type arch='x86_64' machine='q35'>hvm</type></os>`+
		`<devices><graphics type='vnc' port='-1' passwd='hunter2'/></devices></domain>`, name, foreignUUID)
}

// virshFile gives a document to virsh, as "define" or "create".
func virshFile(t *testing.T, rig *testrig.Libvirt, xml string, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "domain.xml")
	writeFile(t, file, xml)
	_, err := rig.Virsh(t.Context(), append(args, file)...)
	require.NoError(t, err)
}

// definitions collects a sequence up to its error.
func definitions(ctx context.Context, b *kvm.Backend) (list []kvm.Definition, err error) {
	for d, err := range b.Definitions(ctx) {
		if err != nil {
			return list, err
		}
		list = append(list, d)
	}
	return list, nil
}

// opened is a backend that a Host has opened.
func opened(t *testing.T, uri string) (*kvm.Backend, *provision.Host) {
	t.Helper()
	b := newBackend(uri)
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return b, h
}

func TestDefinitions(t *testing.T) {
	rig := startRig(t)
	b, h := opened(t, rig.URI)
	list, err := definitions(t.Context(), b)
	require.NoError(t, err)
	require.Empty(t, list)

	ours, err := h.Create(t.Context(), tinySpec("web1"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, ours) })
	virshFile(t, rig, foreignXML("foreign"), "define")
	list, err = definitions(t.Context(), b)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, []string{"foreign", foreignUUID, "web1", string(ours.ID())}, []string{list[0].Name, list[0].UUID, list[1].Name, list[1].UUID})
	for _, d := range list {
		inv, err := domainxml.Read(d.XML)
		require.NoError(t, err)
		require.Equal(t, d.Name, inv.Name)
	}
	require.Contains(t, string(list[0].XML), "hunter2", "secrets are shown")

	t.Run("the caller ends it", func(t *testing.T) {
		n := 0
		for range b.Definitions(t.Context()) {
			n++
			break
		}
		require.Equal(t, 1, n)
	})
	t.Run("a domain vanishes", func(t *testing.T) {
		virshFile(t, rig, `<domain type='qemu'><name>short</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>`, "define")
		var names []string
		for d, err := range b.Definitions(t.Context()) {
			require.NoError(t, err)
			names = append(names, d.Name)
			if d.Name == "foreign" {
				_, err := rig.Virsh(t.Context(), "undefine", "short")
				require.NoError(t, err)
			}
		}
		require.Equal(t, []string{"foreign", "web1"}, names)
	})
}

// What a domain will be at its next start counts, and a transient one is shown
// as it runs.
func TestDefinitionsOfRunningDomains(t *testing.T) {
	rig := startRig(t)
	b, _ := opened(t, rig.URI)
	virshFile(t, rig, foreignXML("foreign"), "define")
	_, err := rig.Virsh(t.Context(), "start", "foreign", "--paused")
	require.NoError(t, err)
	_, err = rig.Virsh(t.Context(), "setvcpus", "foreign", "3", "--config", "--maximum")
	require.NoError(t, err)
	virshFile(t, rig, `<domain type='qemu'><name>transient</name><memory unit='MiB'>32</memory><os><type machine='q35'>hvm</type></os></domain>`, "create", "--paused")
	list, err := definitions(t.Context(), b)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Contains(t, string(list[0].XML), ">3</vcpu>")
	require.Contains(t, string(list[0].XML), "hunter2")
	require.Equal(t, "transient", list[1].Name)
	require.Contains(t, string(list[1].XML), "<name>transient</name>")
}

// Whatever goes wrong is an error and never a short list.
func TestDefinitionsFail(t *testing.T) {
	rig := startRig(t)
	p := startProxy(t, "qemu+unix:///system", rig.Socket)
	away := func(is bool) {
		p.set(func() { p.down = is })
		p.cut()
	}
	b, h := opened(t, p.URI)
	virshFile(t, rig, foreignXML("foreign"), "define")
	virshFile(t, rig, `<domain type='qemu'><name>other</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>`, "define")

	t.Run("before it is open", func(t *testing.T) {
		_, err := newBackend(rig.URI).LibvirtVersion(t.Context())
		require.ErrorContains(t, err, "provision.Open")
		within(t, time.Second, func() {
			_, err := definitions(t.Context(), newBackend(rig.URI))
			require.ErrorContains(t, err, "provision.Open")
		})
	})
	t.Run("the context has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		list, err := definitions(ctx, b)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, list)
	})
	t.Run("the context ends on the way", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		n := 0
		for _, err := range b.Definitions(ctx) {
			n++
			last = err
			cancel()
		}
		require.Equal(t, 2, n)
		require.ErrorIs(t, last, context.Canceled)
	})
	t.Run("the daemon is gone", func(t *testing.T) {
		away(true)
		list, err := definitions(t.Context(), b)
		require.ErrorIs(t, err, provision.ErrUnavailable)
		require.Empty(t, list)
	})
	t.Run("the daemon goes on the way", func(t *testing.T) {
		away(false)
		require.Eventually(t, func() bool { _, err := b.LibvirtVersion(t.Context()); return err == nil }, 10*time.Second, 10*time.Millisecond)
		var errs []error
		for _, err := range b.Definitions(t.Context()) {
			errs = append(errs, err)
			if err == nil {
				away(true)
			}
		}
		require.Len(t, errs, 2)
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], provision.ErrUnavailable)
		away(false)
	})
	t.Run("a restart of the daemon is not noticed", func(t *testing.T) {
		require.NoError(t, rig.Kill())
		require.Eventually(t, func() bool { list, err := definitions(t.Context(), b); return err == nil && len(list) == 2 }, 20*time.Second, 10*time.Millisecond)
	})
	t.Run("the backend is closed", func(t *testing.T) {
		require.NoError(t, h.Close())
		_, err := definitions(t.Context(), b)
		require.Error(t, err)
	})
}
