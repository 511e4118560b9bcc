package kvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// maxHandshakes bounds how many connections to another machine are being made
// at a time: sshd drops some of more than ten that have not logged in yet
// (MaxStartups in sshd_config).
const maxHandshakes = 4

// keepAlive finds out within half a minute that a machine is gone. libvirt's
// own keepalive is of no use: the RPC library does not answer it.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// reach opens the way to libvirtd, up to where it speaks.
func (cs *conns) reach(ctx context.Context) (net.Conn, error) {
	if cs.target.transport == overUnix {
		raw, err := new(net.Dialer).DialContext(ctx, "unix", cs.target.socket)
		if err != nil {
			return nil, dialError(ctx, err)
		}
		return raw, nil
	}
	select {
	case cs.handshakes <- struct{}{}:
		defer func() { <-cs.handshakes }()
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	var raw net.Conn
	var err error
	switch cs.target.transport {
	case overTLS:
		raw, err = dialTLS(ctx, &cs.target, cs.tls)
	case overSSH:
		raw, err = dialSSH(ctx, &cs.target, cs.ssh)
	default:
		raw, err = cs.custom(ctx)
		if err == nil && raw == nil {
			err = errors.New("it returned no connection")
		}
		if err != nil {
			err = fmt.Errorf("%w: Options.Dial: %w", provision.ErrUnavailable, err)
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, ended(ctx)
	}
	return raw, err
}

// dialTCP connects to the machine of a target.
func dialTCP(ctx context.Context, t *target) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive()}
	raw, err := d.DialContext(ctx, "tcp", t.address())
	if err != nil {
		return nil, fmt.Errorf("%w: no answer from %s: %w", provision.ErrUnavailable, t.address(), err)
	}
	return raw, nil
}

// abortable closes a connection when the context ends, so that a handshake on
// it does. The function that it returns must be called, and says whether the
// context had not ended.
func abortable(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.Close() })
}

// dialError explains why the local socket cannot be connected to.
func dialError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the socket of libvirtd is for root and the group libvirt: %w", err)
	}
	return fmt.Errorf("%w: no libvirtd at its socket (is it running?): %w", provision.ErrUnavailable, err)
}

// authCodes are libvirt's answers to a client that has not logged in the way it
// wants. The first is its answer to ConnectOpen where SASL is asked for.
var authCodes = []libvirt.ErrorNumber{libvirt.ErrRPC, libvirt.ErrAuthFailed, libvirt.ErrAuthCancelled, libvirt.ErrAuthUnavailable}

// greetingError explains why libvirtd does not serve a connection.
func greetingError(err error) error {
	for _, code := range authCodes {
		if hasCode(err, code) {
			return fmt.Errorf("%w: libvirtd asks this client to log in by SASL or polkit, which it cannot: let the permissions of the socket, "+
				"client certificates or SSH decide (auth_unix_rw or auth_tls = \"none\" in libvirtd.conf), or run as root: %w", fs.ErrPermission, err)
		}
	}
	return classify(err)
}
