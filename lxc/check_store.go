package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/mountinfo"
)

// directory looks at LXCPATH and where it is.
func (e *examination) directory(context.Context) []provision.Finding {
	const check = "lxcpath"
	info, err := fs.Stat(e.files, inside(e.path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []provision.Finding{lacks(check, cautions, "there is no "+e.path+" yet", err.Error(), "mkdir -m 0711 "+e.path)}
	case err != nil:
		return []provision.Finding{unknown(check, fails, e.path+" can be used", err.Error(), "run check as root")}
	case !info.IsDir():
		return []provision.Finding{lacks(check, fails, e.path+" is no directory", info.Mode().String(), "move it away")}
	}
	list := e.reachable()
	if list == nil {
		list = []provision.Finding{has(check, "guests without privileges reach their files", fmt.Sprintf("%s, mode %04o", e.path, info.Mode().Perm()))}
	}
	return append(list, e.mounted())
}

// reachable goes up from LXCPATH: the root of a guest is another user, who has to
// pass; and nobody but root may put something there, as root starts what is found.
func (e *examination) reachable() []provision.Finding {
	const check = "lxcpath"
	var list []provision.Finding
	for dir := e.path; ; dir = path.Dir(dir) {
		info, err := fs.Stat(e.files, inside(dir))
		if err != nil {
			return append(list, unknown(check, fails, "guests without privileges reach their files", err.Error(), "run check as root"))
		}
		mode := fmt.Sprintf("%s, mode %04o", dir, info.Mode().Perm())
		if info.Mode()&0o001 == 0 {
			list = append(list, lacks(check, fails, "guests without privileges do not reach their files", mode, "chmod o+x "+dir))
		}
		if info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			list = append(list, lacks(check, fails, "every user can put a guest of his own in place of others", mode, "chmod o-w "+dir))
		}
		if uid, err := e.try.owner(info); err != nil {
			list = append(list, unknown(check, cautions, "only root can change what is in "+dir, oneLine(err.Error()), "look at its owner"))
		} else if uid != 0 {
			list = append(list, lacks(check, fails, "a user who is not root can put a guest of his own in place of others", fmt.Sprintf("%s, of uid %d", dir, uid), "chown root "+dir))
		}
		if dir == "/" || dir == "." {
			return list
		}
	}
}

// mounted looks at the file system of LXCPATH.
func (e *examination) mounted() provision.Finding {
	const check = "lxcpath-filesystem"
	m := mountinfo.Of(e.mounts, e.path)
	if m == nil {
		return unknown(check, cautions, "the file system of "+e.path+" can hold guests", "/proc/self/mountinfo does not tell", "mount /proc")
	}
	seen := fmt.Sprintf("%s on %s, %s", m.Type, m.Point, m.Source)
	switch {
	case m.Has("ro"):
		return lacks(check, fails, "the file system of "+e.path+" is read only", seen, "mount -o remount,rw "+m.Point)
	case m.Has("noexec"):
		return lacks(check, fails, "guests could not run programs: the file system of "+e.path+" is noexec", seen, "mount -o remount,exec "+m.Point)
	case m.Type == "tmpfs" || m.Type == "ramfs":
		return lacks(check, cautions, "guests are gone when the machine is switched off", seen, "put "+e.path+" on a disk")
	case strings.HasPrefix(m.Type, "nfs") || m.Type == "cifs" || strings.HasPrefix(m.Type, "fuse"):
		return lacks(check, cautions, "a guest's files cannot be an overlay, nor its IDs mapped, on a file system of this type", seen, "put "+e.path+" on ext4, xfs or btrfs")
	}
	return has(check, "the file system of "+e.path+" can hold guests", seen)
}

// room: as kvm does for pools, a twentieth is little.
func (e *examination) room(context.Context) []provision.Finding {
	s, err := e.try.space(e.path)
	if err != nil {
		return []provision.Finding{unknown("space", cautions, "there is room for guests", oneLine(err.Error()), "make "+e.path)}
	}
	list := []provision.Finding{has("space", "there is room for guests", fmt.Sprintf("%d of %d MiB are free", s.freeBytes>>20, s.bytes>>20))}
	if s.freeBytes < s.bytes/20 {
		list = []provision.Finding{lacks("space", cautions, "there is almost no room for guests", list[0].Evidence, "free space, or move "+e.path+" to a larger disk")}
	}
	if s.inodes == 0 {
		return append(list, has("inodes", "the file system has no fixed number of inodes", ""))
	}
	seen := fmt.Sprintf("%d of %d are free", s.freeInodes, s.inodes)
	if s.freeInodes < s.inodes/20 {
		return append(list, lacks("inodes", cautions, "there are almost no inodes left for files of guests", seen, "remove files, or make the file system with more (mkfs.ext4 -N)"))
	}
	return append(list, has("inodes", "there are inodes for files of guests", seen))
}

// roots tries what the files of guests can be made of, on the file system itself.
func (e *examination) roots(ctx context.Context) []provision.Finding {
	r := idRange{e.ids.first, min(e.ids.count, perGuest)}
	idmap := judged("idmap", fails, e.try.idmap(ctx, e.path, r), "files of images can be mapped to the IDs of a guest",
		"files of images cannot be mapped to the IDs of a guest: there are none without privileges", "boot Linux 5.12 or later, and use ext4 (5.12), btrfs (5.15) or xfs (5.12)")
	list := []provision.Finding{idmap}
	if v, seen := e.option("CONFIG_OVERLAY_FS", "overlay"); e.filesystem("overlay") || !e.there("proc/modules") {
		list = append(list, e.overlays(ctx, r)...)
	} else if v == absent {
		list = append(list, lacks("overlay", cautions, "the kernel has no overlays: each guest gets a copy of its image", seen, "boot a kernel with CONFIG_OVERLAY_FS"))
	} else {
		// A trial would load the module.
		list = append(list, unknown("overlay", informs, "an overlay works on "+e.path, seen, "modprobe overlay, and check again"))
	}
	list = append(list, judged("reflink", informs, e.try.reflink(e.path), "copies of files can share their blocks",
		"copies of files do not share their blocks: a copy of an image takes time and room", "for guests that are copies, put "+e.path+" on xfs or btrfs"))
	return append(list, e.btrfs(), e.loop())
}

func (e *examination) overlays(ctx context.Context, r idRange) []provision.Finding {
	plain := judged("overlay", cautions, e.try.overlay(e.path), "a guest can be an overlay over its image",
		"no guest can be an overlay over its image: each gets a copy", "boot a kernel with CONFIG_OVERLAY_FS, and put "+e.path+" on ext4, xfs or btrfs")
	if plain.Severity != informs {
		return []provision.Finding{plain}
	}
	return []provision.Finding{plain, judged("overlay-idmap", cautions, e.try.idmappedOverlay(ctx, e.path, r), "a guest without privileges can be an overlay over its image",
		"no guest without privileges can be an overlay over its image: each gets a copy", "boot Linux 5.19 or later")}
}

func (e *examination) btrfs() provision.Finding {
	m := mountinfo.Of(e.mounts, e.path)
	switch {
	case m != nil && m.Type == "btrfs":
		return has("btrfs", "guests can be snapshots of their image", m.Source)
	case e.filesystem("btrfs"):
		return has("btrfs", "the kernel has btrfs, which "+e.path+" is not on", "")
	}
	v, seen := e.option("CONFIG_BTRFS_FS", "btrfs")
	if v == notKnown {
		return unknown("btrfs", informs, "the kernel has btrfs", seen, "modprobe btrfs")
	}
	return has("btrfs", "btrfs is not in use", seen)
}

func (e *examination) loop() provision.Finding {
	if e.there("dev/loop-control") {
		return has("loop", "a guest's disk can be a file", "/dev/loop-control")
	}
	v, seen := e.option("CONFIG_BLK_DEV_LOOP", "loop")
	if v == loadable || v == notKnown {
		return unknown("loop", cautions, "a guest's disk can be a file", seen, "modprobe loop")
	}
	return lacks("loop", cautions, "no guest's disk can be a file: limits of disks are refused where there are no quotas", "there is no /dev/loop-control; "+seen, "load the module loop; in a container, pass /dev/loop-control in")
}
