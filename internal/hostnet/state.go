package hostnet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// State is what the kernel has of all NICs of a host at one time. It does not change,
// and may be used by several goroutines.
type State struct {
	links   map[string]*Link
	indexes map[int]*Link
	rates   map[int]uint64 // of root tbf queues, in bytes per second
	vlans   map[int][]vlan
	rules   ruleset
	noRules error // why the rules are not known
}

// vlan is one of a bridge's port.
type vlan struct {
	id    int
	whole bool // for frames without a tag, both ways
}

// Link returns the device of that name.
func (s *State) Link(name string) (Link, bool) {
	l := s.links[name]
	if l == nil {
		return Link{}, false
	}
	return *l, true
}

// Counters of the NIC as its guest sees them, and whether it is there.
func (s *State) Counters(n *NIC) (Counters, bool) {
	l, ok := s.Link(n.Device())
	return l.Counters.Peer(), ok
}

// Errors of [State.Bridge].
var (
	ErrNoBridge  = errors.New("there is no such device")
	ErrNotBridge = errors.New("it is not a bridge of Linux")
)

// Bridge returns the bridge of that name, or ErrNoBridge or ErrNotBridge. It may be
// down.
func (s *State) Bridge(name string) (Link, error) {
	l, ok := s.Link(name)
	switch {
	case !ok:
		return l, fmt.Errorf("bridge %s: %w; make it in the network configuration of the host", name, ErrNoBridge)
	case l.Kind == "openvswitch":
		return l, fmt.Errorf("bridge %s: %w but one of Open vSwitch, whose ports this package cannot filter; use a bridge of Linux", name, ErrNotBridge)
	case l.Kind != "bridge":
		return l, fmt.Errorf("bridge %s: %w; make one of another name with the device as a port", name, ErrNotBridge)
	}
	return l, nil
}

// Enforced says of each thing that is asked of the NIC how far the kernel has it in
// force. Of rules it is compared that they are the ones of this version, in their
// order and on the NIC's device: each carries a digest in its comment. What somebody
// makes with our comments by intent is not seen.
func (s *State) Enforced(n *NIC) []Feature {
	list := []Feature{s.bridge(n)}
	if n.VLAN != 0 {
		list = append(list, s.vlan(n))
	}
	if n.MTU != 0 {
		list = append(list, s.mtu(n))
	}
	if n.In != 0 {
		list = append(list, s.rate("rate.in", n.In, n.Device()))
	}
	if n.Out != 0 {
		list = append(list, s.out(n))
	}
	if n.Isolated {
		list = append(list, s.isolated(n))
	}
	if n.AntiSpoof {
		list = append(list, s.antiSpoof(n))
	}
	if s.links[n.Device()] == nil {
		for i := range list {
			list[i].Have, list[i].Enforcement, list[i].Reason = "", NotEnforced, noPort
		}
	}
	return list
}

// judge makes a Feature of which the kernel has all or nothing.
func judge(name, want, have, reason string) Feature {
	if want == have {
		return Feature{Name: name, Want: want, Have: have, Enforcement: Enforced}
	}
	return Feature{Name: name, Want: want, Have: have, Enforcement: NotEnforced, Reason: reason}
}

// port is the NIC's device, or one of nothing.
func (s *State) port(n *NIC) Link {
	l, _ := s.Link(n.Device())
	return l
}

func (s *State) bridge(n *NIC) Feature {
	have := ""
	if b := s.indexes[s.port(n).Master]; b != nil {
		have = b.Name
	}
	return judge("bridge", n.Bridge, have, "the NIC is plugged into another bridge, or none")
}

func (s *State) mtu(n *NIC) Feature {
	return judge("mtu", strconv.Itoa(n.MTU), strconv.Itoa(s.port(n).MTU), "the host's side has another MTU")
}

func (s *State) isolated(n *NIC) Feature {
	return judge("isolated", "true", strconv.FormatBool(s.port(n).Isolated), "the bridge's port is not isolated")
}

func (s *State) vlan(n *NIC) Feature {
	f := Feature{Name: "vlan", Want: strconv.Itoa(n.VLAN)}
	list := s.vlans[s.port(n).Index]
	if len(list) == 1 {
		f.Have = strconv.Itoa(list[0].id)
	}
	switch b := s.links[n.Bridge]; {
	case b == nil || !b.VLANFiltering:
		f.Reason = "the bridge does not filter VLANs (vlan_filtering)"
	case !slices.Equal(list, []vlan{{n.VLAN, true}}):
		f.Reason = "the bridge's port is in other VLANs"
	default:
		f.Enforcement = Enforced
	}
	return f
}

func (s *State) rate(name string, want uint64, device string) Feature {
	var have uint64
	if l := s.links[device]; l != nil {
		have = s.rates[l.Index]
	}
	return judge(name, strconv.FormatUint(want/8*8, 10), strconv.FormatUint(have*8, 10), noQueue)
}

// out is in force only where the rules send frames to the queue.
func (s *State) out(n *NIC) Feature {
	f := s.rate("rate.out", n.Out, n.shaper())
	l := s.links[n.shaper()]
	switch reason := s.lacksRules(n); {
	case f.Enforcement != Enforced:
	case !l.Up:
		f.Enforcement, f.Reason = NotEnforced, "the device of its queue is down, so that nothing that the guest sends arrives"
	case reason != "":
		f.Enforcement, f.Reason = NotEnforced, reason
	}
	return f
}

func (s *State) antiSpoof(n *NIC) Feature {
	f := Feature{Name: "antiSpoof", Want: "true", Have: "true", Enforcement: Enforced}
	switch reason := s.lacksRules(n); {
	case reason != "":
		f.Have, f.Enforcement, f.Reason = "", NotEnforced, reason
	case len(n.Addresses) == 0:
		f.Enforcement, f.Reason = Partial, noAddresses
	}
	return f
}

// lacksRules says why the NIC's rules are not in force, or "".
func (s *State) lacksRules(n *NIC) string {
	c := s.rules[Table(n.Guest)][chain(n.Index)]
	var want []string
	for _, r := range n.rules() {
		want = append(want, ruleKey(r.verdict, r.comment()))
	}
	switch {
	case s.noRules != nil:
		return "the kernel does not tell: " + s.noRules.Error()
	case c == nil:
		return noChain
	case !c.atIngress || !slices.Equal(c.devices, []string{n.Device()}) || c.drops != n.AntiSpoof || !slices.Equal(c.rules, want):
		return otherRules
	}
	return ""
}
