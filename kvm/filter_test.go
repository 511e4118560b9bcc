package kvm

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

// The name of a filter stands for its rules on all hosts, for good: rules that
// change get a new name and so a new file here.
func TestFilterGolden(t *testing.T) {
	names, ids := map[string]bool{}, map[string]bool{}
	for _, f := range filters {
		golden.Check(t, "filter/"+f.name+".xml", f.text)
		var x libvirtxml.NWFilter
		require.NoError(t, x.Unmarshal(f.text))
		require.Equal(t, f.name, x.Name)
		names[x.Name], ids[x.UUID] = true, true
		last := x.Entries[len(x.Entries)-1].Rule
		require.Equal(t, "drop", last.Action, "what nothing lets pass is dropped")
		require.Equal(t, 1000, last.Priority)
		require.Equal(t, f.ipv4, strings.Contains(f.text, "'$IP'"), "libvirt learns addresses of its own where IP is named and not set")
		require.Equal(t, f.ipv6, strings.Contains(f.text, "$IPV6"))
		for _, line := range strings.Split(f.text, "\n") {
			vars := map[string]bool{}
			for _, v := range regexp.MustCompile(`\$\w+`).FindAllString(line, -1) {
				vars[v] = true
			}
			require.LessOrEqual(t, len(vars), 1, "%s: libvirt refuses lists of unequal length in one rule", line)
		}
	}
	require.Len(t, names, 4)
	require.Len(t, ids, 4)
}

func TestFilterSame(t *testing.T) {
	f := filters[3]
	for name, doc := range map[string]string{
		"itself":           f.text,
		"other spaces":     strings.ReplaceAll(f.text, "\n", "\n\n\t "),
		"a comment":        strings.Replace(f.text, "<rule", "<!-- x --><rule", 1),
		"other quotes":     strings.ReplaceAll(f.text, "'", `"`),
		"attribute order":  strings.ReplaceAll(f.text, "action='drop' direction='out'", "direction='out' action='drop'"),
		"a number in hex":  strings.ReplaceAll(f.text, "'134'", "'0x86'"),
		"open and closed":  strings.ReplaceAll(f.text, "type='134'/>", "type='134'></ipv6>"),
		"an XML statement": "<?xml version='1.0'?>" + f.text,
	} {
		require.True(t, f.same(doc), name)
	}
	for name, doc := range map[string]string{
		"":                  "",
		"another":           filters[0].text,
		"a number":          strings.ReplaceAll(f.text, "'134'", "'135'"),
		"an action":         strings.Replace(f.text, "drop", "accept", 1),
		"a rule less":       strings.Replace(f.text, drop(200, `<ipv6 protocol='icmpv6' type='134'/>`), "", 1),
		"a rule more":       strings.Replace(f.text, "</uuid>", "</uuid>"+accept(1, "<all/>"), 1),
		"a reference":       strings.Replace(f.text, "</uuid>", "</uuid><filterref filter='allow-arp'/>", 1),
		"an attribute":      strings.Replace(f.text, "chain='root'", "chain='root' priority='5'", 1),
		"a text":            strings.Replace(f.text, "</uuid>", "</uuid>x", 1),
		"it cannot be read": f.text[:len(f.text)-5],
	} {
		require.False(t, f.same(doc), name)
	}
}

func TestFilterFor(t *testing.T) {
	b := New(&Options{OpenVSwitch: []string{"ovs0"}})
	with := func(list ...string) *provision.NIC {
		n := nic(1, prefixes(list...), nil)
		return &n
	}
	for i, n := range []*provision.NIC{with(), with("192.0.2.10/24"), with("2001:db8::10/64"), with("2001:db8::10/64", "192.0.2.10/24")} {
		f := b.filterFor(n)
		require.Same(t, filters[i], f)
		require.Same(t, f, filterByName(f.name))
		n.AntiSpoof = provision.Off
		require.Nil(t, b.filterFor(n))
		n.AntiSpoof, n.Bridge = provision.Default, "ovs0"
		require.Nil(t, b.filterFor(n))
	}
	require.Empty(t, filters[0].parameters(with()), "MAC is libvirt's to add")
	require.Equal(t, []domainxml.FilterParameter{{Name: "IPV6", Value: "2001:db8::10"}, {Name: "IP", Value: "192.0.2.10"}, {Name: "IP", Value: "192.0.2.11"},
		{Name: "LINKLOCAL", Value: "fe80::5054:ff:fea1:b201"}}, filters[3].parameters(with("2001:db8::10/64", "192.0.2.10/24", "192.0.2.11/32")))
	require.Equal(t, "fe80::9892:20ff:fe36:1234", linkLocal(provision.MAC{0x9a, 0x92, 0x20, 0x36, 0x12, 0x34}).String())
	b.noFilters.Store(true)
	require.Nil(t, b.filterFor(with()))
}

// TestAntiSpoofLimit: what is said of a filter follows from the definition and
// from what is in force.
func TestAntiSpoofLimit(t *testing.T) {
	v4 := filters[1].name
	all := func(bound string) *filterState {
		return &filterState{bound: map[string]string{"tap0": bound}, changed: map[string]bool{v4: false}}
	}
	for name, c := range map[string]struct {
		nic    domainxml.NICItem
		state  provision.State
		force  *filterState
		want   provision.Enforcement
		reason string
	}{
		"off":                     {domainxml.NICItem{Filter: v4}, provision.StateStopped, all(""), provision.Enforced, ""},
		"running":                 {domainxml.NICItem{Filter: v4}, provision.StateRunning, all(v4), provision.Enforced, ""},
		"paused":                  {domainxml.NICItem{Filter: v4}, provision.StatePaused, all(v4), provision.Enforced, ""},
		"not bound":               {domainxml.NICItem{Filter: v4}, provision.StateRunning, all(""), provision.NotEnforced, "not bound"},
		"bound another":           {domainxml.NICItem{Filter: v4}, provision.StatePaused, all("clean-traffic"), provision.NotEnforced, "not bound"},
		"rules changed":           {domainxml.NICItem{Filter: v4}, provision.StateRunning, &filterState{bound: map[string]string{"tap0": v4}, changed: map[string]bool{v4: true}}, provision.NotEnforced, "rules were changed"},
		"no answer":               {domainxml.NICItem{Filter: v4}, provision.StateStopped, &filterState{unknown: errors.New("broken")}, provision.NotEnforced, "broken"},
		"IPv6":                    {domainxml.NICItem{Filter: filters[2].name}, provision.StateStopped, all(""), provision.Partial, "neighbour advertisements"},
		"both":                    {domainxml.NICItem{Filter: filters[3].name}, provision.StateRunning, all(filters[3].name), provision.Partial, "neighbour advertisements"},
		"no addresses":            {domainxml.NICItem{Filter: filters[0].name}, provision.StateStopped, all(""), provision.Partial, "no addresses"},
		"no filter":               {domainxml.NICItem{}, provision.StateRunning, all(""), provision.NotEnforced, noFilter},
		"of another version":      {domainxml.NICItem{Filter: "provision-ipv4-00000000"}, provision.StateStopped, all(""), provision.Partial, "another version"},
		"foreign":                 {domainxml.NICItem{Filter: "clean-traffic"}, provision.StateStopped, all(""), provision.NotEnforced, "not one of this library"},
		"on Open vSwitch":         {domainxml.NICItem{VirtualPort: "openvswitch"}, provision.StateRunning, all(""), provision.NotEnforced, "Open vSwitch"},
		"useless on Open vSwitch": {domainxml.NICItem{VirtualPort: "openvswitch", Filter: v4}, provision.StateRunning, all(v4), provision.NotEnforced, "Open vSwitch"},
	} {
		st := &provision.Status{State: c.state, NICs: []provision.NICStatus{{Device: "tap0"}}, Limits: []provision.Limit{{Path: "memory.size"}, antiSpoof(0, c.nic)}}
		c.force.confirm(st)
		require.Equal(t, provision.Limit{Path: "memory.size"}, st.Limits[0], name)
		l := st.Limits[1]
		require.Equal(t, "nics[0].antiSpoof", l.Path)
		require.Equal(t, c.want, l.Enforcement, "%s: %s", name, l.Reason)
		require.Contains(t, l.Reason, c.reason, name)
		require.Equal(t, c.want == provision.Enforced, l.Reason == "", name)
	}
	st := &provision.Status{Limits: []provision.Limit{{Path: "memory.size"}, antiSpoof(0, domainxml.NICItem{})}}
	(*filterState)(nil).confirm(st)
	require.Empty(t, cmp.Diff([]provision.Limit{{Path: "memory.size"}}, st.Limits), "without a driver it is for Host to say so")
}

func TestFiltersOfABrokenDaemon(t *testing.T) {
	s, err := new(filterState).orUnknown(libvirt.Error{Code: 38, Message: "no"})
	require.NoError(t, err)
	require.ErrorContains(t, s.unknown, "no")
	_, err = new(filterState).orUnknown(libvirt.ErrInterrupted)
	require.ErrorIs(t, err, libvirt.ErrInterrupted, "a lost connection is not an answer")
}

// Only libvirtd itself can say that it has no filters: a driver that fails is asked
// again by what needs it.
func TestLacksFilters(t *testing.T) {
	var log bytes.Buffer
	b := New(&Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	why, err := b.judgeFilters(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, why)
	why, err = b.judgeFilters(t.Context(), libvirt.Error{Code: uint32(libvirt.ErrNoSupport), Message: "no"})
	require.NoError(t, err)
	require.Equal(t, noFilterDriver, why)
	require.Empty(t, log.String())
	why, err = b.judgeFilters(t.Context(), libvirt.Error{Code: uint32(libvirt.ErrSystemError), Message: "virtnwfilterd has gone"})
	require.NoError(t, err)
	require.Empty(t, why)
	require.Contains(t, log.String(), "virtnwfilterd has gone")
	_, err = b.judgeFilters(t.Context(), libvirt.ErrInterrupted)
	require.ErrorIs(t, err, libvirt.ErrInterrupted)
}
