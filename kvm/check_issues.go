package kvm

import (
	"context"

	"github.com/guestforge/provision"
)

// issue is something wrong in a range of versions that the owner of a host should
// know. Distributions mend some of them without another version.
type issue struct {
	program  string // "libvirt" or "QEMU"
	from, to uint64 // from the first to before the first that is right
	severity provision.Severity
	what     string
	remedy   string // beside an upgrade
	source   string
	// unsure: it was seen in this range, and to is not known to be right.
	unsure bool
}

const newsOfLibvirt = "https://libvirt.org/news.html"

// issues that are known, the oldest end first.
var issues = []issue{
	{"libvirt", 9_000_000, 9_001_000, provision.SeverityInfo,
		"programs that subscribe to events and leave all the time stop the events of all", "keep other programs from doing so; this library reads anew from time to time", "measured with 9.0.0; others were not tried", true},
	{"libvirt", 0, 9_009_000, provision.SeverityInfo,
		"a guest cannot be reverted to an external snapshot", "", newsOfLibvirt + " (9.9.0)", false},
	{"libvirt", 0, 10_001_000, provision.SeverityInfo,
		"the daemon can hang when a client sends a sparse stream", "open the socket to trusted programs only", newsOfLibvirt + " (10.1.0)", false},
	{"libvirt", 0, 10_009_000, provision.SeverityInfo,
		"guests with UEFI cannot have internal snapshots", "use external ones", newsOfLibvirt + " (10.9.0)", false},
	{"libvirt", 0, 11_000_000, provision.SeverityWarning,
		"a guest with internal and external snapshots can lose data when one is deleted", "use one kind only", newsOfLibvirt + " (11.0.0)", false},
	{"libvirt", 11_002_000, 11_004_000, provision.SeverityWarning,
		"a guest cannot be reverted to an internal snapshot", "use external ones", newsOfLibvirt + " (11.4.0)", false},
	{"libvirt", 0, 11_006_000, provision.SeverityWarning,
		"when any guest starts, frames of the others pass unfiltered for a moment", "filter what matters outside of the host too", newsOfLibvirt + " (11.6.0)", false},
	{"libvirt", 0, 11_010_000, provision.SeverityWarning,
		"overlays of snapshots of guests that are off can be read by every user of the host (CVE-2025-13193)", "let nobody else into the host, or into the directories of its pools", newsOfLibvirt + " (11.10.0)", false},
	{"QEMU", 9_001_000, 10_001_000, provision.SeverityWarning,
		"guests with a limit of IOPS or bytes a second can stop under random writes", "give such limits to test guests first", "https://gitlab.com/qemu-project/qemu/-/issues/3144", true},
}

// applies says whether a version is in the range.
func (i *issue) applies(v uint64) bool { return v >= i.from && v < i.to }

// advice is what to do about it.
func (i *issue) advice() string {
	if i.unsure {
		return i.remedy + "; whether a later version is right, nobody has told"
	}
	text := "see whether your distribution has mended it, or upgrade to " + i.program + " " + version(i.to)
	if i.remedy != "" {
		text += "; until then " + i.remedy
	}
	return text
}

func (e *examination) issues(context.Context) ([]provision.Finding, error) {
	versions := map[string]uint64{"libvirt": e.libvirt, "QEMU": e.hypervisor}
	var list []provision.Finding
	for _, i := range issues {
		v := versions[i.program]
		if !i.applies(v) {
			continue
		}
		list = append(list, provision.Finding{Severity: i.severity, Message: i.what,
			Evidence: i.program + " " + version(v) + "; " + i.source, Remedy: i.advice()})
	}
	if list == nil {
		return fine("nothing bad is known of these versions", ""), nil
	}
	return list, nil
}
