package kvm

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/guestforge/provision"
)

func TestParseTarget(t *testing.T) {
	const known = "/etc/ssh/ssh_known_hosts"
	unix := func(uri, path, socket string) target {
		return target{uri: uri, path: path, transport: overUnix, socket: socket}
	}
	for uri, want := range map[string]target{
		"qemu:///system":                                 unix("qemu:///system", "/system", systemSocket),
		"QEMU:///system":                                 unix("qemu:///system", "/system", systemSocket),
		"test:///default":                                unix("test:///default", "/default", systemSocket),
		"qemu+unix:///system":                            unix("qemu:///system", "/system", systemSocket),
		"qemu:///system?socket=/tmp/a/libvirt-sock":      unix("qemu:///system", "/system", "/tmp/a/libvirt-sock"),
		"qemu+unix:///system?socket=/tmp/a/libvirt-sock": unix("qemu:///system", "/system", "/tmp/a/libvirt-sock"),
		"qemu+unix:///session?socket=/run/user/1/sock":   unix("qemu:///session", "/session", "/run/user/1/sock"),
		"test+unix:///etc/node.xml?socket=/s":            unix("test:///etc/node.xml", "/etc/node.xml", "/s"),
		"qemu:///system?socket=/with%20space":            unix("qemu:///system", "/system", "/with space"),
		"qemu+tls://host/system": {uri: "qemu:///system", path: "/system", transport: overTLS,
			host: "host", port: "16514"},
		"qemu://host/system": {uri: "qemu:///system", path: "/system", transport: overTLS,
			host: "host", port: "16514"},
		"qemu+tls://host.example.net:1/system?pkipath=/etc/my": {uri: "qemu:///system", path: "/system", transport: overTLS,
			host: "host.example.net", port: "1", pki: "/etc/my"},
		"qemu+tls://[2001:db8::1]:17/system": {uri: "qemu:///system", path: "/system", transport: overTLS,
			host: "2001:db8::1", port: "17"},
		"qemu+ssh://me@host/system?keyfile=/k": {uri: "qemu:///system", path: "/system", transport: overSSH,
			host: "host", port: "22", user: "me", socket: systemSocket, keyFile: "/k", knownHosts: known},
		"qemu+ssh://me@192.0.2.1:2222/session?keyfile=/k&known_hosts=/h&socket=/s": {uri: "qemu:///session", path: "/session", transport: overSSH,
			host: "192.0.2.1", port: "2222", user: "me", socket: "/s", keyFile: "/k", knownHosts: "/h"},
	} {
		have, err := parseTarget(&Options{URI: uri})
		require.NoError(t, err, uri)
		require.Empty(t, cmp.Diff(want, have, cmp.AllowUnexported(target{})), uri)
	}
	have, err := parseTarget(&Options{URI: "qemu+ssh://host/system", SSH: &ssh.ClientConfig{User: "me", Auth: []ssh.AuthMethod{ssh.Password("x")}}})
	require.NoError(t, err, "Options.SSH has what the URI has not")
	require.Equal(t, "me", have.user)
	have, err = parseTarget(&Options{URI: "qemu:///system", Dial: noDial})
	require.NoError(t, err)
	require.Equal(t, overDial, have.transport)
}

func noDial(context.Context) (net.Conn, error) { return nil, errors.New("no") }

func TestParseTargetRefuses(t *testing.T) {
	for _, uri := range []string{
		"", "qemu", "/run/libvirt/libvirt-sock", "xen:///system", "lxc:///system", "http://example.net/", "://", "qemu:///%zz", "\x00",
		"qemu:///session", "qemu+unix:///session", "qemu:///system?socket=relative", "qemu:///system?socket=./a",
		"qemu:system", "qemu:", "qemu://", "qemu:///", "test://", "qemu:?socket=/a", "qemu://host", "qemu+tls://host/",
		"qemu+unix://host/system", "qemu+unix://me@/system", "qemu+unix:///system?socket=/a&socket=/b", "qemu:///system?socket=/a%0ab", "qemu:///sys%00tem",
		"qemu:///system?pkipath=/p", "qemu+gopher://host/system",
		"qemu+tls:///system", "qemu+tls://me@host/system", "qemu+tls://host:0/system", "qemu+tls://host:99999/system", "qemu+tls://host/system?socket=/s",
		"qemu+tls://host/system?no_verify=1", "qemu+tls://host/system?pkipath=rel", "qemu+tls://h%0aost/system",
		"qemu+ssh:///system", "qemu+ssh://host/system", "qemu+ssh://me@host/system", "qemu+ssh://host/system?keyfile=/k", "qemu+ssh://-oProxy@host/system?keyfile=/k",
		"qemu+ssh://me@host/session?keyfile=/k", "qemu+ssh://me@host/system?keyfile=k", "qemu+ssh://me@host/system?keyfile=/k&no_verify=1",
		"qemu+ssh://me@host/system?keyfile=/k&known_hosts_verify=ignore", "qemu+ssh://me@host/system?keyfile=/k&command=/bin/sh",
		"qemu+ssh://me@host/system?keyfile=/k&netcat=/bin/sh", "qemu+ssh://me@host/system?keyfile=/k&proxy=native",
	} {
		_, err := parseTarget(&Options{URI: uri})
		var field *provision.FieldError
		require.True(t, errors.As(err, &field), "%q: %v", uri, err)
		require.Equal(t, "Options.URI", field.Path)
		require.Equal(t, uri, field.Value)
		require.NotEmpty(t, field.Problem)
	}
	for uri, word := range map[string]string{
		"qemu+tcp://host/system": "encryption", "qemu+libssh://me@host/system": "qemu+ssh", "qemu+libssh2://me@host/system": "qemu+ssh", "qemu+ext:///system": "Options.Dial",
	} {
		_, err := parseTarget(&Options{URI: uri})
		require.ErrorIs(t, err, errors.ErrUnsupported, uri)
		var no *provision.UnsupportedError
		require.ErrorAs(t, err, &no)
		require.Equal(t, "kvm", no.Kind)
		require.Contains(t, no.Reason, word)
	}
}

// A password in a URI is refused, and shown to nobody.
func TestParseTargetKeepsPasswords(t *testing.T) {
	for _, uri := range []string{
		"qemu+ssh://me:PASSWORD@host/system?keyfile=/k", "qemu+ssh://me:PASSWORD@host/system?%zz=1", "qemu+ssh://:PASSWORD@host/%zz", "xen://me:PASS@WORD@host/system",
		"qemu+tls://me:PASSWORD@host/system", "qemu+tcp://me:PASSWORD@host/system", "qemu+ssh://me:PASSWORD@ho\x00st/", "qemu+ssh://me:PASSWORD@host:port/system",
	} {
		_, err := parseTarget(&Options{URI: uri})
		require.ErrorIs(t, err, provision.ErrInvalid, uri)
		for _, part := range []string{"PASS", "WORD"} {
			require.NotContains(t, err.Error(), part)
		}
	}
}

// Options that contradict each other, or leave the door open, are refused.
func TestOptionsRefused(t *testing.T) {
	for path, o := range map[string]Options{
		"Options.Emulation": {URI: "qemu:///system", Emulation: 7},
		"Options.Timeout":   {URI: "qemu:///system", Timeout: -time.Second},
		"Options.TLS":       {URI: "qemu:///system", TLS: &tls.Config{}},
		"Options.TLS ":      {URI: "qemu+tls://host/system", TLS: &tls.Config{InsecureSkipVerify: true}},
		"Options.SSH":       {URI: "qemu+tls://host/system", SSH: &ssh.ClientConfig{}},
		"Options.URI":       {URI: "qemu+tls://host/system", Dial: noDial},
		"Options.URI ":      {URI: "qemu+unix:///system", Dial: noDial},
		"Options.URI  ":     {URI: "qemu:///system?socket=/s", Dial: noDial},
	} {
		err := new(conns).setTarget(o)
		var field *provision.FieldError
		require.ErrorAs(t, err, &field, path)
		require.Contains(t, path, field.Path)
	}
	checked := Options{URI: "qemu+tls://host/system", TLS: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return nil }}}
	require.NoError(t, new(conns).setTarget(checked), "who verifies by other means may")
}
