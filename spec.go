package provision

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Spec says what guest the caller wants. It is plain data: the zero value of a
// field is its documented default, and [Spec.Validate] reports every field that
// is wrong. In YAML and JSON the keys are the field names in lowerCamelCase;
// that form is part of the compatibility promise.
//
// A field that a backend does not honour is an error at [Host.Plan] and
// [Host.Create] (see [Host.Supports]); it is never ignored.
type Spec struct {
	// Name of the guest, unique on its host: an RFC 1123 label of 1 to 63
	// characters with at least one letter. Required.
	Name string `json:"name" yaml:"name"`
	// Hostname that the guest gives itself. Default: Name.
	Hostname string `json:"hostname,omitempty" yaml:"hostname,omitempty"`
	// Key is the caller's own order id. A second Create with the same Key
	// returns the guest that the first one made. Up to 255 bytes of UTF-8
	// without control characters. Default: none.
	Key string `json:"key,omitempty" yaml:"key,omitempty"`
	// Image is the name of an image in the host's store. Required, unless
	// Native says how the guest starts without one.
	Image string `json:"image,omitempty" yaml:"image,omitempty"`

	CPU    CPU    `json:"cpu,omitzero" yaml:"cpu,omitempty"`
	Memory Memory `json:"memory,omitzero" yaml:"memory,omitempty"`
	// Disks of the guest; the first is the root disk. Default: a root disk of
	// the image's own size.
	Disks []Disk `json:"disks,omitempty" yaml:"disks,omitempty"`
	// NICs of the guest, in the order in which it sees them. Default: none.
	NICs []NIC `json:"nics,omitempty" yaml:"nics,omitempty"`
	DNS  DNS   `json:"dns,omitzero" yaml:"dns,omitempty"`

	Limits Limits `json:"limits,omitzero" yaml:"limits,omitempty"`
	Access Access `json:"access,omitzero" yaml:"access,omitempty"`
	// UserData is handed to cloud-init as it is, up to 512 KiB. It is a secret:
	// it is never logged nor kept in the hypervisor's definition.
	UserData UserData `json:"userData,omitempty" yaml:"userData,omitempty"`

	// Autostart starts the guest when its host boots.
	Autostart bool `json:"autostart,omitempty" yaml:"autostart,omitempty"`
	// Labels are kept with the guest and never interpreted. A label's name has
	// 1 to 63 characters of [A-Za-z0-9._/-]; values are any UTF-8; all of them
	// together at most 64 KiB.
	Labels map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	// Needs are refused where backend or host cannot honour them.
	Needs Needs `json:"needs,omitzero" yaml:"needs,omitempty"`
	// Native holds settings of one backend, *kvm.Native for example. It has no
	// text form. A Native of another backend is an error.
	Native Native `json:"-" yaml:"-"`
}

// CPU is the processor share of a guest.
type CPU struct {
	// Count of vCPUs that the guest sees. Default: 1.
	Count int `json:"count,omitempty" yaml:"count,omitempty"`
	// Limit of processor time in cores: 1.5 is one and a half. Default: none.
	Limit float64 `json:"limit,omitempty" yaml:"limit,omitempty"`
	// Weight against other guests when the host is busy, 1 to 10000, where 100
	// is an ordinary guest. Default: the hypervisor's own.
	Weight int `json:"weight,omitempty" yaml:"weight,omitempty"`
	// Pin lists the host's processors, by number, that the guest may run on,
	// with all of its vCPUs and what emulates its devices. Default: all.
	Pin []int `json:"pin,omitempty" yaml:"pin,omitempty,flow"`
}

// Memory of a guest.
type Memory struct {
	// Size of the RAM. Default: 512 MiB. At least 16 MiB.
	Size Bytes `json:"size,omitempty" yaml:"size,omitempty"`
	// Swap that the host gives on top of Size. Default: none.
	Swap Bytes `json:"swap,omitempty" yaml:"swap,omitempty"`
	// Guaranteed memory is never overcommitted and never ballooned away.
	Guaranteed bool `json:"guaranteed,omitempty" yaml:"guaranteed,omitempty"`
	// HugePages backs the RAM by the host's huge pages.
	HugePages bool `json:"hugePages,omitempty" yaml:"hugePages,omitempty"`
}

// Disk of a guest.
type Disk struct {
	// Size of the disk. Default for the root disk: that of the image. Required
	// for all others.
	Size Bytes `json:"size,omitempty" yaml:"size,omitempty"`
	// Inodes limits the number of files. Default: no limit of ours.
	Inodes uint64 `json:"inodes,omitempty" yaml:"inodes,omitempty"`
	// IOPS limits the operations per second. Default: no limit.
	IOPS uint64 `json:"iops,omitempty" yaml:"iops,omitempty"`
	// BPS limits the bytes per second. Default: no limit.
	BPS Bytes `json:"bps,omitempty" yaml:"bps,omitempty"`
}

// NIC is a network card of a guest, plugged into a bridge of the host.
type NIC struct {
	// Bridge of the host. Required. It must exist: no bridge is ever made.
	Bridge string `json:"bridge" yaml:"bridge"`
	// VLAN tag, 1 to 4094. Default: untagged.
	VLAN int `json:"vlan,omitempty" yaml:"vlan,omitempty"`
	// MAC address. Default: a locally administered one derived from the
	// guest's ID, so that it stays the same for the guest's life.
	MAC MAC `json:"mac,omitzero" yaml:"mac,omitempty"`
	// Addresses with their prefix lengths, up to 64. Default: none are
	// configured.
	Addresses []netip.Prefix `json:"addresses,omitempty" yaml:"addresses,omitempty"`
	// Gateways, at most one for each of IPv4 and IPv6.
	Gateways []netip.Addr `json:"gateways,omitempty" yaml:"gateways,omitempty"`
	// Rate limits, as the guest sees them. Default: none.
	Rate Rate `json:"rate,omitzero" yaml:"rate,omitempty"`
	// MTU of both ends, 68 to 65521, and 1280 or more with an IPv6 address.
	// Default: that of the bridge. A bridge of Linux whose own MTU nobody has set
	// follows the smallest of its ports: set it where cards with a smaller one are.
	MTU int `json:"mtu,omitempty" yaml:"mtu,omitempty"`
	// Isolated NICs exchange no frames with each other, only with the bridge's
	// other ports: guests of different customers on one bridge.
	Isolated bool `json:"isolated,omitempty" yaml:"isolated,omitempty"`
	// AntiSpoof drops frames that do not carry the guest's own addresses: MAC
	// and, where Addresses are set, those and no others.
	// Default: on where the backend has it; where it has not, the status says
	// "not enforced", and asking for it ([On]) is an error.
	AntiSpoof Switch `json:"antiSpoof,omitzero" yaml:"antiSpoof,omitempty"`
}

// Rate limits of a NIC, as the guest sees them: In is what it receives.
type Rate struct {
	In  BitRate `json:"in,omitempty" yaml:"in,omitempty"`
	Out BitRate `json:"out,omitempty" yaml:"out,omitempty"`
}

// DNS is the resolver configuration of a guest: up to 16 servers and 32 domains
// to search, for a guest that has a NIC. Default: the image's own.
type DNS struct {
	Servers []netip.Addr `json:"servers,omitempty" yaml:"servers,omitempty"`
	Search  []string     `json:"search,omitempty" yaml:"search,omitempty"`
}

// Limits stop a guest that shares the host's kernel from eating it.
type Limits struct {
	// Processes, threads included: what stops a fork bomb. Default: none.
	Processes uint64 `json:"processes,omitempty" yaml:"processes,omitempty"`
	// OpenFiles of one process. Default: the system's own.
	OpenFiles uint64 `json:"openFiles,omitempty" yaml:"openFiles,omitempty"`
}

// Access says who may log in. All of it is secret to the library: it reaches
// the guest and nothing else.
type Access struct {
	// User to create or change, who may become root; the image's own default
	// user is then not made. Default: that default user.
	User string `json:"user,omitempty" yaml:"user,omitempty"`
	// AuthorizedKeys are public SSH keys, one line each, up to 256.
	AuthorizedKeys []string `json:"authorizedKeys,omitempty" yaml:"authorizedKeys,omitempty"`
	// PasswordHash is a crypt(5) string; plain passwords are refused.
	PasswordHash string `json:"passwordHash,omitempty" yaml:"passwordHash,omitempty"`
}

// String hides all but the user, because the rest may not reach a log.
func (a Access) String() string {
	return fmt.Sprintf("(access, user %q, %d keys)", a.User, len(a.AuthorizedKeys))
}

// GoString hides what String does.
func (a Access) GoString() string { return a.String() }

// LogValue implements [slog.LogValuer] with String.
func (a Access) LogValue() slog.Value { return slog.StringValue(a.String()) }

// LogValue implements [slog.LogValuer]: a log gets name, image and key, and
// none of the secrets.
func (s Spec) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", s.Name), slog.String("image", s.Image), slog.String("key", s.Key))
}

// Needs are demands on backend and host that no other field expresses.
type Needs struct {
	// OwnKernel demands a guest that does not share the host's kernel.
	OwnKernel bool `json:"ownKernel,omitempty" yaml:"ownKernel,omitempty"`
	// GuaranteedMemory demands that Memory.Guaranteed can be honoured; it
	// implies it.
	GuaranteedMemory bool `json:"guaranteedMemory,omitempty" yaml:"guaranteedMemory,omitempty"`
	// Residency demands a host in this jurisdiction: an ISO 3166-1 alpha-2
	// code, compared with Options.Residency.
	Residency string `json:"residency,omitempty" yaml:"residency,omitempty"`
	// Strict turns every limit that would be "partial" or "not enforced" into
	// an error before anything is made.
	Strict bool `json:"strict,omitempty" yaml:"strict,omitempty"`
}

// Native is a typed set of settings of one backend. Only backends implement
// it. Its fields must be visible to encoding/json, because a Spec with another
// Native is another Spec.
type Native interface {
	// NativeKind is the Info.Kind of the backend that understands it.
	NativeKind() string
	// Validate reports what is wrong; paths are relative to "native".
	Validate() []*FieldError
}

// Switch is a boolean whose zero value is the documented default. Its text form
// is true or false.
type Switch int8

// Values of [Switch].
const (
	Default Switch = iota
	On
	Off
)

// IsZero reports whether the switch is left at its default.
func (s Switch) IsZero() bool { return s == Default }

// String returns "default", "true" or "false".
func (s Switch) String() string {
	switch s {
	case On:
		return "true"
	case Off:
		return "false"
	}
	return "default"
}

// MarshalJSON writes true or false, and null for the default.
func (s Switch) MarshalJSON() ([]byte, error) {
	if s == Default {
		return []byte("null"), nil
	}
	return []byte(s.String()), nil
}

// UnmarshalJSON takes true, false and null.
func (s *Switch) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*s = Default
		return nil
	}
	return s.UnmarshalText(data)
}

// MarshalYAML writes true or false, and null for the default.
func (s Switch) MarshalYAML() (any, error) {
	if s == Default {
		return nil, nil
	}
	return s == On, nil
}

// UnmarshalText takes true and false.
func (s *Switch) UnmarshalText(text []byte) error {
	switch string(text) {
	case "true":
		*s = On
	case "false":
		*s = Off
	default:
		return fmt.Errorf("%q is neither true nor false", clip(string(text)))
	}
	return nil
}

// MAC is an Ethernet address. Its text form is "52:54:00:a1:b2:c3".
type MAC [6]byte

// ParseMAC reads an address of six bytes, separated by colons or hyphens.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("%q is not a MAC address; write it as 52:54:00:a1:b2:c3", clip(s))
	}
	return MAC(hw), nil
}

// IsZero reports whether no address is set.
func (m MAC) IsZero() bool { return m == MAC{} }

// String returns the address in lower case, with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText implements [encoding.TextMarshaler].
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseMAC].
func (m *MAC) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMAC(string(text))
	return err
}

// UserData is the cloud-init user data of a guest. Its text form is the text
// itself; bytes that are not UTF-8, gzip for example, are written as "base64:"
// and their encoding.
type UserData []byte

const base64Prefix = "base64:"

// MarshalText implements [encoding.TextMarshaler].
func (u UserData) MarshalText() ([]byte, error) {
	if utf8.Valid(u) && !strings.HasPrefix(string(u), base64Prefix) {
		return u, nil
	}
	return []byte(base64Prefix + base64.StdEncoding.EncodeToString(u)), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *UserData) UnmarshalText(text []byte) error {
	enc, ok := strings.CutPrefix(string(text), base64Prefix)
	if !ok {
		*u = append(UserData(nil), text...)
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(enc))
	if err != nil {
		return fmt.Errorf("what follows %q is not base64: %w", base64Prefix, err)
	}
	*u = raw
	return nil
}

// String hides the data: it may hold secrets and must not reach a log.
func (u UserData) String() string { return fmt.Sprintf("(user data, %d bytes)", len(u)) }

// GoString hides the data, as String does.
func (u UserData) GoString() string { return u.String() }

// LogValue implements [slog.LogValuer] with String.
func (u UserData) LogValue() slog.Value { return slog.StringValue(u.String()) }
