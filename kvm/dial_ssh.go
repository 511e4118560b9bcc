package kvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/guestforge/provision"
)

// sshConn is a channel to libvirtd's socket that has the SSH connection to
// itself and ends it: the dialer of the RPC library leaves it open, with its
// goroutines, on every reconnect.
type sshConn struct {
	net.Conn
	raw net.Conn
}

// Close ends the SSH connection, at once and whatever the peer does. Its
// goroutines end when they see it.
func (c *sshConn) Close() error { return c.raw.Close() }

// dialSSH connects to libvirtd's socket on another machine, by a channel of type
// direct-streamlocal@openssh.com. No program runs on either side.
func dialSSH(ctx context.Context, t *target, config *ssh.ClientConfig) (net.Conn, error) {
	config, err := sshConfig(t, config)
	if err != nil {
		return nil, err
	}
	known, verify := false, config.HostKeyCallback
	var distrust error
	config.HostKeyCallback = func(host string, addr net.Addr, key ssh.PublicKey) error {
		distrust = verify(host, addr, key)
		known = distrust == nil
		return distrust
	}
	raw, err := dialTCP(ctx, t)
	if err != nil {
		return nil, err
	}
	stop := abortable(ctx, raw)
	fail := func(err error) (net.Conn, error) {
		stop()
		raw.Close()
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(raw, t.address(), config)
	switch {
	case distrust != nil:
		return fail(hostKeyError(t, distrust))
	case err != nil && known && !interrupted(err):
		return fail(fmt.Errorf("%w: %s does not let user %s in; the public key must be in its authorized_keys: %w", fs.ErrPermission, t.address(), t.user, err))
	case err != nil:
		return fail(fmt.Errorf("%w: SSH with %s: %w", provision.ErrUnavailable, t.address(), err))
	}
	client := ssh.NewClient(c, channels, requests)
	channel, err := client.Dial("unix", t.socket)
	if err == nil && !stop() {
		err = ended(ctx)
	}
	if err != nil {
		return fail(channelError(t, err))
	}
	return &sshConn{channel, raw}, nil
}

// interrupted recognises a peer that went away, as against one that said no.
func interrupted(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

// sshConfig completes the caller's configuration, or makes one from files.
func sshConfig(t *target, config *ssh.ClientConfig) (*ssh.ClientConfig, error) {
	var c ssh.ClientConfig
	if config != nil {
		c = *config
		c.Auth = slices.Clone(config.Auth)
	}
	c.User = t.user
	bad := func(path string, err error) error {
		return fmt.Errorf("%w: SSH: %s: %w", provision.ErrInvalid, path, err)
	}
	if t.keyFile != "" {
		text, err := os.ReadFile(t.keyFile)
		if err != nil {
			return nil, bad(t.keyFile, err)
		}
		signer, err := ssh.ParsePrivateKey(text)
		var locked *ssh.PassphraseMissingError
		if errors.As(err, &locked) {
			err = errors.New("has a passphrase; give the opened key in Options.SSH")
		}
		if err != nil {
			return nil, bad(t.keyFile, err)
		}
		c.Auth = append(c.Auth, ssh.PublicKeys(signer))
	}
	if c.HostKeyCallback == nil {
		verify, err := knownhosts.New(t.knownHosts)
		if err != nil {
			return nil, bad(t.knownHosts, err)
		}
		c.HostKeyCallback = verify
		if c.HostKeyAlgorithms == nil {
			c.HostKeyAlgorithms = knownAlgorithms(verify, t)
		}
	}
	return &c, nil
}

// knownAlgorithms lists the kinds of host keys that are known of the machine, or
// none. Without it, one of another kind may be offered, and look like a wrong one.
func knownAlgorithms(verify ssh.HostKeyCallback, t *target) []string {
	var all *knownhosts.KeyError
	if !errors.As(verify(t.address(), &net.TCPAddr{}, noKey{}), &all) {
		return nil
	}
	var kinds []string
	for _, k := range all.Want {
		kind := k.Key.Type()
		if kind == ssh.KeyAlgoRSA {
			kinds = append(kinds, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// noKey is a host key that no machine has.
type noKey struct{}

// Type implements [ssh.PublicKey].
func (noKey) Type() string { return "none" }

// Marshal implements [ssh.PublicKey].
func (noKey) Marshal() []byte { return nil }

// Verify implements [ssh.PublicKey].
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// hostKeyError says why the machine is not trusted.
func hostKeyError(t *target, err error) error {
	var wrong *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &wrong) && len(wrong.Want) == 0:
		return fmt.Errorf("%w: the host key of %s is not in %s; add it after comparing it with the machine's own: %w", fs.ErrPermission, t.address(), t.knownHosts, err)
	case errors.As(err, &wrong):
		return fmt.Errorf("%w: the host key of %s is not the one in %s: this may be another machine: %w", fs.ErrPermission, t.address(), t.knownHosts, err)
	case errors.As(err, &revoked):
		return fmt.Errorf("%w: the host key of %s is revoked in %s: %w", fs.ErrPermission, t.address(), t.knownHosts, err)
	}
	return fmt.Errorf("%w: the host key of %s: %w", fs.ErrPermission, t.address(), err)
}

// channelError says why there is no way from sshd to the socket.
func channelError(t *target, err error) error {
	var no *ssh.OpenChannelError
	if errors.As(err, &no) {
		// sshd has one answer for all of this.
		return fmt.Errorf("%w: no libvirtd at %s of %s (is it running, may user %s open it, and does sshd allow it: "+
			"AllowStreamLocalForwarding, DisableForwarding, restrict in authorized_keys?): %w", provision.ErrUnavailable, t.socket, t.address(), t.user, err)
	}
	return fmt.Errorf("%w: SSH with %s: %w", provision.ErrUnavailable, t.address(), err)
}
