package kvm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Bounds on what is asked for addresses. The agent is a program of the tenant: it
// may not answer, or say anything.
const (
	// tellTime is how long an agent's answer may take, after syncTime. sourceTimeout
	// bounds each source and is not shorter than both, so that no call about an agent
	// goes on in libvirtd when we have given it up.
	tellTime      = 3 * time.Second
	sourceTimeout = syncTime + tellTime
	// leaseTimeout is for lists, which do not wait for the network driver.
	leaseTimeout = 2 * time.Second
	maxAddresses = 256       // of one guest, from one source
	maxAgentText = 256 << 10 // bytes of an agent's answer
)

// Addresses implements [provision.Addresser]. The sources are asked at the same
// time, each on a connection of its own.
func (b *Backend) Addresses(ctx context.Context, id provision.ID) (provision.Addresses, error) {
	d, err := domainOf(id)
	if err != nil {
		return provision.Addresses{}, err
	}
	var macs []provision.MAC
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		text, err := l.DomainGetXMLDesc(d, 0) // as it runs: NICs may be there only until it stops
		if err != nil {
			return err
		}
		inv, err := domainxml.Read([]byte(text))
		if err != nil {
			return err
		}
		macs = nil
		for _, n := range inv.NICs {
			if mac, err := provision.ParseMAC(n.MAC); err == nil {
				macs = append(macs, mac)
			}
		}
		return nil
	})
	if err != nil {
		return provision.Addresses{}, err
	}
	sources := []struct {
		name provision.AddressSource
		ask  func(context.Context) ([]provision.Address, error)
	}{
		{provision.SourceLease, func(ctx context.Context) ([]provision.Address, error) {
			all, err := b.leases(ctx)
			return slices.DeleteFunc(all, func(a provision.Address) bool { return !slices.Contains(macs, a.MAC) }), err
		}},
		{provision.SourceAgent, func(ctx context.Context) ([]provision.Address, error) {
			return b.told(ctx, id, macs)
		}},
		{provision.SourceARP, func(ctx context.Context) ([]provision.Address, error) {
			return b.heard(ctx, d, macs)
		}},
	}
	most := min(sourceTimeout, b.opts.Timeout)
	found := make([][]provision.Address, len(sources))
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, most, errSilent)
			defer cancel()
			found[i], errs[i] = s.ask(ctx)
		})
	}
	wg.Wait()
	var all provision.Addresses
	for i, s := range sources {
		if errs[i] != nil {
			all.Failed = append(all.Failed, provision.FailedSource{Source: s.name, Reason: sourceReason(s.name, errs[i], most)})
		}
		all.Found = append(all.Found, found[i]...)
	}
	if ctx.Err() != nil {
		return provision.Addresses{}, ended(ctx)
	}
	return all, nil
}

var errSilent = fmt.Errorf("%w: there was no answer in time", provision.ErrUnavailable)

// sourceReason says why a source failed: the frequent cases in words of ours.
func sourceReason(s provision.AddressSource, err error, most time.Duration) string {
	switch {
	case errors.Is(err, errNoAgent):
		return "no agent answers in the guest"
	case hasCode(err, libvirt.ErrOperationInvalid):
		return "the guest does not run"
	case s == provision.SourceAgent && hasCode(err, libvirt.ErrArgumentUnsupported):
		return "the guest has no channel for an agent"
	case s == provision.SourceAgent && errors.Is(err, errSilent):
		return fmt.Sprintf("the agent in the guest did not answer within %s", most)
	}
	return harmless(err)
}

// harmless is the text of an error, in which libvirt may quote what an agent said.
func harmless(err error) string {
	text := err.Error()
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// heard asks libvirt for what is in the host's ARP table.
func (b *Backend) heard(ctx context.Context, d libvirt.Domain, macs []provision.MAC) ([]provision.Address, error) {
	var nics []libvirt.DomainInterface
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		nics, err = l.DomainInterfaceAddresses(d, uint32(libvirt.DomainInterfaceAddressesSrcArp), 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return seenOn(nics, macs, provision.SourceARP)
}

// told asks the agent. DomainInterfaceAddresses could do that too, but waits for
// its answer for ever, on one of libvirtd's workers: a tenant could take them all.
func (b *Backend) told(ctx context.Context, id provision.ID, macs []provision.MAC) ([]provision.Address, error) {
	var text json.RawMessage
	err := b.agent(ctx, id, agentCall{command: "guest-network-get-interfaces", most: tellTime}, &text)
	if err != nil {
		return nil, err
	}
	nics, err := agentNICs(text)
	if err != nil {
		return nil, err
	}
	return seenOn(nics, macs, provision.SourceAgent)
}

// agentNICs reads what guest-network-get-interfaces returns, as QEMU's guest agent
// documents it.
func agentNICs(text []byte) ([]libvirt.DomainInterface, error) {
	if len(text) > maxAgentText {
		return nil, fmt.Errorf("the agent's answer has %d bytes, more than any honest one", len(text))
	}
	var list []struct {
		MAC       string `json:"hardware-address"`
		Addresses []struct {
			Address string `json:"ip-address"`
			Bits    uint32 `json:"prefix"`
		} `json:"ip-addresses"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, errors.New("the agent's answer is not what it should be") // whose text is the tenant's
	}
	nics := make([]libvirt.DomainInterface, len(list))
	for i, n := range list {
		nics[i].Hwaddr = libvirt.OptString{n.MAC}
		for _, a := range n.Addresses {
			nics[i].Addrs = append(nics[i].Addrs, libvirt.DomainIPAddr{Addr: a.Address, Prefix: a.Bits})
		}
	}
	return nics, nil
}

// seenOn returns addresses of NICs that the domain has. What a guest has beside
// them, bridges of its containers and the like, is nothing that others can reach.
func seenOn(nics []libvirt.DomainInterface, macs []provision.MAC, as provision.AddressSource) (list []provision.Address, err error) {
	for _, n := range nics {
		mac, ok := macOf(n.Hwaddr)
		if !ok || !slices.Contains(macs, mac) {
			continue
		}
		for _, a := range n.Addrs {
			if p, ok := addressOf(a.Addr, a.Prefix); ok {
				list = append(list, provision.Address{Address: p, MAC: mac, Source: as})
			}
			if len(list) > maxAddresses {
				return nil, fmt.Errorf("it tells more than %d addresses, which nobody has", maxAddresses)
			}
		}
	}
	return once(list), nil
}

// once sorts addresses and drops what comes twice.
func once(list []provision.Address) []provision.Address {
	slices.SortFunc(list, func(a, b provision.Address) int {
		return cmp.Or(slices.Compare(a.MAC[:], b.MAC[:]), a.Address.Addr().Compare(b.Address.Addr()), cmp.Compare(a.Address.Bits(), b.Address.Bits()))
	})
	return slices.Compact(list)
}

func macOf(text libvirt.OptString) (provision.MAC, bool) {
	if len(text) != 1 || len(text[0]) > 32 {
		return provision.MAC{}, false
	}
	mac, err := provision.ParseMAC(text[0])
	return mac, err == nil
}

// addressOf takes an address that others can reach, and no other text. Sources
// that do not know the length of a prefix give 0.
func addressOf(text string, bits uint32) (netip.Prefix, bool) {
	if len(text) > 64 {
		return netip.Prefix{}, false
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return netip.Prefix{}, false
	}
	if bits == 0 || int64(bits) > int64(a.BitLen()) {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.PrefixFrom(a, int(bits)), true
}

// leases returns what the DHCP servers of libvirt's own networks have leased: one
// call for each of them, however many guests there are.
func (b *Backend) leases(ctx context.Context) (list []provision.Address, err error) {
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		nets, _, err := l.ConnectListAllNetworks(1, libvirt.ConnectListNetworksActive)
		if err != nil {
			return err
		}
		list = nil
		for _, n := range nets {
			leases, _, err := l.NetworkGetDhcpLeases(n, nil, 1, 0)
			if hasCode(err, libvirt.ErrNoNetwork) {
				continue // gone since
			}
			if err != nil {
				return err
			}
			for _, lease := range leases {
				mac, ok := macOf(lease.Mac)
				p, valid := addressOf(lease.Ipaddr, lease.Prefix)
				if ok && valid {
					list = append(list, provision.Address{Address: p, MAC: mac, Source: provision.SourceLease})
				}
			}
		}
		return nil
	})
	return once(list), err
}

// addLeases adds the leased addresses to a list. A network driver that is not
// there or does not answer keeps nobody from a list.
func (b *Backend) addLeases(ctx context.Context, list []provision.Found) {
	ctx, cancel := context.WithTimeoutCause(ctx, min(leaseTimeout, b.opts.Timeout), errSilent)
	defer cancel()
	leases, err := b.leases(ctx)
	if err != nil {
		b.opts.Logger.DebugContext(ctx, "leases cannot be read", "err", err)
		return
	}
	if len(leases) == 0 {
		return
	}
	of := map[provision.MAC][]netip.Prefix{}
	for _, a := range leases {
		of[a.MAC] = append(of[a.MAC], a.Address)
	}
	for i := range list {
		st := &list[i].Status
		for _, n := range st.NICs {
			st.Addresses = append(st.Addresses, of[n.MAC]...)
		}
	}
}
