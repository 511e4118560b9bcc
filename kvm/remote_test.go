//go:build linux

package kvm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/kvmrig"
	"github.com/guestforge/provision/internal/testrig"
	"github.com/guestforge/provision/kvm"
)

// tlsPort is where libvirtd listens inside its namespace.
const tlsPort = "127.0.0.1:16514"

func sshURI(s *testrig.SSH, socket, key, hosts string) string {
	return fmt.Sprintf("qemu+ssh://%s@%s/system?socket=%s&keyfile=%s&known_hosts=%s", s.User, s.Addr, socket, key, hosts)
}

func tlsURI(addr, pki string) string {
	return fmt.Sprintf("qemu+tls://%s/system?pkipath=%s", addr, pki)
}

// probe opens a Host and returns what identifies it.
func probe(t *testing.T, opts *kvm.Options) (machine string, err error) {
	t.Helper()
	h, err := provision.Open(t.Context(), kvm.New(opts), &provision.Options{LockDir: t.TempDir()})
	if err != nil {
		return "", err
	}
	machine = h.Info().Machine
	require.NoError(t, h.Close())
	return machine, nil
}

// requireRefused wants an error that says what to do, and no secret.
func requireRefused(t *testing.T, err, is error, words ...string) {
	t.Helper()
	require.ErrorIs(t, err, is)
	for _, w := range words {
		require.ErrorContains(t, err, w)
	}
	require.NotContains(t, err.Error(), "PRIVATE KEY")
}

// TestHazard19TLS: libvirtd's own TLS port, with files and with a configuration
// of the caller, and who is refused on either side.
func TestHazard19TLS(t *testing.T) {
	pki, stranger := testrig.NewPKI(t), testrig.NewPKI(t)
	rig, _ := testrig.StartWith(t, &testrig.LibvirtOptions{TLS: pki.Dir})
	addr := rig.Forward(t, tlsPort)
	local, err := probe(t, &kvm.Options{URI: rig.URI})
	require.NoError(t, err)
	machine, err := probe(t, &kvm.Options{URI: tlsURI(addr, pki.Dir)})
	require.NoError(t, err)
	require.Equal(t, local, machine, "a machine is the same however it is reached")

	pair, err := tls.LoadX509KeyPair(filepath.Join(pki.Dir, "clientcert.pem"), filepath.Join(pki.Dir, "clientkey.pem"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(pki.Dir, "cacert.pem"))
	require.NoError(t, err)
	require.True(t, roots.AppendCertsFromPEM(pem))
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	machine, err = probe(t, &kvm.Options{URI: "qemu+tls://" + addr + "/system", TLS: config})
	require.NoError(t, err)
	require.Equal(t, local, machine)
	require.Empty(t, config.ServerName, "the caller's configuration is not changed")

	_, err = probe(t, &kvm.Options{URI: "qemu+tls://" + addr + "/system", TLS: &tls.Config{RootCAs: roots}})
	requireRefused(t, err, fs.ErrPermission, "client")
	_, err = probe(t, &kvm.Options{URI: tlsURI(addr, stranger.Dir)})
	requireRefused(t, err, fs.ErrPermission, "authority", "cacert.pem")
	_, err = probe(t, &kvm.Options{URI: "qemu+tls://" + addr + "/system", TLS: &tls.Config{RootCAs: roots, ServerName: "other.example.net"}})
	requireRefused(t, err, fs.ErrPermission, "other name")
	_, err = probe(t, &kvm.Options{URI: tlsURI(addr, t.TempDir())})
	requireRefused(t, err, provision.ErrInvalid, "cacert.pem")
	_, err = probe(t, &kvm.Options{URI: tlsURI("127.0.0.1:1", pki.Dir)})
	requireRefused(t, err, provision.ErrUnavailable, "127.0.0.1:1")
}

// An expired certificate of the server is told from one of a stranger.
func TestTLSExpired(t *testing.T) {
	pki := testrig.NewPKI(t)
	pki.Sign("server", time.Now().Add(-time.Minute), "127.0.0.1")
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki.Dir, "servercert.pem"), filepath.Join(pki.Dir, "serverkey.pem"))
	require.NoError(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = c.(*tls.Conn).Handshake(); c.Close() }()
		}
	}()
	_, err = probe(t, &kvm.Options{URI: tlsURI(l.Addr().String(), pki.Dir)})
	requireRefused(t, err, fs.ErrPermission, "not valid at this time")
}

// Machines that take a connection and say nothing are given up in time, at every
// stage of a handshake.
func TestDeafMachines(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	pki := testrig.NewPKI(t)
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki.Dir, "servercert.pem"), filepath.Join(pki.Dir, "serverkey.pem"))
	require.NoError(t, err)
	for name, greet := range map[string]func(net.Conn){
		"silent": func(net.Conn) {},
		"silent after the handshake, where the verdict should come": func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
		},
		"banner of SSH and no more": func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { greet(c); _, _ = io.Copy(io.Discard, c); c.Close() }()
				}
			}()
			key := filepath.Join(pki.Dir, "clientkey.pem")
			known := filepath.Join(pki.Dir, "known")
			writeFile(t, known, "")
			for _, uri := range []string{
				tlsURI(l.Addr().String(), pki.Dir),
				fmt.Sprintf("qemu+ssh://me@%s/system?keyfile=%s&known_hosts=%s", l.Addr(), key, known),
			} {
				begin := time.Now()
				_, err = probe(t, &kvm.Options{URI: uri, Timeout: 100 * time.Millisecond})
				require.ErrorIs(t, err, provision.ErrUnavailable, uri)
				require.Less(t, time.Since(begin), 5*time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				_, err = provision.Open(ctx, kvm.New(&kvm.Options{URI: uri}), nil)
				cancel()
				if name != "banner of SSH and no more" || uri[:8] != "qemu+tls" { // that is no TLS, and said so at once
					require.ErrorIs(t, err, context.DeadlineExceeded, uri)
				}
			}
		})
	}
}

// TestHazard20SSH: sshd's way to the socket, by files and by a configuration of
// the caller, and who is refused on either side.
func TestHazard20SSH(t *testing.T) {
	rig, _ := testrig.Start(t)
	s := testrig.StartSSH(t, "")
	local, err := probe(t, &kvm.Options{URI: rig.URI})
	require.NoError(t, err)
	machine, err := probe(t, &kvm.Options{URI: sshURI(s, rig.Socket, s.KeyFile, s.KnownHosts)})
	require.NoError(t, err)
	require.Equal(t, local, machine, "a machine is the same however it is reached")

	text, err := os.ReadFile(s.KeyFile)
	require.NoError(t, err)
	signer, err := ssh.ParsePrivateKey(text)
	require.NoError(t, err)
	config := &ssh.ClientConfig{User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}}
	machine, err = probe(t, &kvm.Options{URI: fmt.Sprintf("qemu+ssh://%s/system?socket=%s&known_hosts=%s", s.Addr, rig.Socket, s.KnownHosts), SSH: config})
	require.NoError(t, err)
	require.Equal(t, local, machine)
	require.Nil(t, config.HostKeyCallback, "the caller's configuration is not changed")

	_, err = probe(t, &kvm.Options{URI: sshURI(s, rig.Socket, s.KeyFile, s.OtherHosts)})
	requireRefused(t, err, fs.ErrPermission, "host key", "another machine")
	empty := filepath.Join(t.TempDir(), "known")
	writeFile(t, empty, "")
	_, err = probe(t, &kvm.Options{URI: sshURI(s, rig.Socket, s.KeyFile, empty)})
	requireRefused(t, err, fs.ErrPermission, "host key", "is not in")
	_, err = probe(t, &kvm.Options{URI: sshURI(s, rig.Socket, s.OtherKey, s.KnownHosts)})
	requireRefused(t, err, fs.ErrPermission, "authorized_keys")
	_, err = probe(t, &kvm.Options{URI: sshURI(s, rig.Socket+"-gone", s.KeyFile, s.KnownHosts)})
	requireRefused(t, err, provision.ErrUnavailable, "is it running")
	_, err = probe(t, &kvm.Options{URI: sshURI(s, rig.Socket, empty, s.KnownHosts)})
	requireRefused(t, err, provision.ErrInvalid, empty)
	_, err = probe(t, &kvm.Options{URI: sshURI(s, rig.Socket, s.KeyFile, empty+"-gone")})
	requireRefused(t, err, provision.ErrInvalid, "known")
	locked := testrig.StartSSH(t, "AllowStreamLocalForwarding no")
	_, err = probe(t, &kvm.Options{URI: sshURI(locked, rig.Socket, locked.KeyFile, locked.KnownHosts)})
	requireRefused(t, err, provision.ErrUnavailable, "AllowStreamLocalForwarding")
}

// TestHazard15SASL: a daemon that wants a login that this client does not have.
func TestHazard15SASL(t *testing.T) {
	rig, _ := testrig.Start(t)
	conf := filepath.Join(rig.Dir, "libvirtd.conf")
	text, err := os.ReadFile(conf)
	require.NoError(t, err)
	require.Contains(t, string(text), `auth_unix_rw = "none"`)
	writeFile(t, conf, strings.Replace(string(text), `auth_unix_rw = "none"`, `auth_unix_rw = "sasl"`, 1))
	require.NoError(t, rig.Kill())
	require.Eventually(t, func() bool {
		_, err = probe(t, &kvm.Options{URI: rig.URI})
		return err != nil && !errors.Is(err, provision.ErrUnavailable)
	}, 20*time.Second, 50*time.Millisecond)
	requireRefused(t, err, fs.ErrPermission, "SASL", "auth_unix_rw")
	var native libvirt.Error
	require.ErrorAs(t, err, &native)
}

// TestGuestsOverOtherWays lives a guest's life over each way: streams included.
func TestGuestsOverOtherWays(t *testing.T) {
	pki := testrig.NewPKI(t)
	rig := kvmrig.StartBrief(t, &testrig.LibvirtOptions{TLS: pki.Dir})
	s := testrig.StartSSH(t, "")
	for name, opts := range map[string]*kvm.Options{
		"tls":    {URI: tlsURI(rig.Forward(t, tlsPort), pki.Dir)},
		"ssh":    {URI: sshURI(s, rig.Socket, s.KeyFile, s.KnownHosts)},
		"tunnel": {URI: "qemu:///system", Dial: dialer(rig.Socket)},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Emulation = kvm.EmulateAlways
			h, err := provision.Open(t.Context(), kvm.New(opts), &provision.Options{LockDir: t.TempDir()})
			require.NoError(t, err)
			defer func() { require.NoError(t, h.Close()) }()
			g := bootedGuest(t, h, tinySpec("far"))
			_, err = g.Stop(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, g.Delete(t.Context(), nil))
		})
	}
}

func dialer(socket string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", socket) }
}

// TestHazard20Leaks: two hundred connections over each way (sixty by SSH, which takes
// a process each), each lost and made anew, leave neither descriptors nor goroutines.
func TestHazard20Leaks(t *testing.T) {
	pki := testrig.NewPKI(t)
	rig, _ := testrig.StartWith(t, &testrig.LibvirtOptions{TLS: pki.Dir})
	s := testrig.StartSSH(t, "")
	tlsAddr := rig.Forward(t, tlsPort)
	for name, uri := range map[string]string{
		"unix": rig.URI, "tls": tlsURI(tlsAddr, pki.Dir), "ssh": sshURI(s, rig.Socket, s.KeyFile, s.KnownHosts),
	} {
		t.Run(name, func(t *testing.T) {
			reconnect := func(n int) {
				for range n {
					_, err := probe(t, &kvm.Options{URI: uri})
					require.NoError(t, err)
				}
			}
			reconnect(3)
			files, goroutines := openFiles(t), runtime.NumGoroutine()
			times := 200
			if name == "ssh" {
				times = 60
			}
			reconnect(times)
			require.Eventually(t, func() bool {
				return openFiles(t) <= files && runtime.NumGoroutine() <= goroutines+2 // for the machinery of the test
			}, 20*time.Second, 20*time.Millisecond, "%d files and %d goroutines before, %d and %d after", files, goroutines, openFiles(t), runtime.NumGoroutine())
		})
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}
