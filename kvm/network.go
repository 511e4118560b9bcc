package kvm

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// bridgeVLAN is the libvirt that puts VLAN tags on ports of Linux bridges (NEWS of
// 11.0.0). Older ones refuse to start the guest.
const bridgeVLAN = 11_000_000

// vlanAdvice says why a NIC on a Linux bridge can have no VLAN, or "".
func vlanAdvice(v uint64) string {
	if v >= bridgeVLAN {
		return ""
	}
	return fmt.Sprintf("libvirt %s puts no VLAN tags on ports of a Linux bridge, as 11.0.0 and later do; use a bridge for each VLAN, or one of Open vSwitch and name it in kvm.Options.OpenVSwitch", version(v))
}

// link is a network device of the host, as far as libvirt tells.
type link int

const (
	linkUnknown link = iota // it does not tell
	linkAbsent
	linkBridge // of Linux itself
	linkOther
)

// linkOf asks libvirt's interface driver. That with udev reads what the kernel has
// now; that with netcf, of old systems, reads configuration files, and what it does
// not find may be there all the same.
func linkOf(l *libvirt.Libvirt, name string) (link, error) {
	iface, err := interfaceOf(l, name)
	if hasCode(err, libvirt.ErrNoInterface) {
		var lo interfaceXML
		lo, err = interfaceOf(l, "lo")
		if err == nil && lo.Start == nil {
			return linkAbsent, nil
		}
	}
	var answer libvirt.Error
	switch {
	case errors.As(err, &answer):
		return linkUnknown, nil
	case err != nil:
		return linkUnknown, err
	case iface.Name != name:
		return linkUnknown, nil
	case iface.Type == "bridge":
		return linkBridge, nil
	}
	return linkOther, nil
}

type interfaceXML struct {
	Type  string    `xml:"type,attr"`
	Name  string    `xml:"name,attr"`
	Start *struct{} `xml:"start"` // how it begins: netcf alone has it
}

func interfaceOf(l *libvirt.Libvirt, name string) (x interfaceXML, err error) {
	iface, err := l.InterfaceLookupByName(name)
	if err != nil {
		return x, err
	}
	text, err := l.InterfaceGetXMLDesc(iface, 0)
	if err != nil {
		return x, err
	}
	if xml.Unmarshal([]byte(text), &x) != nil {
		return interfaceXML{}, nil // of a kind that is not known here
	}
	return x, nil
}

// bridgeProblem says what is wrong with a bridge, or "".
func bridgeProblem(k link, ovs bool) string {
	switch {
	case k == linkAbsent:
		return "is no network device of the host; make the bridge first"
	case k == linkBridge && ovs:
		return "is a bridge of Linux, and kvm.Options.OpenVSwitch says that it is one of Open vSwitch"
	case k == linkOther && !ovs:
		return "is no bridge of Linux; if it is one of Open vSwitch, name it in kvm.Options.OpenVSwitch"
	}
	return ""
}

// preflightNICs returns limits of NICs as they would hold, and what is wrong.
func (b *Backend) preflightNICs(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	if len(s.NICs) == 0 {
		return nil, nil
	}
	var libvirtd uint64
	links := map[string]link{}
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		if libvirtd, err = l.ConnectGetLibVersion(); err != nil {
			return err
		}
		for _, n := range s.NICs {
			if links[n.Bridge], err = linkOf(l, n.Bridge); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var limits []provision.Limit
	var errs []error
	for i, n := range s.NICs {
		at, ovs := fmt.Sprintf("nics[%d].", i), b.isOVS(n.Bridge)
		refuse := func(f provision.Feature, why string) {
			errs = append(errs, &provision.UnsupportedError{Feature: f, Kind: "kvm", Reason: at + "bridge " + n.Bridge + ": " + why})
		}
		if why := bridgeProblem(links[n.Bridge], ovs); why != "" {
			errs = append(errs, &provision.FieldError{Path: at + "bridge", Value: n.Bridge, Problem: why})
		}
		if why := vlanAdvice(libvirtd); n.VLAN != 0 && !ovs && why != "" {
			refuse(provision.FeatureNICVLAN, why)
		}
		if n.Isolated && ovs {
			refuse(provision.FeatureNICIsolated, "libvirt isolates ports of Linux bridges only")
		}
		if n.AntiSpoof == provision.On && ovs {
			refuse(provision.FeatureNICAntiSpoof, ovsFilters)
		}
		limits = append(limits, b.nicLimits(i, &n)...)
	}
	return limits, errors.Join(errs...)
}

// nicLimits are those of a NIC that is yet to be made.
func (b *Backend) nicLimits(i int, n *provision.NIC) []provision.Limit {
	var limits []provision.Limit
	if n.Isolated {
		limits = append(limits, provision.Limit{Path: fmt.Sprintf("nics[%d].isolated", i), Want: "true", Enforcement: provision.Enforced})
	}
	if n.AntiSpoof == provision.Off || b.noFilters.Load() {
		return limits // where there are no filters, Host says so
	}
	item := domainxml.NICItem{}
	if f := b.filterFor(n); f != nil {
		item.Filter = f.name
	} else {
		item.VirtualPort = "openvswitch"
	}
	return append(limits, antiSpoof(i, item))
}

// explainStart adds to the failure of a start which bridge is not there: QEMU and
// libvirt have many texts and one code for it.
func (b *Backend) explainStart(ctx context.Context, id provision.ID, failure error) error {
	var answer libvirt.Error
	d, err := domainOf(id)
	if err != nil || !errors.As(failure, &answer) {
		return failure
	}
	var errs []error
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		errs = nil
		text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		if err != nil {
			return err
		}
		inv, err := domainxml.Read([]byte(text))
		if err != nil {
			return err
		}
		for i, n := range inv.NICs {
			k, err := linkOf(l, n.Source)
			if err != nil {
				return err
			}
			if why := bridgeProblem(k, n.VirtualPort == "openvswitch"); n.Type == "bridge" && why != "" {
				errs = append(errs, &provision.FieldError{Path: fmt.Sprintf("nics[%d].bridge", i), Value: n.Source, Problem: why})
			}
		}
		return nil
	})
	if err != nil || len(errs) == 0 {
		return failure
	}
	return errors.Join(append(errs, failure)...)
}
