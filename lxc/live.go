//go:build linux

package lxc

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
)

// verify reads the limits of a guest that was just started back: one that is not in
// effect although the kernel has it would be a guest without limits.
func (b *Backend) verify(d *definition) error {
	g, err := b.group(d, groupGuest)
	if err != nil {
		return err
	}
	want, err := b.allLimits(d)
	if err != nil {
		return err
	}
	able := map[cgroup.Name]bool{}
	for _, v := range b.groups.Judge(want) {
		able[v.Limit] = v.Enforcement != cgroup.NotEnforced
	}
	if d.Spec.Memory.Guaranteed {
		if err := g.Protect(); err != nil {
			return err
		}
	}
	_, verdicts, err := g.Verify(want)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v.Enforcement == cgroup.NotEnforced && able[v.Limit] {
			return fmt.Errorf("%w: the limit %s of its control group is not in effect: %s", provision.ErrUnavailable, v.Limit, v.Reason)
		}
	}
	return nil
}

// liveLimits adds what the kernel has for a guest that is on, if it still is: a group
// that is gone has no limits, which is not to be told of a guest.
func (b *Backend) liveLimits(d *definition, l life, st *provision.Status) (there bool, err error) {
	g, err := b.group(d, groupGuest)
	if err != nil {
		return false, err
	}
	want, err := b.allLimits(d)
	if err != nil {
		return false, err
	}
	have, verdicts, err := g.Verify(want)
	if err != nil || !g.Exists() {
		return false, err
	}
	b.setLimits(d, st, want, have, verdicts)
	st.Limits = append(st.Limits, b.lacksDisk(d)...)
	b.readDisk(d, st)
	if d.Spec.Limits.OpenFiles != 0 {
		st.Limits = append(st.Limits, openFiles(l.init))
	}
	return true, nil
}

// configuredLimits adds what a guest that is off will have, as its configuration says.
func (b *Backend) configuredLimits(d *definition, conf settings, st *provision.Status) error {
	have, err := limitsIn(b.groups, conf)
	if err != nil {
		return err
	}
	want, err := b.plannedLimits(d)
	if err != nil {
		return err
	}
	if d.Root == RootImage { // the hook sets them
		have.IO = want.IO
	}
	b.setLimits(d, st, want, have, b.groups.Compare(want, have))
	st.Limits = append(st.Limits, b.lacksDisk(d)...)
	b.readDisk(d, st)
	st.Disks[0].Size = max(st.Disks[0].Size, d.Spec.Disks[0].Size) // which the next start grows it to
	// Its hook puts the rest in place when it is started, or the start fails.
	for i := range d.Spec.NICs {
		st.Limits = append(st.Limits, foretellNIC(i, &d.Spec.NICs[i])...)
		if i < len(st.NICs) {
			st.NICs[i].Isolated = d.Spec.NICs[i].Isolated
		}
	}
	if n := conf.last("lxc.prlimit.nofile"); n != "" {
		st.Limits = append(st.Limits, provision.Limit{Path: "limits.openFiles", Have: n, Enforcement: provision.Enforced})
	}
	return nil
}

// setLimits adds what a guest has, or will have.
func (b *Backend) setLimits(d *definition, st *provision.Status, want, have *cgroup.Limits, verdicts []cgroup.Verdict) {
	if have.Swap == cgroup.NoLimit && !b.groups.SwapAccounting {
		have.Swap = 0 // not told
	}
	st.Memory = provision.Bytes(have.Memory)
	st.Limits = append(st.Limits, limitsInEffect(d, want, have, verdicts)...)
	sees, meant := b.sees(have.CPUs), b.sees(d.Pin)
	if sees != meant { // changed by others, which Host tells by the number
		st.CPUs = sees
		return
	}
	st.CPUs = d.Spec.CPU.Count
	st.Limits = append(st.Limits, b.foretellCount(&d.Spec)...)
}

// sees is how many processors a guest sees that has these.
func (b *Backend) sees(cpus []int) int {
	if len(cpus) == 0 {
		return len(b.host.cpus)
	}
	return len(cpus)
}

// readDisk reads the size of a root that has one, and how many files it can hold.
func (b *Backend) readDisk(d *definition, st *provision.Status) {
	if d.Root != RootImage {
		return
	}
	if info, err := os.Stat(b.rootOf(d).Store()); err == nil {
		st.Disks[0].Size = provision.Bytes(info.Size())
	}
	want := d.Spec.Disks[0].Inodes
	if want == 0 {
		return
	}
	have := want // as it was made, while it is not mounted
	var fs unix.Statfs_t
	if mounted, err := b.rootOf(d).Mounted(); err == nil && mounted && unix.Statfs(b.rootOf(d).Path(), &fs) == nil {
		have = fs.Files
	}
	// Each group of blocks has as many as fill whole blocks of its table.
	if spare := uint64(fs.Blocks)*uint64(fs.Bsize)/groupBytes*inodesOfBlock + inodesOfBlock; have > want && have-want <= spare {
		have = want
	}
	limit := provision.Limit{Path: "disks[0].inodes", Have: strconv.FormatUint(have, 10), Enforcement: provision.Enforced}
	if have > want {
		limit.Enforcement, limit.Reason = provision.Partial, "a file system that has grown has more inodes, in proportion"
	}
	st.Limits = append(st.Limits, limit)
}

// ext4 with blocks of 4 KiB.
const (
	groupBytes    = 128 << 20
	inodesOfBlock = 4096 / 256
)

// openFiles reads the limit that the guest's first process has, and what it starts.
func openFiles(init int) provision.Limit {
	l := provision.Limit{Path: "limits.openFiles", Enforcement: provision.Enforced}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", init))
	if err != nil {
		l.Enforcement, l.Reason = provision.NotEnforced, err.Error()
		return l
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 1 {
				l.Have = f[1] // the hard one
			}
		}
	}
	return l
}
