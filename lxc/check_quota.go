package lxc

import (
	"context"
	"io/fs"
	"path"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/mountinfo"
)

// quota tells what limits of disks and inodes are enforced with. Without project
// quota it is an image file of the guest's own.
func (e *examination) quota(context.Context) []provision.Finding {
	const check = "project-quota"
	m := mountinfo.Of(e.mounts, e.path)
	if m == nil {
		return []provision.Finding{unknown(check, informs, "the file system has quotas", "/proc/self/mountinfo does not tell", "mount /proc")}
	}
	if m.Type == "btrfs" {
		return []provision.Finding{e.groupsOfBtrfs(m)}
	}
	good, bad := "files of a guest can have a quota", "files of a guest can have no quota: a limit of its disk takes an image file of its own"
	on, err := e.try.projectQuota(e.path)
	seen := m.Type + " on " + m.Point
	switch {
	case err == nil && on:
		return []provision.Finding{has(check, good, seen+", with project quota")}
	case err == nil:
		return []provision.Finding{e.noQuota(check, bad, m)}
	case isUntried(err) && (m.Has("prjquota") || m.Has("pquota")):
		return []provision.Finding{has(check, good, seen+", mounted with prjquota")}
	case isUntried(err) && (m.Type == "xfs" || m.Type == "ext4"): // which take the option
		return []provision.Finding{e.noQuota(check, bad, m)}
	case isUntried(err):
		return []provision.Finding{unknown(check, informs, good, seen+"; "+oneLine(err.Error()), "look at the options that it is mounted with")}
	}
	f := e.noQuota(check, bad, m)
	f.Evidence += "; " + oneLine(err.Error())
	return []provision.Finding{f}
}

// noQuota says what stands in the way: the kernel, or how it is mounted.
func (e *examination) noQuota(check, bad string, m *mountinfo.Mount) provision.Finding {
	seen := m.Type + " on " + m.Point + ", without project quota"
	option, module, remedy := "CONFIG_XFS_QUOTA", "", "mount it with prjquota: root file systems take rootflags=prjquota"
	switch m.Type {
	case "ext4":
		option, module, remedy = "CONFIG_QFMT_V2", "quota_v2", "unmount it, tune2fs -O project,quota, and mount it with prjquota"
	case "xfs":
	default:
		return lacks(check, informs, bad, seen, "for quotas, put "+e.path+" on xfs or ext4")
	}
	if v, why := e.option(option, module); v == absent {
		return lacks(check, informs, bad, seen+"; "+why, "boot a kernel with "+option)
	}
	return lacks(check, informs, bad, seen, remedy)
}

// groupsOfBtrfs finds the directory of the file system in /sys by its device.
func (e *examination) groupsOfBtrfs(m *mountinfo.Mount) provision.Finding {
	const check, good = "project-quota", "a guest's subvolume can have a quota"
	found, err := fs.Glob(e.files, "sys/fs/btrfs/*/devices/"+path.Base(m.Source))
	if err != nil || len(found) == 0 {
		return unknown(check, informs, good, "/sys/fs/btrfs has no "+m.Source, "btrfs qgroup show "+m.Point)
	}
	dir := path.Dir(path.Dir(found[0]))
	if e.there(dir + "/qgroups") {
		return has(check, good, "/"+dir+"/qgroups")
	}
	return lacks(check, informs, "quotas of btrfs are off: a limit of a disk takes an image file of its own", "there is no /"+dir+"/qgroups", "btrfs quota enable "+m.Point)
}
