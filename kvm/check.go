package kvm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// oldest libvirt that is tested with this package.
const oldest = 9_000_000

// Check implements [provision.Checker].
func (b *Backend) Check(ctx context.Context) ([]provision.Finding, error) {
	var list []provision.Finding
	for _, check := range []func(context.Context) (provision.Finding, error){b.checkVersion, b.checkPool, b.checkKVM} {
		f, err := check(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

func (b *Backend) checkVersion(ctx context.Context) (provision.Finding, error) {
	v, err := b.LibvirtVersion(ctx)
	f := provision.Finding{Check: "libvirt", Severity: provision.SeverityInfo, Message: "libvirtd answers", Evidence: "version " + version(v)}
	if v < oldest {
		f.Severity, f.Message = provision.SeverityWarning, "libvirt is older than what this library is tested with"
		f.Remedy = "upgrade to libvirt " + version(oldest) + " or later"
	}
	return f, err
}

func (b *Backend) checkPool(ctx context.Context) (provision.Finding, error) {
	f := provision.Finding{Check: "pool", Severity: provision.SeverityInfo, Message: "the storage pool is active"}
	p, err := b.pool(ctx)
	var wrong *provision.FieldError
	switch {
	case errors.As(err, &wrong):
		f.Severity, f.Message, f.Remedy = provision.SeverityError, fmt.Sprintf("pool %q cannot be used", wrong.Value), wrong.Problem
		return f, nil
	case errors.Is(err, errors.ErrUnsupported):
		f.Severity, f.Message, f.Remedy = provision.SeverityError, err.Error(), "use a pool of type dir"
		return f, nil
	case err != nil:
		return f, err
	}
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		_, size, _, free, err := l.StoragePoolGetInfo(p.ref)
		f.Evidence = fmt.Sprintf("%s: %d of %d MiB free", p.dir, free>>20, size>>20)
		if err == nil && free < size/20 {
			f.Severity, f.Message, f.Remedy = provision.SeverityWarning, "the storage pool is almost full", "free space or add a larger pool"
		}
		return err
	})
	return f, err
}

func (b *Backend) checkKVM(ctx context.Context) (provision.Finding, error) {
	f := provision.Finding{Check: "kvm", Severity: provision.SeverityInfo, Message: "a guest runs with KVM"}
	if b.opts.Emulation == EmulateAlways {
		f.Severity, f.Message = provision.SeverityWarning, "guests are emulated in software, because the options ask for it"
		return f, nil
	}
	err := b.kvmWorks(ctx)
	var no *provision.UnsupportedError
	var pool *provision.FieldError
	if errors.As(err, &pool) {
		f.Severity, f.Message = provision.SeverityWarning, "KVM was not tried, because that takes a pool"
		return f, nil
	}
	if !errors.As(err, &no) {
		return f, err
	}
	f.Severity, f.Message, f.Evidence = provision.SeverityError, "no guest runs with KVM", no.Reason
	f.Remedy = "look whether virtualisation is on in the firmware, or nesting in the host of this machine, and kvm_intel or kvm_amd is loaded; QEMU's log is below /var/log/libvirt/qemu"
	if b.opts.Emulation == EmulateIfMust {
		f.Severity, f.Message = provision.SeverityWarning, "no guest runs with KVM; new ones are emulated in software"
	}
	return f, nil
}

// Impact implements [provision.ImpactJudge].
func (b *Backend) Impact(_ provision.Status, c provision.Change) (provision.Impact, string) {
	if isDiskSize(c.Path) {
		return provision.ImpactLive, ""
	}
	return provision.ImpactRestart, "QEMU reads it when the guest is started"
}

// isDiskSize recognises "disks[0].size".
func isDiskSize(path string) bool {
	return strings.HasPrefix(path, "disks[") && strings.HasSuffix(path, "].size")
}
