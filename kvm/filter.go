package kvm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// filter is an nwfilter of ours: rules of ebtables about what a guest sends. The
// addresses are parameters of each NIC, so that one filter serves all guests of a
// host, and nothing is left when one goes. What a name stands for never changes:
// it ends in a digest of the rules.
type filter struct {
	ipv4, ipv6  bool // addresses of that family are set
	name, text  string
	enforcement provision.Enforcement
	reason      string
}

// Rules, each of them one run of ebtables when a guest starts, which is why there
// are few. All but the first two are about what a frame claims to be; libvirt
// evaluates by priority, and ebtables stops at the first that fits. A rule may
// name one variable only: libvirt refuses lists of unequal length in one.
//
// Source: https://libvirt.org/formatnwfilter.html; measured with libvirt 9.0.
var (
	rulesAlways = []string{
		drop(100, `<mac match='no' srcmacaddr='$MAC'/>`),
		drop(100, `<arp match='no' arpsrcmacaddr='$MAC'/>`),
		// QEMU announces a guest that has been migrated here.
		accept(300, `<rarp opcode='Request_Reverse' arpsrcmacaddr='$MAC' arpdstmacaddr='$MAC' arpsrcipaddr='0.0.0.0' arpdstipaddr='0.0.0.0'/>`),
	}
	// Clients of DHCP look at the port that an answer goes to, and relays at the
	// one that it comes from.
	rulesDHCP4 = []string{
		drop(200, `<ip protocol='udp' srcportstart='67'/>`),
		drop(200, `<ip protocol='udp' dstportstart='68'/>`),
	}
	rulesIPv4 = []string{
		accept(300, `<arp arpsrcipaddr='$IP'/>`),
		accept(300, `<arp arpsrcipaddr='0.0.0.0'/>`), // a probe (RFC 5227)
		accept(300, `<ip srcipaddr='$IP'/>`),
	}
	rulesRouter6 = []string{
		drop(200, `<ipv6 protocol='udp' srcportstart='547'/>`), // DHCPv6 server
		drop(200, `<ipv6 protocol='udp' dstportstart='546'/>`),
		drop(200, `<ipv6 protocol='icmpv6' type='134'/>`), // router advertisement
		drop(200, `<ipv6 protocol='icmpv6' type='137'/>`), // redirect
	}
	// What a link-local address may send is listed: router advertisements and
	// redirects are obeyed from such alone (RFC 4861, 6.1.2 and 8.1), and one that
	// hides behind extension headers fits none of these.
	rulesIPv6 = []string{
		accept(300, `<ipv6 srcipaddr='$IPV6'/>`),
		accept(300, `<ipv6 srcipaddr='$LINKLOCAL' protocol='tcp'/>`),
		accept(300, `<ipv6 srcipaddr='$LINKLOCAL' protocol='udp'/>`),
		accept(300, `<ipv6 srcipaddr='$LINKLOCAL' protocol='icmpv6' type='128' typeend='136'/>`), // echo to neighbour advertisement
		accept(300, `<ipv6 srcipaddr='$LINKLOCAL' protocol='icmpv6' type='143'/>`),               // MLDv2 report
		accept(300, `<ipv6 srcipaddr='::' protocol='icmpv6' type='135'/>`),                       // is this address taken?
		accept(300, `<ipv6 srcipaddr='::' protocol='icmpv6' type='143'/>`),
	}
	rulesAnyAddress = []string{accept(300, `<arp/>`), accept(300, `<ip/>`), accept(300, `<ipv6/>`)}
	// The rest: foreign addresses, and whatever is not ARP, IPv4 or IPv6, as
	// frames with a VLAN tag of the guest's own, spanning tree, PPPoE.
	ruleRest = "  <rule action='drop' direction='out' priority='1000'/>\n"
)

func drop(priority int, match string) string   { return rule("drop", priority, match) }
func accept(priority int, match string) string { return rule("accept", priority, match) }

func rule(action string, priority int, match string) string {
	return fmt.Sprintf("  <rule action='%s' direction='out' priority='%d'>\n    %s\n  </rule>\n", action, priority, match)
}

// filters are all of ours.
var filters = []*filter{
	newFilter("mac", false, false, rulesDHCP4, rulesRouter6, rulesAnyAddress),
	newFilter("ipv4", true, false, rulesDHCP4, rulesIPv4),
	newFilter("ipv6", false, true, rulesRouter6, rulesIPv6),
	newFilter("dual", true, true, rulesDHCP4, rulesRouter6, rulesIPv4, rulesIPv6),
}

const (
	filterPrefix = "provision-"
	noAddresses  = "no addresses are set, so the guest's MAC is enforced, and that it is neither DHCP server nor router, but no IP address"
	noTarget     = "neighbour advertisements pass from the guest's own addresses whatever address they are about: ebtables does not look that far"
)

func newFilter(kind string, ipv4, ipv6 bool, groups ...[]string) *filter {
	rules := strings.Join(slices.Concat(slices.Concat(append([][]string{rulesAlways}, groups...)...), []string{ruleRest}), "")
	sum := sha256.Sum256([]byte(rules))
	f := &filter{ipv4: ipv4, ipv6: ipv6, name: filterPrefix + kind + "-" + hex.EncodeToString(sum[:4]), enforcement: provision.Enforced}
	// The same UUID from all processes: to define it twice at once is to define it once.
	f.text = fmt.Sprintf("<filter name='%s' chain='root'>\n  <uuid>%s</uuid>\n%s</filter>\n", f.name, uuid.NewSHA1(uuid.NameSpaceURL, []byte(namespace+"/"+f.name)), rules)
	switch {
	case ipv6:
		f.enforcement, f.reason = provision.Partial, noTarget
	case !ipv4:
		f.enforcement, f.reason = provision.Partial, noAddresses
	}
	return f
}

// filterFor returns the filter of a NIC, or nil where there is none: because it
// was switched off, or because there can be none.
func (b *Backend) filterFor(n *provision.NIC) *filter {
	if n.AntiSpoof == provision.Off || b.isOVS(n.Bridge) || b.noFilters.Load() {
		return nil
	}
	ipv4, ipv6 := false, false
	for _, a := range n.Addresses {
		ipv4, ipv6 = ipv4 || a.Addr().Is4(), ipv6 || a.Addr().Is6()
	}
	i := slices.IndexFunc(filters, func(f *filter) bool { return f.ipv4 == ipv4 && f.ipv6 == ipv6 })
	return filters[i]
}

func filterByName(name string) *filter {
	i := slices.IndexFunc(filters, func(f *filter) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return filters[i]
}

// parameters are the addresses of a NIC; MAC is one that libvirt adds.
func (f *filter) parameters(n *provision.NIC) []domainxml.FilterParameter {
	var list []domainxml.FilterParameter
	for _, a := range n.Addresses {
		name := "IPV6"
		if a.Addr().Is4() {
			name = "IP"
		}
		list = append(list, domainxml.FilterParameter{Name: name, Value: a.Addr().String()})
	}
	if f.ipv6 {
		list = append(list, domainxml.FilterParameter{Name: "LINKLOCAL", Value: linkLocal(n.MAC).String()})
	}
	return list
}

// linkLocal is the address that a guest gives itself, by its MAC (RFC 4291,
// appendix A).
func linkLocal(m provision.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// same says whether a document of libvirtd is this filter.
func (f *filter) same(doc string) bool {
	have, err := filterWords(doc)
	if err != nil {
		return false
	}
	want, err := filterWords(f.text)
	return err == nil && slices.Equal(have, want)
}

// filterWords are the elements of a filter, with attributes in order and numbers
// in decimal.
func filterWords(doc string) ([]string, error) {
	var words []string
	for dec := xml.NewDecoder(strings.NewReader(doc)); ; {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return words, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			slices.SortFunc(t.Attr, func(a, b xml.Attr) int { return strings.Compare(a.Name.Local, b.Name.Local) })
			words = append(words, "<"+t.Name.Local)
			for _, a := range t.Attr {
				if n, err := strconv.ParseUint(a.Value, 0, 32); err == nil {
					a.Value = strconv.FormatUint(n, 10)
				}
				words = append(words, a.Name.Local+"="+a.Value)
			}
		case xml.EndElement:
			words = append(words, ">")
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" {
				words = append(words, text)
			}
		}
	}
}
