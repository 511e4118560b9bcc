package kvm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// Reasons why a NIC has no filter.
const (
	sessionFilters = "libvirtd has network filters in the system instance alone (qemu:///system), not in sessions"
	noFilterDriver = "this libvirtd has no network filters (its nwfilter driver)"
	ovsFilters     = "libvirt filters with ebtables, which do not see what a bridge of Open vSwitch forwards; there, flows of its own can do it"
	noFilter       = "there is no filter on the NIC"
)

// lacksFilters says why there can be no network filters, or "". A driver that fails,
// which may be a daemon of its own, is one that is there: what needs a filter asks
// it again, and fails with it.
func (b *Backend) lacksFilters(ctx context.Context, l *libvirt.Libvirt) (string, error) {
	if strings.HasSuffix(b.conns.target.path, "/session") {
		return sessionFilters, nil
	}
	_, err := l.ConnectNumOfNwfilters()
	return b.judgeFilters(ctx, err)
}

func (b *Backend) judgeFilters(ctx context.Context, err error) (string, error) {
	var answer libvirt.Error
	switch {
	case hasCode(err, libvirt.ErrNoSupport):
		return noFilterDriver, nil
	case errors.As(err, &answer):
		b.opts.Logger.WarnContext(ctx, "libvirtd does not say whether it has network filters; guests with antiSpoof cannot be made until it does", "err", err)
		return "", nil
	}
	return "", err
}

// ensureFilters defines those of our filters that a domain names and the host
// lacks. One of that name with other rules is left alone, and is an error: whoever
// changed it has to say what it is to be.
func (b *Backend) ensureFilters(ctx context.Context, names []string) error {
	for _, name := range names {
		f := filterByName(name)
		if f == nil {
			continue // of another version, which has to be there
		}
		if err := b.ensureFilter(ctx, f); err != nil {
			return fmt.Errorf("network filter %s: %w", f.name, err)
		}
	}
	return nil
}

// errFilterChanged is about a filter with our name and other rules.
var errFilterChanged = errors.New("it was changed by other means; when no guest uses it, remove it with virsh nwfilter-undefine, and it is made anew")

func (b *Backend) ensureFilter(ctx context.Context, f *filter) error {
	there, same, err := b.lookAtFilter(ctx, f)
	if err == nil && !there {
		// Others may do the same now: the same document again is no change.
		err = b.write(ctx, func(l *libvirt.Libvirt) error {
			_, err := l.NwfilterDefineXML(f.text)
			return err
		})
		err = b.settle(ctx, err, func(l *libvirt.Libvirt) (bool, error) {
			_, err := l.NwfilterLookupByName(f.name)
			if hasCode(err, libvirt.ErrNoNwfilter) {
				return false, nil
			}
			return err == nil, err
		})
		if err == nil {
			_, same, err = b.lookAtFilter(ctx, f)
		}
	}
	if err == nil && !same {
		err = fmt.Errorf("%w: %w", provision.ErrConflict, errFilterChanged)
	}
	return err
}

// lookAtFilter says whether a filter of our name is there, and whether it is ours.
func (b *Backend) lookAtFilter(ctx context.Context, f *filter) (there, same bool, err error) {
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		doc, err := filterDoc(l, f.name)
		there, same = err == nil, err == nil && f.same(doc)
		if hasCode(err, libvirt.ErrNoNwfilter) {
			return nil
		}
		return err
	})
	return there, same, err
}

func filterDoc(l *libvirt.Libvirt, name string) (string, error) {
	n, err := l.NwfilterLookupByName(name)
	if err != nil {
		return "", err
	}
	return l.NwfilterGetXMLDesc(n, 0)
}

// filterNames are the filters of NICs, each once.
func filterNames(nics []domainxml.NIC) []string {
	var names []string
	for _, n := range nics {
		if n.Filter != "" && !slices.Contains(names, n.Filter) {
			names = append(names, n.Filter)
		}
	}
	return names
}

// ensureGuestFilters is for a start: somebody may have removed a filter that no
// running guest used. Of a guest that is on nothing is asked.
func (b *Backend) ensureGuestFilters(ctx context.Context, id provision.ID) error {
	d, err := domainOf(id)
	if err != nil || b.noFilters.Load() {
		return err
	}
	var names []string
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		names = nil
		if active, err := l.DomainIsActive(d); err != nil || active != 0 {
			return err
		}
		text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		if err != nil {
			return err
		}
		inv, err := domainxml.Read([]byte(text))
		if err != nil {
			return err
		}
		for _, n := range inv.NICs {
			if strings.HasPrefix(n.Filter, filterPrefix) && !slices.Contains(names, n.Filter) {
				names = append(names, n.Filter)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.ensureFilters(ctx, names)
}

// antiSpoof says of a NIC, by its definition, how far a filter holds it. Whether
// the filter is in force is for filterState to see.
func antiSpoof(i int, n domainxml.NICItem) provision.Limit {
	l := provision.Limit{Path: fmt.Sprintf("nics[%d].antiSpoof", i), Want: "true", Have: n.Filter}
	f := filterByName(n.Filter)
	switch {
	case n.VirtualPort == "openvswitch":
		l.Enforcement, l.Reason = provision.NotEnforced, ovsFilters
	case n.Filter == "":
		l.Enforcement, l.Reason = provision.NotEnforced, noFilter
	case f != nil:
		l.Enforcement, l.Reason = f.enforcement, f.reason
	case strings.HasPrefix(n.Filter, filterPrefix):
		l.Enforcement, l.Reason = provision.Partial, "the filter is of another version of this library, which knows what it does"
	default:
		l.Enforcement, l.Reason = provision.NotEnforced, "the filter is not one of this library, so what it does is not known"
	}
	return l
}

// filterState is what libvirtd has in force.
type filterState struct {
	bound   map[string]string // filters by the host's side of a NIC
	changed map[string]bool   // filters with our names and other rules
	unknown error             // why libvirtd does not tell
}

// orUnknown keeps a broken filter driver, which may be a daemon of its own, from
// hiding all else that is known of guests.
func (s *filterState) orUnknown(err error) (*filterState, error) {
	var answer libvirt.Error
	if errors.As(err, &answer) {
		s.unknown, err = err, nil
	}
	return s, err
}

// readFilters takes the same number of calls for any number of guests.
func (b *Backend) readFilters(l *libvirt.Libvirt) (*filterState, error) {
	if b.noFilters.Load() {
		return nil, nil
	}
	s := &filterState{bound: map[string]string{}, changed: map[string]bool{}}
	bindings, _, err := l.ConnectListAllNwfilterBindings(1, 0)
	if err != nil {
		return s.orUnknown(err)
	}
	for _, n := range bindings {
		s.bound[n.Portdev] = n.Filtername
	}
	all, _, err := l.ConnectListAllNwfilters(1, 0)
	if err != nil {
		return s.orUnknown(err)
	}
	for _, n := range all {
		f := filterByName(n.Name)
		if f == nil {
			continue
		}
		doc, err := l.NwfilterGetXMLDesc(n, 0)
		switch {
		case hasCode(err, libvirt.ErrNoNwfilter): // since it was listed
		case err != nil:
			return s.orUnknown(err)
		default:
			s.changed[f.name] = !f.same(doc)
		}
	}
	return s, nil
}

func isAntiSpoof(l provision.Limit) bool { return strings.HasSuffix(l.Path, ".antiSpoof") }

// confirm corrects what the definition says of filters by what is in force.
func (s *filterState) confirm(st *provision.Status) {
	if s == nil {
		st.Limits = slices.DeleteFunc(st.Limits, isAntiSpoof)
		return
	}
	for i := range st.Limits {
		l := &st.Limits[i]
		var nic int
		if _, err := fmt.Sscanf(l.Path, "nics[%d].antiSpoof", &nic); err != nil || l.Enforcement == provision.NotEnforced {
			continue
		}
		switch bound := s.bound[st.NICs[nic].Device]; {
		case s.unknown != nil:
			l.Enforcement, l.Reason = provision.NotEnforced, "libvirtd does not tell: "+s.unknown.Error()
		case s.changed[l.Have]:
			l.Enforcement, l.Reason = provision.NotEnforced, "the filter's rules were changed by other means"
		case running(st) && bound != l.Have:
			l.Enforcement, l.Reason = provision.NotEnforced, "the guest runs, and libvirt has not bound the filter to the host's side of its NIC; it will at the next start"
			l.Have = bound
		}
	}
}

// readFiltersOf is readFilters for one guest.
func (b *Backend) readFiltersOf(l *libvirt.Libvirt, st *provision.Status) (*filterState, error) {
	if b.noFilters.Load() {
		return nil, nil
	}
	s := &filterState{bound: map[string]string{}, changed: map[string]bool{}}
	for _, limit := range st.Limits {
		f := filterByName(limit.Have)
		if _, known := s.changed[limit.Have]; f == nil || known {
			continue
		}
		doc, err := filterDoc(l, f.name)
		if err != nil && !hasCode(err, libvirt.ErrNoNwfilter) { // a start makes it
			return s.orUnknown(err)
		}
		s.changed[f.name] = err == nil && !f.same(doc)
	}
	for _, n := range st.NICs {
		if !running(st) || n.Device == "" || len(st.Limits) == 0 {
			continue
		}
		bound, err := l.NwfilterBindingLookupByPortDev(n.Device)
		if err != nil && !hasCode(err, libvirt.ErrNoNwfilterBinding) {
			return s.orUnknown(err)
		}
		s.bound[n.Device] = bound.Filtername
	}
	return s, nil
}

// running says whether libvirt has set the guest up, filters included.
func running(st *provision.Status) bool {
	return st.State == provision.StateRunning || st.State == provision.StatePaused
}
