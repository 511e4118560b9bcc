package kvm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// manyCPUs is what every machine type can have.
const manyCPUs = 128

// nativeFits judges native settings against what libvirt says that this host can
// do, and makes the edits once on a document that is then forgotten.
func (b *Backend) nativeFits(ctx context.Context, s *provision.Spec, emulated bool) ([]error, error) {
	n := nativeOf(s)
	var errs []error
	if n.Machine != "" || n.CPUModel != "" || n.Firmware.isUEFI() || s.CPU.Count > manyCPUs {
		caps, err := b.domainCaps(ctx, n.Machine, emulated)
		var wrong *provision.FieldError
		switch {
		case errors.As(err, &wrong):
			return []error{err}, nil
		case err != nil:
			return nil, err
		}
		if caps.VCPU != nil && s.CPU.Count > int(caps.VCPU.Max) {
			errs = append(errs, &provision.FieldError{Path: "cpu.count", Value: strconv.Itoa(s.CPU.Count),
				Problem: fmt.Sprintf("is more than the %d that this machine type can have", caps.VCPU.Max)})
		}
		errs = append(errs, fitsCPU(caps, n.CPUModel)...)
		errs = append(errs, fitsFirmware(caps, n.Firmware)...)
	}
	if len(n.Edits) > 0 {
		p, err := b.pool(ctx)
		if err != nil {
			return nil, err
		}
		trial := s.Copy()
		for i := range trial.NICs {
			if trial.NICs[i].MAC.IsZero() { // it follows from the ID, which a plan does not have
				trial.NICs[i].MAC = provision.MAC{2, 0, 0, 0, 0, byte(i)}
			}
		}
		g := &provision.NewGuest{ID: "00000000-0000-4000-8000-000000000000", Spec: &trial, Record: provision.Record("{}")}
		d := b.domain(g, p, emulated)
		if _, err := document(&d, g.Spec); err != nil {
			errs = append(errs, err)
		}
	}
	return errs, nil
}

// domainCaps returns what guests of a machine type can have here.
func (b *Backend) domainCaps(ctx context.Context, machine string, emulated bool) (*libvirtxml.DomainCaps, error) {
	if machine == "" {
		machine = "q35"
	}
	kind := "kvm"
	if emulated {
		kind = "qemu"
	}
	var text string
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		text, err = l.ConnectGetDomainCapabilities(nil, libvirt.OptString{"x86_64"}, libvirt.OptString{machine}, libvirt.OptString{kind}, 0)
		return err
	})
	if hasCode(err, libvirt.ErrInvalidArg) {
		return nil, fmt.Errorf("%w: %w", &provision.FieldError{Path: "native.machine", Value: machine,
			Problem: "is not a machine type of this host's QEMU; virsh capabilities lists those"}, err)
	}
	if err != nil {
		return nil, err
	}
	c := new(libvirtxml.DomainCaps)
	if err := c.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("domain capabilities of the host: %w", err)
	}
	return c, nil
}

// cpuModes are models that are no names of processors.
var cpuModes = []string{"host-passthrough", "host-model", "maximum"}

// fitsCPU refuses a model that the host cannot show to a guest.
func fitsCPU(c *libvirtxml.DomainCaps, model string) []error {
	if model == "" {
		return nil
	}
	var usable []string
	if c.CPU != nil {
		for _, m := range c.CPU.Modes {
			if slices.Contains(cpuModes, m.Name) && m.Supported == "yes" {
				usable = append(usable, m.Name)
			}
			if m.Name != "custom" || m.Supported != "yes" {
				continue
			}
			for _, named := range m.Models {
				if named.Usable == "yes" && cpuModelRE.MatchString(named.Name) {
					usable = append(usable, named.Name)
				}
			}
		}
	}
	if slices.Contains(usable, model) {
		return nil
	}
	slices.Sort(usable)
	return []error{&provision.FieldError{Path: "native.cpuModel", Value: model,
		Problem: "is not a CPU model that this host can show to such a guest; it can: " + strings.Join(usable, ", ")}}
}

// fitsFirmware refuses firmware that is not installed.
func fitsFirmware(c *libvirtxml.DomainCaps, f Firmware) []error {
	if !f.isUEFI() || hasFirmware(c, f) {
		return nil
	}
	return []error{&provision.FieldError{Path: "native.firmware", Value: string(f),
		Problem: "is not on this host, or its descriptors in /usr/share/qemu/firmware are not; install the package ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, RHEL)"}}
}

// hasFirmware: libvirt lists "efi" where it can choose firmware by itself, and
// "secure" where some of it supports secure boot.
func hasFirmware(c *libvirtxml.DomainCaps, f Firmware) bool {
	if c.OS == nil || !enumHas(c.OS.Enums, "firmware", "efi") {
		return false
	}
	return f != FirmwareUEFISecure || c.OS.Loader != nil && enumHas(c.OS.Loader.Enums, "secure", "yes")
}

func enumHas(enums []libvirtxml.DomainCapsEnum, name, value string) bool {
	return slices.ContainsFunc(enums, func(e libvirtxml.DomainCapsEnum) bool { return e.Name == name && slices.Contains(e.Values, value) })
}
