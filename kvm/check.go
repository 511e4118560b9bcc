package kvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/hostfs"
)

// checks are what Check looks at, in the order of its findings.
var checks = []struct {
	name  string
	local bool // it takes the files of libvirtd's machine
	run   func(*examination, context.Context) ([]provision.Finding, error)
}{
	{"libvirt", false, (*examination).version},
	{"known-issues", false, (*examination).issues},
	{"pool", false, (*examination).storage},
	{"kvm", false, (*examination).trial},
	{"limits", false, (*examination).limits},
	{"cpu", true, (*examination).cpu},
	{"kvm-device", true, (*examination).device},
	{"nested", true, (*examination).nested},
	{"drivers", false, (*examination).drivers},
	{"firmware", false, (*examination).firmware},
	{"bridge", true, (*examination).bridges},
	{"vhost-net", true, (*examination).vhost},
	{"hugepages", false, (*examination).hugePages},
	{"security", false, (*examination).security},
	{"cgroups", true, (*examination).cgroups},
	{"qdisc", true, (*examination).qdiscs},
	{"clock", true, (*examination).clock},
	{"ksm", true, (*examination).ksm},
}

// examination is one Check under way.
type examination struct {
	*Backend
	libvirt, hypervisor uint64 // versions
	caps                libvirtxml.Caps
	// files is the root of the machine as libvirtd sees it, or nil: notLocal then
	// says why.
	files    fs.FS
	notLocal string
	// synced says whether the kernel's clock follows a server.
	synced func() (bool, error)
}

// Check implements [provision.Checker]. What takes files of the machine is looked at
// as libvirtd sees them, by way of /proc, if it is on this machine and the caller may
// read them; otherwise the finding says that it was not. Nothing is changed, but for
// the guest that tries whether KVM works.
func (b *Backend) Check(ctx context.Context) ([]provision.Finding, error) {
	e := &examination{Backend: b, synced: clockSynced}
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		if e.libvirt, err = l.ConnectGetLibVersion(); err != nil {
			return err
		}
		if e.hypervisor, err = l.ConnectGetVersion(); err != nil {
			return err
		}
		text, err := l.ConnectGetCapabilities()
		if err != nil {
			return err
		}
		return e.caps.Unmarshal(text)
	})
	if err != nil {
		return nil, err
	}
	if e.files, err = daemonFiles(ctx, b.conns.localSocket()); err != nil {
		e.notLocal = err.Error()
	}
	return e.all(ctx)
}

func (e *examination) all(ctx context.Context) ([]provision.Finding, error) {
	var list []provision.Finding
	for _, c := range checks {
		if c.local && e.files == nil {
			list = append(list, provision.Finding{Check: c.name, Severity: provision.SeverityInfo, Message: "not examined", Evidence: e.notLocal})
			continue
		}
		found, err := c.run(e, ctx)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			f.Check = c.name
			list = append(list, f)
		}
	}
	return list, nil
}

// fine and warn are findings as a list.
func fine(message, evidence string) []provision.Finding {
	return []provision.Finding{{Severity: provision.SeverityInfo, Message: message, Evidence: evidence}}
}

func warn(message, evidence, remedy string) []provision.Finding {
	return []provision.Finding{{Severity: provision.SeverityWarning, Message: message, Evidence: evidence, Remedy: remedy}}
}

// raw returns what is in a file, and nothing where it is not there or cannot be
// read.
func (e *examination) raw(path string) []byte { return hostfs.Read(e.files, path) }

// text is raw without white space around it.
func (e *examination) text(path string) string { return hostfs.Text(e.files, path) }

// has says whether there is a file of that name.
func (e *examination) has(path string) bool {
	_, err := fs.Stat(e.files, path)
	return !errors.Is(err, fs.ErrNotExist)
}

// some joins the first of many names.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Impact implements [provision.ImpactJudge].
func (b *Backend) Impact(_ provision.Status, c provision.Change) (provision.Impact, string) {
	if isDiskSize(c.Path) {
		return provision.ImpactLive, ""
	}
	if strings.HasPrefix(c.Path, "nics[") && strings.HasSuffix(c.Path, "].mtu") {
		return provision.ImpactRestart, "a guest that was told its MTU at the first boot keeps that until it is changed inside"
	}
	return provision.ImpactRestart, "QEMU reads it when the guest is started"
}

// isDiskSize recognises "disks[0].size".
func isDiskSize(path string) bool {
	return strings.HasPrefix(path, "disks[") && strings.HasSuffix(path, "].size")
}
