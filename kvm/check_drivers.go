package kvm

import (
	"context"
	"errors"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// helpers are drivers of libvirtd beside that of QEMU, how one asks for each, and what is
// missing without it. Distributions have packages for them.
var helpers = []struct {
	name, lost string
	ask        func(*libvirt.Libvirt) (int32, error)
}{
	{"storage", "there are neither images nor disks", func(l *libvirt.Libvirt) (int32, error) { return l.ConnectNumOfStoragePools() }},
	{"nwfilter", "guests cannot be kept from using addresses that are not theirs", func(l *libvirt.Libvirt) (int32, error) { return l.ConnectNumOfNwfilters() }},
	{"nodedev", "devices of the host cannot be found", func(l *libvirt.Libvirt) (int32, error) { return l.NodeNumOfDevices(nil, 0) }},
	{"secret", "disks cannot be encrypted", func(l *libvirt.Libvirt) (int32, error) { return l.ConnectNumOfSecrets() }},
}

func (e *examination) drivers(ctx context.Context) ([]provision.Finding, error) {
	var list []provision.Finding
	var have []string
	err := e.read(ctx, func(l *libvirt.Libvirt) error {
		list, have = nil, nil
		for _, d := range helpers {
			var answer libvirt.Error
			_, err := d.ask(l)
			switch {
			case errors.As(err, &answer):
				// There is no such driver, or its daemon cannot be reached: libvirt has
				// several codes for that, 1 among them.
				list = append(list, warn("libvirt has no driver "+d.name+": "+d.lost, answer.Message,
					"install libvirt-daemon-driver-"+d.name+", and start virt"+d.name+"d where there is one")...)
			case err != nil:
				return err
			default:
				have = append(have, d.name)
			}
		}
		return nil
	})
	if err == nil && len(have) > 0 {
		list = append(fine("libvirt has the drivers that guests take", strings.Join(have, ", ")), list...)
	}
	return list, err
}

// firmware: guests with UEFI are possible.
func (e *examination) firmware(ctx context.Context) ([]provision.Finding, error) {
	c, err := e.domainCaps(ctx, "", e.opts.Emulation == EmulateAlways)
	var answer libvirt.Error
	if errors.As(err, &answer) {
		return fine("what firmware there is could not be asked for", answer.Message), nil
	}
	if err != nil {
		return nil, err
	}
	var have []string
	for _, f := range []Firmware{FirmwareUEFI, FirmwareUEFISecure} {
		if hasFirmware(c, f) {
			have = append(have, string(f))
		}
	}
	if have == nil {
		f := fine("guests can boot with BIOS only", "no UEFI firmware")
		f[0].Remedy = "for guests with UEFI, install ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, RHEL)"
		return f, nil
	}
	return fine("guests can boot with UEFI", strings.Join(have, ", ")), nil
}

// security looks for what confines QEMU.
func (e *examination) security(context.Context) ([]provision.Finding, error) {
	var have []string
	for _, m := range e.caps.Host.SecModel {
		have = append(have, m.Name)
		if m.Name == "selinux" || m.Name == "apparmor" {
			return fine("QEMU is confined by "+m.Name, strings.Join(have, ", ")), nil
		}
	}
	return warn("nothing confines QEMU: a guest that breaks out of it may do all that its user may", strings.Join(have, ", "),
		"use a host with AppArmor or SELinux, and do not switch security_driver off in qemu.conf"), nil
}
