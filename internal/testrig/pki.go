//go:build linux

package testrig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// PKI is a certificate authority with a directory of what it signed: files with
// the names that libvirt gives them in a pkipath.
type PKI struct {
	Dir string

	tb   testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewPKI makes an authority with certificates for a server on 127.0.0.1, and
// for a client.
func NewPKI(tb testing.TB) *PKI {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pki")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	p := &PKI{Dir: dir, tb: tb, key: newECKey(tb)}
	p.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, p.cert, p.cert, &p.key.PublicKey, p.key)
	if err != nil {
		tb.Fatal(err)
	}
	p.write("cacert.pem", "CERTIFICATE", der)
	p.Sign("server", time.Now().Add(time.Hour), "127.0.0.1")
	p.Sign("client", time.Now().Add(time.Hour))
	return p
}

// Sign makes NAMEcert.pem and NAMEkey.pem for some addresses.
func (p *PKI) Sign(name string, until time.Time, addresses ...string) {
	p.tb.Helper()
	key := newECKey(p.tb)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, a := range addresses {
		c.IPAddresses = append(c.IPAddresses, net.ParseIP(a))
	}
	der, err := x509.CreateCertificate(rand.Reader, c, p.cert, &key.PublicKey, p.key)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.write(name+"cert.pem", "CERTIFICATE", der)
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		p.tb.Fatal(err)
	}
	p.write(name+"key.pem", "PRIVATE KEY", der)
}

func (p *PKI) write(name, kind string, der []byte) {
	p.tb.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(p.Dir, name), text, 0o600); err != nil {
		p.tb.Fatal(err)
	}
}

func newECKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
