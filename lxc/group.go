//go:build linux

package lxc

import (
	"path"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// Parts of a guest's control groups: those of lxc.cgroup.dir.*.
const (
	groupMonitor = "monitor"
	groupPivot   = "pivot" // what the monitor goes to in its end
	groupGuest   = "guest" // has the limits, out of the guest's reach
	groupInner   = "ns"    // what the guest sees as its own root, in the guest's group
)

// groupOf is a part of a guest's control groups, as a path in every hierarchy.
func groupOf(lxcPath string, id provision.ID, part ...string) string {
	return path.Join(append([]string{GroupsOf(lxcPath), string(id)}, part...)...)
}

func (b *Backend) groupPath(d *definition, part ...string) string {
	return groupOf(b.opts.LXCPath, d.ID, part...)
}

func (b *Backend) group(d *definition, part ...string) (*cgroup.Group, error) {
	return b.groups.Group(b.groupPath(d, part...))
}
