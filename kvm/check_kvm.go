package kvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/guestforge/provision"
)

func (e *examination) trial(ctx context.Context) ([]provision.Finding, error) {
	f, err := e.checkKVM(ctx)
	return []provision.Finding{f}, err
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

// cpu looks for the flags of hardware virtualisation. KVM can work without them,
// by other means; the trial tells.
func (e *examination) cpu(context.Context) ([]provision.Finding, error) {
	model, flags := "", []string{}
	for line := range strings.Lines(e.text("proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			model = strings.TrimSpace(value)
		case "flags":
			flags = strings.Fields(value)
		}
		if len(flags) > 0 {
			break
		}
	}
	has := map[string]bool{}
	for _, f := range flags {
		has[f] = true
	}
	switch {
	case len(flags) == 0:
		return warn("the flags of the processors cannot be read", "/proc/cpuinfo has none", "look whether this is an x86 machine with /proc"), nil
	case has["vmx"]:
		return fine("the processors have VT-x", model+": vmx"+extra(has, "ept", "vpid")), nil
	case has["svm"]:
		return fine("the processors have AMD-V", model+": svm"+extra(has, "npt")), nil
	case has["hypervisor"]:
		return warn("the processors have neither VT-x nor AMD-V, and this machine is a virtual one", model,
			"switch nesting on in the hypervisor that it runs on"), nil
	}
	return warn("the processors have neither VT-x nor AMD-V", model, "switch virtualisation on in the firmware of the machine"), nil
}

// extra lists flags that speed guests up, and that are missing on old processors.
func extra(has map[string]bool, flags ...string) string {
	text := ""
	for _, f := range flags {
		if has[f] {
			text += " " + f
		}
	}
	return text
}

// device looks at /dev/kvm. That it opens does not say that guests run.
func (e *examination) device(context.Context) ([]provision.Finding, error) {
	info, err := fs.Stat(e.files, "dev/kvm")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warn("there is no /dev/kvm", "", "load kvm_intel or kvm_amd; in a container, pass the device in"), nil
	case err != nil:
		return warn("/dev/kvm cannot be looked at", err.Error(), "look at its directory"), nil
	case info.Mode()&fs.ModeCharDevice == 0:
		return warn("/dev/kvm is not a device", fmt.Sprintf("mode %04o", info.Mode().Perm()), "remove it and load kvm_intel or kvm_amd"), nil
	}
	seen := fmt.Sprintf("mode %04o", info.Mode().Perm()) + owner(info)
	if info.Mode().Perm()&0o060 != 0o060 && info.Mode().Perm()&0o006 != 0o006 {
		return warn("/dev/kvm is for its owner alone", seen, "let the group kvm read and write it: udev does, with the rules of systemd or QEMU"), nil
	}
	return fine("/dev/kvm is there", seen), nil
}

// nested says whether guests may run guests of their own.
func (e *examination) nested(context.Context) ([]provision.Finding, error) {
	for _, module := range []string{"kvm_intel", "kvm_amd"} {
		switch value := e.text("sys/module/" + module + "/parameters/nested"); value {
		case "":
		case "Y", "1":
			f := fine("guests may run guests of their own", module+" nested="+value)
			f[0].Remedy = "where tenants do not need it, nested=0 makes the part of the kernel smaller that they can attack"
			return f, nil
		default:
			return fine("guests may not run guests of their own", module+" nested="+value), nil
		}
	}
	return fine("guests may not run guests of their own", "neither kvm_intel nor kvm_amd is loaded"), nil
}
