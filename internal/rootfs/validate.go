package rootfs

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FieldError is about a value that is not fit to be written. Path is that of the
// field in a provision.Spec, "userData".
type FieldError struct {
	Path, Problem string
}

// Error names the field and what is wrong with it, without the value.
func (e *FieldError) Error() string { return e.Path + ": " + e.Problem }

// What gets into files is validated by who takes it from a caller. These rules
// are looser, and keep whatever comes from having a meaning of its own there.
var (
	instanceRE = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	nameRE     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	linkRE     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,14}$`)
	macRE      = regexp.MustCompile(`^([0-9a-f]{2}:){5}[0-9a-f]{2}$`)
	userRE     = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	hashRE     = regexp.MustCompile(`^[./A-Za-z0-9$=,]{1,512}$`)
)

func (fb *FirstBoot) validate() error {
	if !instanceRE.MatchString(fb.InstanceID) {
		return &FieldError{"id", "is not 1 to 64 letters, digits and hyphens"}
	}
	if fb.Hostname != "" && !nameRE.MatchString(fb.Hostname) {
		return &FieldError{"hostname", "is not a host name: labels of letters, digits and hyphens, joined by dots"}
	}
	for i := range fb.NICs {
		if problem := fb.NICs[i].problem(); problem != "" {
			return &FieldError{fmt.Sprintf("nics[%d]", i), problem}
		}
	}
	for i, s := range fb.DNS.Servers {
		if !s.IsValid() || s.Zone() != "" {
			return &FieldError{fmt.Sprintf("dns.servers[%d]", i), "is not an address"}
		}
	}
	for i, s := range fb.DNS.Search {
		if !nameRE.MatchString(s) {
			return &FieldError{fmt.Sprintf("dns.search[%d]", i), "is not a domain"}
		}
	}
	return fb.Access.validate()
}

func (n *NIC) problem() string {
	switch {
	case !linkRE.MatchString(n.Name) || n.Name == "lo":
		return fmt.Sprintf("%q is not the name of an interface: 1 to 15 letters, digits, underscores and hyphens", n.Name)
	case !macRE.MatchString(n.MAC):
		return "has no MAC address as 52:54:00:a1:b2:c3"
	case n.MTU < 0 || n.MTU > 65535:
		return "has an MTU that is not from 0 to 65535"
	case slices.ContainsFunc(n.Addresses, func(p netip.Prefix) bool { return !p.IsValid() }):
		return "has an address without a prefix length"
	case slices.ContainsFunc(n.Gateways, func(a netip.Addr) bool { return !a.IsValid() || a.Zone() != "" }):
		return "has a gateway that is not an address"
	}
	return ""
}

func (a *Access) validate() error {
	if a.User != "" && !userRE.MatchString(a.User) {
		return &FieldError{"access.user", "is not a user name: a-z, 0-9, underscore and hyphen, at most 32"}
	}
	if a.PasswordHash != "" && !hashRE.MatchString(a.PasswordHash) {
		return &FieldError{"access.passwordHash", "is not a crypt(5) string"}
	}
	for i, k := range a.AuthorizedKeys {
		if k == "" || !utf8.ValidString(k) || strings.ContainsFunc(k, unicode.IsControl) {
			return &FieldError{fmt.Sprintf("access.authorizedKeys[%d]", i), "is not a public key in one line"}
		}
	}
	return nil
}
