//go:build linux

package testrig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSH is a private sshd: one process for each connection, on this machine.
type SSH struct {
	Addr       string // of the loopback device
	User       string // who may log in
	KeyFile    string // with which private key
	OtherKey   string // a private key that nobody may log in with
	KnownHosts string // has its host key
	OtherHosts string // has another host key for it
}

const sshdConf = `HostKey %[1]s/host_key
AuthorizedKeysFile %[1]s/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PidFile none
LogLevel ERROR
%[2]s
`

// StartSSH starts a private sshd with further lines of configuration, and stops
// it when the test ends.
func StartSSH(tb testing.TB, lines string) *SSH {
	tb.Helper()
	if err := check(sshTools, true); err != nil {
		tb.Fatalf("testrig: %v", err)
	}
	dir := tb.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	hostKey, host := newKey(tb)
	clientKey, client := newKey(tb)
	otherKey, other := newKey(tb)
	file("host_key", hostKey)
	file("authorized_keys", ssh.MarshalAuthorizedKey(client))
	conf := file("sshd_config", fmt.Appendf(nil, sshdConf, dir, lines))
	path, err := lookPath("sshd")
	if err != nil {
		tb.Fatal(err)
	}
	s := &SSH{User: "root", KeyFile: file("client_key", clientKey), OtherKey: file("other_key", otherKey)}
	s.Addr = serve(tb, func(c net.Conn) {
		if err := sshd(c.(*net.TCPConn), path, conf); err != nil && tb.Context().Err() == nil {
			tb.Logf("sshd: %v", err)
		}
	})
	s.KnownHosts = file("known_hosts", []byte(knownhosts.Line([]string{s.Addr}, host)+"\n"))
	s.OtherHosts = file("other_hosts", []byte(knownhosts.Line([]string{s.Addr}, other)+"\n"))
	return s
}

// sshd serves one connection. Its privilege separation wants /run/sshd, which it
// gets in a mount namespace of its own.
func sshd(c *net.TCPConn, path, conf string) error {
	f, err := c.File()
	if err != nil {
		return err
	}
	c.Close() // sshd has it now
	cmd := exec.Command("/bin/sh", "-c", `mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -m 0755 /run/sshd && exec "$0" -i -e -f "$1"`, path, conf)
	var said bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ(), f, f, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	f.Close()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil && said.Len() > 0 {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// newKey returns a private key in OpenSSH's format, and its public key.
func newKey(tb testing.TB) ([]byte, ssh.PublicKey) {
	tb.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(block), key
}
