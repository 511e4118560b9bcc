package kvm

import (
	"context"

	"github.com/guestforge/provision"
)

// oldest libvirt that is tested with this package.
const oldest = 9_000_000

func (e *examination) version(context.Context) ([]provision.Finding, error) {
	f := provision.Finding{Check: "libvirt", Severity: provision.SeverityInfo, Message: "libvirtd answers", Evidence: "version " + version(e.libvirt) + ", hypervisor " + version(e.hypervisor)}
	if e.libvirt < oldest {
		f.Severity, f.Message = provision.SeverityWarning, "libvirt is older than what this library is tested with"
		f.Remedy = "upgrade to libvirt " + version(oldest) + " or later"
	}
	return []provision.Finding{f}, nil
}
