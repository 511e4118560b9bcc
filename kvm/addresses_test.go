package kvm

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// What an agent says is the tenant's: only addresses pass, of NICs that the guest
// has.
func TestSeenOn(t *testing.T) {
	ours := provision.MAC{0x52, 0x54, 0, 0, 0, 1}
	addr := func(text string, bits uint32) libvirt.DomainIPAddr {
		return libvirt.DomainIPAddr{Addr: text, Prefix: bits}
	}
	nics := []libvirt.DomainInterface{
		{Name: "lo", Addrs: []libvirt.DomainIPAddr{addr("127.0.0.1", 8)}},
		{Name: "\x1b[2J", Hwaddr: libvirt.OptString{"52:54:00:00:00:01"}, Addrs: []libvirt.DomainIPAddr{
			addr("192.0.2.10", 24), addr("192.0.2.10", 24), addr("2001:db8::10", 64), addr("::ffff:192.0.2.11", 0), addr("192.0.2.12", 4_000_000_000),
			addr("127.0.0.1", 8), addr("::1", 128), addr("fe80::1", 64), addr("169.254.1.1", 16), addr("224.0.0.1", 4), addr("0.0.0.0", 0), addr("::", 0),
			addr("fe80::1%eth0", 64), addr("2001:db8::1%\x1b[2J", 64), addr("", 0), addr("192.0.2", 24), addr("$(reboot)", 24), addr("192.0.2.10/24", 24),
		}},
		{Name: "docker0", Hwaddr: libvirt.OptString{"02:42:00:00:00:01"}, Addrs: []libvirt.DomainIPAddr{addr("172.17.0.1", 16)}},
		{Name: "eth1", Hwaddr: libvirt.OptString{"nonsense"}, Addrs: []libvirt.DomainIPAddr{addr("192.0.2.99", 24)}},
		{Name: "eth2", Hwaddr: libvirt.OptString{}, Addrs: []libvirt.DomainIPAddr{addr("192.0.2.99", 24)}},
	}
	have, err := seenOn(nics, []provision.MAC{ours}, provision.SourceAgent)
	require.NoError(t, err)
	var want []provision.Address
	for _, p := range prefixes("192.0.2.10/24", "192.0.2.11/32", "192.0.2.12/32", "2001:db8::10/64") {
		want = append(want, provision.Address{Address: p, MAC: ours, Source: provision.SourceAgent})
	}
	require.Empty(t, cmp.Diff(want, have, cmpopts.EquateComparable(netip.Prefix{})))

	var many []libvirt.DomainIPAddr
	for i := range 2000 {
		many = append(many, addr(fmt.Sprintf("2001:db8::%x", i+1), 64))
	}
	_, err = seenOn([]libvirt.DomainInterface{{Hwaddr: libvirt.OptString{ours.String()}, Addrs: many}}, []provision.MAC{ours}, provision.SourceAgent)
	require.ErrorContains(t, err, "more than 256 addresses")
}

// TestAgentNICs: the first answer is what the guest agent of QEMU 7.2 says.
func TestAgentNICs(t *testing.T) {
	nics, err := agentNICs([]byte(`[{"name":"lo","ip-addresses":[{"ip-address-type":"ipv4","ip-address":"127.0.0.1","prefix":8}],"hardware-address":"00:00:00:00:00:00"},` +
		`{"name":"eth0","ip-addresses":[{"ip-address-type":"ipv4","ip-address":"192.0.2.10","prefix":24}],"statistics":{"tx-packets":5},"hardware-address":"52:54:00:00:00:01"},{"name":"sit0"}]`))
	require.NoError(t, err)
	have, err := seenOn(nics, []provision.MAC{{0x52, 0x54, 0, 0, 0, 1}}, provision.SourceAgent)
	require.NoError(t, err)
	require.Len(t, have, 1)
	require.Equal(t, "192.0.2.10/24", have[0].Address.String())
	for _, text := range []string{
		"", "{", `"\u001b"`, `{}`, `[1]`, `[{"ip-addresses":[{"prefix":-1}]}]`, `[{"ip-addresses":[{"prefix":1e99}]}]`,
		`["` + strings.Repeat("x", maxAgentText) + `"]`,
	} {
		_, err := agentNICs([]byte(text))
		require.Error(t, err, "%.50s", text)
		require.NotContains(t, err.Error(), "\x1b")
	}
	for _, text := range []string{`[]`, `[null]`, `[{"hardware-address":"52:54:00:00:00:01","ip-addresses":null}]`} {
		nics, err := agentNICs([]byte(text))
		require.NoError(t, err, text)
		have, err := seenOn(nics, []provision.MAC{{0x52, 0x54, 0, 0, 0, 1}}, provision.SourceAgent)
		require.NoError(t, err)
		require.Empty(t, have)
	}
}

func TestSourceReason(t *testing.T) {
	answer := func(code libvirt.ErrorNumber) error {
		return classify(libvirt.Error{Code: uint32(code), Message: "native"})
	}
	for _, c := range []struct {
		source provision.AddressSource
		err    error
		want   string
	}{
		{provision.SourceAgent, answer(libvirt.ErrOperationInvalid), "the guest does not run"},
		{provision.SourceARP, answer(libvirt.ErrOperationInvalid), "the guest does not run"},
		{provision.SourceAgent, answer(libvirt.ErrArgumentUnsupported), "the guest has no channel for an agent"},
		{provision.SourceAgent, &agentError{errNoAgent, answer(libvirt.ErrAgentUnresponsive)}, "no agent answers in the guest"},
		{provision.SourceAgent, errSilent, "the agent in the guest did not answer within 7s"},
		{provision.SourceLease, errSilent, "hypervisor unavailable: there was no answer in time"},
		{provision.SourceARP, errors.New("other"), "other"},
		{provision.SourceAgent, errors.New("\x1b[2J" + strings.Repeat("é", 400)), "?[2J" + strings.Repeat("é", 248) + "…"},
	} {
		require.Equal(t, c.want, sourceReason(c.source, c.err, 7*time.Second))
	}
}
