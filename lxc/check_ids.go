package lxc

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// perGuest is the number of IDs of a guest, as of old systems: 16 bits.
const perGuest = 1 << 16

// namespaceLimits: distributions and administrators switch namespaces off with these
// (namespaces(7)).
func (e *examination) namespaceLimits(context.Context) []provision.Finding {
	const check = "namespace-limits"
	entries, err := fs.ReadDir(e.files, "proc/sys/user")
	var off, seen []string
	for _, d := range entries {
		name := d.Name()
		if !strings.HasPrefix(name, "max_") || !strings.HasSuffix(name, "_namespaces") {
			continue
		}
		value := e.text("proc/sys/user/" + name)
		seen = append(seen, name+"="+value)
		if value == "0" {
			off = append(off, "user."+name)
		}
	}
	var list []provision.Finding
	switch {
	case err != nil || seen == nil:
		list = append(list, unknown(check, fails, "guests may have namespaces", "there is no /proc/sys/user (Linux 4.9)", "try: unshare -U true"))
	case off != nil:
		list = append(list, lacks(check, fails, "guests may not have namespaces of their own: "+some(off)+" is 0", some(seen), "sysctl -w "+off[0]+"=10000, and the same in /etc/sysctl.d"))
	default:
		list = append(list, has(check, "guests may have namespaces", some(seen)))
	}
	// Of Debian and Ubuntu. Root makes the namespaces of guests; it is for what is
	// nested in them.
	for _, name := range []string{"kernel/unprivileged_userns_clone", "kernel/apparmor_restrict_unprivileged_userns"} {
		if value := e.text("proc/sys/" + name); value != "" {
			list = append(list, has("namespace-nested", "who is not root may have user namespaces or not; guests do not need it, but containers in them do",
				strings.ReplaceAll(name, "/", ".")+"="+value))
		}
	}
	return list
}

// mapTools looks at what liblxc writes maps of IDs with where it finds it. Started by
// this package it does not, see [childEnv]; by lxc-autostart(1) or by hand it does.
func (e *examination) mapTools(context.Context) []provision.Finding {
	var list []provision.Finding
	for _, name := range []string{"newuidmap", "newgidmap"} {
		path := e.find(name)
		if path == "" {
			list = append(list, has(name, name+" is not installed: root writes the maps itself", ""))
			continue
		}
		info, err := fs.Stat(e.files, inside(path))
		switch {
		case err != nil:
			list = append(list, unknown(name, informs, name+" is setuid-root", err.Error(), "look at "+path))
		case info.Mode()&fs.ModeSetuid == 0:
			f := has(name, name+" is not setuid-root: only root can use it, unless it has capabilities", fmt.Sprintf("%s, mode %04o", path, info.Mode().Perm()))
			f.Remedy = "for containers of other users, chmod u+s " + path
			list = append(list, f)
		default:
			list = append(list, has(name, name+" is installed: lxc-start and lxc-autostart without this library take subordinate IDs of root", path))
		}
	}
	return list
}

// subordination is a line of /etc/subuid or /etc/subgid.
type subordination struct {
	who string // name or ID
	idRange
}

// parseSubordinate leaves out lines that are not as they should be, as shadow does
// (subuid(5)).
func parseSubordinate(text string) []subordination {
	var list []subordination
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 != nil || err2 != nil || count == 0 || first+count > math.MaxUint32 {
			continue
		}
		list = append(list, subordination{f[0], idRange{first, count}})
	}
	return list
}

// covers says whether ranges that root has contain all of r.
func covers(list []subordination, r idRange) bool {
	var own []idRange
	for _, s := range list {
		if s.who == "root" || s.who == "0" {
			own = append(own, s.idRange)
		}
	}
	slices.SortFunc(own, func(a, b idRange) int { return int(int64(a.first) - int64(b.first)) })
	next := r.first
	for _, o := range own {
		if o.first <= next && o.first+o.count > next {
			next = o.first + o.count
		}
	}
	return next >= r.first+r.count
}

// subordinate looks at who may use the IDs of guests, and how many there are.
func (e *examination) subordinate(context.Context) []provision.Finding {
	var list []provision.Finding
	want := fmt.Sprintf("root:%d:%d", e.ids.first, e.ids.count)
	for _, s := range []struct{ file, tool string }{{"subuid", "newuidmap"}, {"subgid", "newgidmap"}} {
		all := parseSubordinate(e.text("etc/" + s.file))
		switch {
		case e.find(s.tool) == "":
			list = append(list, has(s.file, "root may use all IDs of guests", s.tool+" is not installed"))
		case !covers(all, e.ids):
			list = append(list, lacks(s.file, cautions, "root may not use the IDs of guests, and none without privileges starts at boot or by hand, without this library", s.tool+" is installed, and /etc/"+s.file+" has no "+want,
				"echo "+want+" >>/etc/"+s.file))
		default:
			list = append(list, has(s.file, "root may use all IDs of guests", "/etc/"+s.file))
		}
		list = append(list, e.shared(s.file, all)...)
	}
	return append(append(list, e.users()...), e.blocksLeft())
}

// shared tells of users who may become what guests are.
func (e *examination) shared(file string, all []subordination) []provision.Finding {
	var others []string
	for _, s := range all {
		if s.who != "root" && s.who != "0" && s.first < e.ids.first+e.ids.count && e.ids.first < s.first+s.count {
			others = append(others, fmt.Sprintf("%s:%d:%d", s.who, s.first, s.count))
		}
	}
	if others == nil {
		return nil
	}
	return []provision.Finding{lacks(file+"-shared", cautions, "other users may use IDs of guests, and so their files and processes", "/etc/"+file+": "+some(others),
		"give guests a range that /etc/"+file+" gives nobody else")}
}

// users tells of those of the machine itself that are what guests are.
func (e *examination) users() []provision.Finding {
	var found []string
	for line := range strings.Lines(e.text("etc/passwd")) {
		f := strings.Split(line, ":")
		if len(f) < 3 {
			continue
		}
		if id, err := strconv.ParseUint(f[2], 10, 32); err == nil && id >= e.ids.first && id < e.ids.first+e.ids.count {
			found = append(found, oneLine(f[0])+" ("+f[2]+")")
		}
	}
	if found == nil {
		return nil
	}
	return []provision.Finding{lacks("id-users", cautions, "users of this machine have IDs of guests, and so their files and processes", some(found), "give guests a range that no user is in")}
}

func (e *examination) blocksLeft() provision.Finding {
	const check = "id-blocks"
	all := int(e.ids.count / perGuest)
	left := all - e.blocks
	seen := fmt.Sprintf("%d of %d blocks of %d IDs are free", max(left, 0), all, perGuest)
	switch {
	case left <= 0:
		return lacks(check, fails, "there are no IDs left for another guest", seen, "give guests a larger range of subordinate IDs")
	case left <= all/20:
		return lacks(check, cautions, "there are IDs left for few guests only", seen, "give guests a larger range of subordinate IDs")
	}
	return has(check, "there are IDs for more guests", seen)
}
