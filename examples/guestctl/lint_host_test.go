//go:build linux

package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

func TestLintHost(t *testing.T) {
	l, _ := testrig.Start(t)
	m := newMachine(t)
	host := func(args ...string) result {
		return call(t.Context(), "", append([]string{"-uri", l.URI, "-lockdir", t.TempDir()}, args...)...)
	}
	require.Equal(t, result{stdout: "0 errors, 0 warnings, 0 infos in 0 documents\n"}, host("lint"))
	require.Equal(t, exitUsage, host("lint", "-off", "no-such-rule").code)

	for _, name := range []string{"web 2", "web1"} {
		_, err := l.Virsh(t.Context(), "define", m.file("domain.xml", `<domain type='qemu'><name>`+name+`</name><memory unit='MiB'>32</memory>`+
			`<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>`+
			`<driver name='qemu' type='raw' cache='unsafe'/><source file='/none.raw'/><target dev='vda' bus='virtio'/></disk></devices></domain>`))
		require.NoError(t, err)
	}
	r := host(append(some(), "-json")...)
	require.Equal(t, exitFindings, r.code, r.stderr)
	all := fromJSON[[]located](t, r.stdout)
	require.Len(t, all, 2)
	require.Equal(t, []string{"web 2", "web1"}, []string{all[0].Source, all[1].Source})
	require.Contains(t, host(some()...).stdout, "2 errors, 0 warnings, 0 infos in 2 documents")
	require.Contains(t, host(append(some(), "-sarif")...).stdout, `"uri": "libvirt-domain:web%202"`)

	b := kvm.New(&kvm.Options{URI: l.URI})
	h, err := provision.Open(t.Context(), b, &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	v, err := b.LibvirtVersion(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, v, uint64(9_000_000), "the rules learn the version of the host")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, exitFailed, call(ended, "", "-uri", l.URI, "-lockdir", t.TempDir(), "lint").code)
}
