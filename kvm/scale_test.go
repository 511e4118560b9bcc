//go:build linux

package kvm_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/kvm"
)

// counter is a proxy in front of libvirtd that counts the calls it passes on.
type counter struct {
	path     string
	calls    atomic.Int64
	withhold func(packet []byte) bool // whether libvirtd must not get it
}

func countCalls(t *testing.T, socket string, withhold func([]byte) bool) *counter {
	t.Helper()
	c := &counter{path: filepath.Join(t.TempDir(), "s"), withhold: withhold}
	l, err := net.Listen("unix", c.path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				client.Close()
				continue
			}
			go func() { io.Copy(client, server); client.Close() }()
			go func() { c.forward(server, client); server.Close() }()
		}
	}()
	return c
}

// forward copies packets: a length, which counts itself, and so many bytes.
func (c *counter) forward(to io.Writer, from io.Reader) {
	var head [4]byte
	for {
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		c.calls.Add(1)
		packet := make([]byte, binary.BigEndian.Uint32(head[:]))
		copy(packet, head[:])
		if _, err := io.ReadFull(from, packet[len(head):]); err != nil {
			return
		}
		if c.withhold != nil && c.withhold(packet) {
			continue
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// defineMany defines domains on libvirt's test driver, which keeps them while l
// is connected.
func defineMany(t testing.TB, socket string, n int) *libvirt.Libvirt {
	t.Helper()
	l := libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(socket)))
	require.NoError(t, l.ConnectToURI("test:///default"))
	t.Cleanup(func() { require.NoError(t, l.Disconnect()) })
	for i := range n {
		_, err := l.DomainDefineXML(fmt.Sprintf(`<domain type='test'><name>d%d</name><uuid>%s</uuid><memory>8192</memory><vcpu>1</vcpu>`+
			`<os><type>hvm</type></os></domain>`, i, uuid.NewString()))
		require.NoError(t, err)
	}
	return l
}

// TestListTakesConstantRoundTrips: once configurations are known, a List takes
// as many calls for a thousand guests as for one, and still sees every change.
func TestListTakesConstantRoundTrips(t *testing.T) {
	rig := startRig(t)
	const many = 1000
	l := defineMany(t, rig.Socket, many)
	proxy := countCalls(t, rig.Socket, nil)
	h, err := provision.Open(t.Context(), kvm.New(&kvm.Options{URI: "test+unix:///default?socket=" + proxy.path}), &provision.Options{LockDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })

	list := func() (guests map[string]provision.Status, calls int64) {
		before := proxy.calls.Load()
		guests = map[string]provision.Status{}
		for st, err := range h.Guests(t.Context(), nil) {
			require.NoError(t, err)
			guests[st.Name] = st
		}
		return guests, proxy.calls.Load() - before
	}
	guests, calls := list()
	require.Len(t, guests, many+1, "and the driver's own domain")
	require.Greater(t, calls, int64(many), "libvirt has no bulk call for configurations")
	require.Eventually(t, func() bool { _, calls = list(); return calls < 20 }, 20*time.Second, 10*time.Millisecond)
	t.Logf("calls of a List of %d guests that are known: %d", many+1, calls)
	before := proxy.calls.Load()
	used := 0
	for st, err := range h.Guests(t.Context(), &provision.ListOptions{Usage: true}) {
		require.NoError(t, err)
		if st.Usage != nil {
			used++
		}
	}
	require.Equal(t, 1, used, "the driver's own domain is on")
	require.Less(t, proxy.calls.Load()-before, calls+10, "the counters of all guests take one call, and a connection for it")

	d, err := l.DomainLookupByName("d7")
	require.NoError(t, err)
	require.NoError(t, l.DomainSetMetadata(d, int32(libvirt.DomainMetadataElement), libvirt.OptString{"<record>{}</record>"},
		libvirt.OptString{"provision"}, libvirt.OptString{"https://github.com/guestforge/provision/record/1"}, libvirt.DomainAffectConfig))
	require.Eventually(t, func() bool { guests, _ = list(); return guests["d7"].Reason != "" }, 10*time.Second, 10*time.Millisecond,
		"a change of metadata is seen")
	require.NoError(t, l.DomainUndefine(d))
	_, err = l.DomainDefineXML(fmt.Sprintf(`<domain type='test'><name>new</name><uuid>%s</uuid><memory>16384</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`, uuid.NewString()))
	require.NoError(t, err)
	guests, _ = list()
	require.NotContains(t, guests, "d7")
	require.Equal(t, 16*provision.MiB, guests["new"].Memory)
}
