package kvm

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// target is where libvirtd is and how it is reached.
type target struct {
	uri  string // for libvirtd: "qemu:///system"
	path string // of the URI: "/system"

	transport  transport
	socket     string // of libvirtd, on the machine where it runs; not with TLS
	host, port string
	user       string // for SSH
	keyFile    string // for SSH
	knownHosts string // for SSH
	pki        string // for TLS: a directory, or "" for the system's
}

// transport is a way to libvirtd.
type transport string

// Values of transport.
const (
	overUnix transport = "unix"
	overTLS  transport = "tls"
	overSSH  transport = "ssh"
	overDial transport = "dial" // Options.Dial
)

// drivers of libvirtd that this backend talks to; that of its tests is the second.
var drivers = map[string]bool{"qemu": true, "test": true}

// parameters of a URI, by transport.
var parameters = map[transport][]string{
	overUnix: {"socket"},
	overDial: {},
	overTLS:  {"pkipath"},
	overSSH:  {"socket", "keyfile", "known_hosts"},
}

// unsafeParameters are those of libvirt that switch off what protects.
var unsafeParameters = map[string]string{
	"no_verify":          "would take anybody for libvirtd; name the certificate authority by pkipath or Options.TLS, the host key by known_hosts or Options.SSH",
	"known_hosts_verify": "would take anybody for the host; host keys are always verified: put the key into the file that known_hosts names",
	"command":            "would run a program; connections are made without one",
	"netcat":             "would run a program on the host; connections are made without one",
	"proxy":              "would run a program on the host; connections are made without one",
}

// noTransports are those of libvirt that are refused, with the reason.
var noTransports = map[string]string{
	"tcp":     "it has neither encryption nor a check of who is there; use qemu+tls or qemu+ssh, or Options.Dial for a tunnel",
	"ext":     "it runs a program; use Options.Dial",
	"libssh":  "it is a way of the C library; use qemu+ssh, which has a client of its own",
	"libssh2": "it is a way of the C library; use qemu+ssh, which has a client of its own",
}

const (
	systemSocket     = "/run/libvirt/libvirt-sock"
	systemKnownHosts = "/etc/ssh/ssh_known_hosts"
	portTLS          = "16514"
	portSSH          = "22"
)

var (
	userinfo   = regexp.MustCompile(`//[^/@]*:[^/]*@`)
	plainUser  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]*$`)
	plainHost  = regexp.MustCompile(`^[A-Za-z0-9_.:%-]+$`)
	plainRoute = regexp.MustCompile(`^[^\x00-\x1f\x7f]*$`)
)

// parseTarget reads Options.URI: https://libvirt.org/uri.html.
func parseTarget(o *Options) (target, error) {
	bad := func(problem string) (target, error) {
		return target{}, &provision.FieldError{Path: "Options.URI", Value: userinfo.ReplaceAllString(o.URI, "//…@"), Problem: problem}
	}
	u, err := url.Parse(o.URI)
	if err != nil {
		return bad("is not a URI")
	}
	if _, has := u.User.Password(); has {
		return bad("has a password in it; use a key, or Options.SSH")
	}
	driver, name, _ := strings.Cut(u.Scheme, "+")
	switch {
	case !drivers[driver]:
		return bad("is not a URI of the qemu driver; use qemu:///system, qemu+tls://HOST/system or qemu+ssh://USER@HOST/system")
	case u.Opaque != "" || u.Path == "" || u.Path == "/":
		return bad("has no path; use qemu:///system")
	case !plainRoute.MatchString(u.Path):
		return bad("has a control character in its path")
	}
	if reason, ok := noTransports[name]; ok {
		return target{}, &provision.UnsupportedError{Feature: provision.Feature("transport " + name), Kind: "kvm", Reason: reason}
	}
	t := target{uri: driver + "://" + u.Path, path: u.Path, host: u.Hostname(), port: u.Port(), user: u.User.Username()}
	t.transport = transport(name)
	switch {
	case o.Dial != nil:
		if name != "" || u.Host != "" {
			return bad("says how to connect, and so does Options.Dial; use qemu:///system")
		}
		t.transport = overDial
	case name == "" && u.Host == "":
		t.transport = overUnix
	case name == "": // libvirt's own default
		t.transport = overTLS
	}
	allowed, ok := parameters[t.transport]
	if !ok {
		return bad(fmt.Sprintf("has a transport %q that is not known; unix, tls and ssh are", name))
	}
	q := u.Query()
	for name, values := range q {
		if reason, ok := unsafeParameters[name]; ok {
			return bad(fmt.Sprintf("has the parameter %s, which %s", name, reason))
		}
		if !slices.Contains(allowed, name) {
			return bad(fmt.Sprintf("has a parameter that is not known here; known are: %s", strings.Join(allowed, ", ")))
		}
		if len(values) != 1 || !filepath.IsAbs(values[0]) || !plainRoute.MatchString(values[0]) {
			return bad(fmt.Sprintf("needs an absolute path, once, as its parameter %s", name))
		}
	}
	t.socket, t.pki, t.keyFile, t.knownHosts = q.Get("socket"), q.Get("pkipath"), q.Get("keyfile"), q.Get("known_hosts")
	if problem := t.complete(driver, o); problem != "" {
		return bad(problem)
	}
	return t, nil
}

// complete puts defaults where nothing was said, or says what is wrong.
func (t *target) complete(driver string, o *Options) (problem string) {
	if t.transport == overUnix || t.transport == overSSH {
		if t.socket == "" && driver == "qemu" && t.path == "/session" {
			return "needs a socket: qemu+unix:///session?socket=/run/user/UID/libvirt/libvirt-sock"
		}
		if t.socket == "" {
			t.socket = systemSocket
		}
	}
	if t.transport == overUnix || t.transport == overDial {
		if t.host != "" || t.user != "" || t.port != "" {
			return "names a host or user, and a local socket has none"
		}
		return ""
	}
	if !plainHost.MatchString(t.host) {
		return "needs the name or address of a host"
	}
	if t.port != "" {
		if n, err := strconv.Atoi(t.port); err != nil || n < 1 || n > 65535 {
			return "has a port that is none"
		}
	}
	if t.transport == overTLS {
		if t.port == "" {
			t.port = portTLS
		}
		if t.user != "" {
			return "names a user, and TLS knows clients by their certificates"
		}
		return ""
	}
	if t.port == "" {
		t.port = portSSH
	}
	if t.user == "" && o.SSH != nil {
		t.user = o.SSH.User
	}
	if !plainUser.MatchString(t.user) {
		return "needs a user: qemu+ssh://USER@HOST/system"
	}
	if t.keyFile == "" && (o.SSH == nil || len(o.SSH.Auth) == 0) {
		return "needs a keyfile parameter, or Options.SSH with Auth; neither agents nor the files of a user are looked for"
	}
	if t.knownHosts == "" {
		t.knownHosts = systemKnownHosts
	}
	return ""
}

// address is the host and port to connect to.
func (t *target) address() string { return net.JoinHostPort(t.host, t.port) }

// check judges the options beside the URI.
func (o *Options) check(t transport) error {
	bad := func(path, value, problem string) error {
		return &provision.FieldError{Path: path, Value: value, Problem: problem}
	}
	switch {
	case o.Emulation < EmulateNever || o.Emulation > EmulateAlways:
		return bad("Options.Emulation", o.Emulation.String(), "is not known")
	case o.Timeout < 0:
		return bad("Options.Timeout", o.Timeout.String(), "is negative")
	case o.TLS != nil && t != overTLS:
		return bad("Options.TLS", "", "is set, and the URI is not of the form qemu+tls://HOST/system")
	case o.SSH != nil && t != overSSH:
		return bad("Options.SSH", "", "is set, and the URI is not of the form qemu+ssh://USER@HOST/system")
	case o.TLS != nil && o.TLS.InsecureSkipVerify && o.TLS.VerifyConnection == nil && o.TLS.VerifyPeerCertificate == nil:
		return bad("Options.TLS", "", "has InsecureSkipVerify and no check of its own (VerifyConnection): it would take anybody for libvirtd")
	}
	return nil
}
