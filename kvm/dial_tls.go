package kvm

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

	"github.com/guestforge/provision"
)

// Where libvirt keeps what a client needs, https://libvirt.org/tlscerts.html.
const (
	systemCA   = "/etc/pki/CA/cacert.pem"
	systemCert = "/etc/pki/libvirt/clientcert.pem"
	systemKey  = "/etc/pki/libvirt/private/clientkey.pem"
)

var errNoVerdict = errors.New("its verdict did not come")

// tlsConn is a connection that Close ends at once. That of crypto/tls says
// goodbye to the peer first, and waits for it.
type tlsConn struct {
	*tls.Conn
	raw net.Conn
}

// Close closes the socket below.
func (c *tlsConn) Close() error { return c.raw.Close() }

// dialTLS connects to the TLS port of libvirtd. After the handshake it sends one
// byte, a one, if it serves this client.
func dialTLS(ctx context.Context, t *target, config *tls.Config) (net.Conn, error) {
	config, err := tlsConfig(t, config)
	if err != nil {
		return nil, err
	}
	raw, err := dialTCP(ctx, t)
	if err != nil {
		return nil, err
	}
	stop := abortable(ctx, raw)
	c := tls.Client(raw, config)
	var verdict [1]byte
	err = c.HandshakeContext(ctx)
	if err == nil {
		if _, err = io.ReadFull(c, verdict[:]); errors.Is(err, io.EOF) {
			err = errNoVerdict
		}
	}
	if !stop() && err == nil {
		err = ended(ctx)
	}
	if err != nil || verdict[0] != 1 {
		raw.Close()
		return nil, tlsError(t, err)
	}
	return &tlsConn{c, raw}, nil
}

// tlsConfig completes the caller's configuration, or makes one from files. They
// are read for each connection, so that new certificates are used.
func tlsConfig(t *target, config *tls.Config) (*tls.Config, error) {
	if config != nil {
		config = config.Clone()
		if config.ServerName == "" {
			config.ServerName = t.host
		}
		return config, nil
	}
	ca, cert, key := systemCA, systemCert, systemKey
	if t.pki != "" {
		ca, cert, key = filepath.Join(t.pki, "cacert.pem"), filepath.Join(t.pki, "clientcert.pem"), filepath.Join(t.pki, "clientkey.pem")
	}
	bad := func(path string, err error) error {
		return fmt.Errorf("%w: certificates for TLS: %s: %w", provision.ErrInvalid, path, err)
	}
	config = &tls.Config{ServerName: t.host, MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, bad(ca, err)
	}
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, bad(ca, errors.New("holds no certificate"))
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	switch {
	case err == nil:
		config.Certificates = []tls.Certificate{pair}
	case t.pki == "" && errors.Is(err, fs.ErrNotExist):
		// As in libvirt: the daemon may be content without.
	default:
		return nil, bad(cert+" and "+key, err)
	}
	return config, nil
}

// tlsError says which side refused the other, and why.
func tlsError(t *target, err error) error {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		name    x509.HostnameError
		remote  *net.OpError
	)
	refused := func(why string) error {
		return fmt.Errorf("%w: TLS with %s: %s: %w", fs.ErrPermission, t.address(), why, err)
	}
	switch {
	case err == nil:
		err = errors.New("its verdict is no")
		return refused("libvirtd does not serve the holder of this certificate (tls_allowed_dn_list)")
	case errors.As(err, &unknown):
		return refused("the certificate of libvirtd is from an authority that is not in cacert.pem")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return refused("the certificate of libvirtd is not valid at this time")
	case errors.As(err, &name):
		return refused("the certificate of libvirtd is for another name; it needs " + t.host + " as a subject alternative name, and the common name does not count")
	case errors.As(err, &invalid):
		return refused("the certificate of libvirtd is not good")
	case errors.As(err, &remote) && remote.Op == "remote error":
		return refused("libvirtd refused this client; it needs a certificate (clientcert.pem, clientkey.pem) from an authority that libvirtd knows")
	case errors.Is(err, errNoVerdict):
		return refused("libvirtd closed the connection without a word; it does so when it does not accept the client's certificate")
	}
	return fmt.Errorf("%w: TLS with %s: %w", provision.ErrUnavailable, t.address(), err)
}
