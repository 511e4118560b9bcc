//go:build linux

package lxc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/cgroup"
	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/hostnet"
)

// walkTime bounds the counting of a root's files, which only the tenant limits.
const walkTime = 2 * time.Second

// bootID is another one whenever the host has started: see random(4).
const bootID = "/proc/sys/kernel/random/boot_id"

// survey is what is read once for all guests.
type survey struct {
	boot   string
	net    *hostnet.State
	noNet  error
	single bool // one guest is asked for, by its ID
	disks  []cgroup.Device
	noDisk error
}

// Usage implements [provision.StatsReader]. The numbers are the host's, and the tenant
// cannot change them: those of the guest's control groups, and of the host's sides of
// its cards. A guest that reboots itself begins a new Run, as the kernel counts anew.
// Memory.Host counts the page cache that the guest has filled, Memory.Guest leaves out
// what of it has not been used lately. What a root takes up, other than one in an image
// file, is counted only where one guest is asked for, in at most two seconds.
func (b *Backend) Usage(ctx context.Context, ids []provision.ID) (map[provision.ID]provision.Usage, error) {
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return nil, err
	}
	s := &survey{boot: strings.TrimSpace(string(boot)), single: len(ids) == 1}
	s.net, s.noNet = hostnet.ReadLinks(ctx)
	s.disks, s.noDisk = cgroup.Volumes(b.opts.LXCPath)
	names, err := b.namesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := map[provision.ID]provision.Usage{}
	for _, g := range each(ctx, names, func(name string) guestUsage { return b.usageOf(ctx, name, s) })() {
		if err := ctxerr.Of(ctx); err != nil {
			return nil, err
		}
		if missing(g.err) {
			continue // deleted meanwhile
		}
		if g.err != nil && ids == nil { // which Status tells; the others are to be billed
			b.opts.Logger.WarnContext(ctx, "the usage of a guest is not read", "guest", g.name, "error", g.err)
			continue
		}
		if g.err != nil {
			return nil, g.err
		}
		if ids != nil && !slices.Contains(ids, g.id) {
			continue // it is another guest by now
		}
		if ids != nil || g.usage.Live() {
			all[g.id] = g.usage
		}
	}
	return all, ctxerr.Of(ctx)
}

// guestUsage is what one guest uses.
type guestUsage struct {
	name  string
	id    provision.ID
	usage provision.Usage
	err   error
}

func (b *Backend) usageOf(ctx context.Context, name string, s *survey) (g guestUsage) {
	g.name = name
	d, err := b.load(name)
	switch {
	case err != nil:
		g.err = err
	case d != nil:
		g.id = d.ID
		g.usage, g.err = b.usage(ctx, d, s)
	default:
		g.id = provision.ID(foreignPrefix + name)
		g.usage, g.err = b.foreignUsage(ctx, name, s)
	}
	return g
}

// namesOf finds guests by their IDs, and all if there is none.
func (b *Backend) namesOf(ctx context.Context, ids []provision.ID) ([]string, error) {
	if ids == nil {
		return b.names()
	}
	var list []string
	for _, id := range ids {
		if name, ok := foreignName(id); ok {
			if _, err := os.Lstat(b.at.file(name, fileConfig)); nameRE.MatchString(name) && err == nil {
				list = append(list, name)
			}
			continue
		}
		d, err := b.find(ctx, id)
		if errors.Is(err, provision.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, d.Spec.Name)
	}
	return list, nil
}

func unread(u *provision.Usage, path, format string, args ...any) {
	u.Unread = append(u.Unread, provision.Unread{Path: path, Reason: fmt.Sprintf(format, args...)})
}

// runOf names the run of a guest by its first process, which is another one after a
// start and after a reboot.
func (s *survey) runOf(init int) (string, error) {
	st, err := readStat(init)
	if gone(err) {
		return "", nil
	}
	return fmt.Sprintf("%s-%d", s.boot, st.started), err
}

// usage reads one of our guests.
func (b *Backend) usage(ctx context.Context, d *definition, s *survey) (u provision.Usage, err error) {
	u.Time = time.Now()
	l, err := b.lifeOf(d)
	if err != nil {
		return u, err
	}
	if l.init != 0 {
		if u.Run, err = s.runOf(l.init); err != nil {
			return u, err
		}
	}
	disk := provision.DiskUsage{Target: "root"}
	if u.Run != "" {
		g, err := b.group(d, groupGuest)
		if err != nil {
			return u, err
		}
		devices, err := b.devices(d, s)
		st := g.Stats(devices...)
		b.counters(&u, g, &st)
		transferred(&u, &disk, &st, err)
		s.nics(&u, d)
	}
	u.Disks = []provision.DiskUsage{disk}
	b.allocated(ctx, &u, d, s.single)
	return u, nil
}

// counters reads the guest's control groups.
func (b *Backend) counters(u *provision.Usage, g *cgroup.Group, st *cgroup.Stats) {
	if u.CPU = time.Duration(st.CPU.N); !st.CPU.Known() {
		unread(u, "cpu", "%s", st.CPU.Reason)
	}
	if u.Memory.Guest = provision.Bytes(st.Memory.N); !st.Memory.Known() {
		unread(u, "memory.guest", "%s", st.Memory.Reason)
	}
	file := "memory.current"
	if h, ok := b.groups.Find(cgroup.Memory); ok && h.Version == 1 {
		file = "memory.usage_in_bytes"
	}
	text, err := g.Get(cgroup.Memory, file)
	var list []int
	if err == nil {
		list, err = numbers(text)
	}
	if err == nil && len(list) == 1 {
		u.Memory.Host = provision.Bytes(list[0])
	} else {
		unread(u, "memory.host", "it cannot be read: %v", err)
	}
}

// devices are what the guest's root is on.
func (b *Backend) devices(d *definition, s *survey) ([]cgroup.Device, error) {
	if d.Root == RootImage {
		return cgroup.Volumes(b.rootOf(d).Path())
	}
	return s.disks, s.noDisk
}

// transferred counts what the guest did with the devices that its root is on.
func transferred(u *provision.Usage, disk *provision.DiskUsage, st *cgroup.Stats, err error) {
	switch {
	case err != nil:
		unread(u, "disks[0]", "%v", err)
		return
	case !st.ReadBytes.Known():
		unread(u, "disks[0]", "%s", st.ReadBytes.Reason)
		return
	}
	disk.Read, disk.Written = provision.Bytes(st.ReadBytes.N), provision.Bytes(st.WriteBytes.N)
	disk.Reads, disk.Writes = st.ReadOps.N, st.WriteOps.N
}

// nics reads the counters of the host's sides, which are counted from there.
func (s *survey) nics(u *provision.Usage, d *definition) {
	for i, n := range nicsFor(d) {
		use := provision.NICUsage{Device: n.Device(), MAC: n.MAC}
		switch {
		case s.noNet != nil:
			unread(u, fmt.Sprintf("nics[%d]", i), "the kernel does not tell of network devices: %v", s.noNet)
		default:
			c, ok := s.net.Counters(n)
			if !ok {
				unread(u, fmt.Sprintf("nics[%d]", i), "the host has no device %s", n.Device())
			}
			use.In, use.PacketsIn, use.DropsIn = provision.Bytes(c.RxBytes), c.RxPackets, c.RxDropped
			use.Out, use.PacketsOut, use.DropsOut = provision.Bytes(c.TxBytes), c.TxPackets, c.TxDropped
		}
		u.NICs = append(u.NICs, use)
	}
}

// allocated measures what the root takes up on the host.
func (b *Backend) allocated(ctx context.Context, u *provision.Usage, d *definition, single bool) {
	const path = "disks[0].allocated"
	r := b.rootOf(d)
	if d.Root == RootImage {
		var st unix.Stat_t
		if err := unix.Lstat(r.Store(), &st); err != nil {
			unread(u, path, "%s: %v", filepath.Base(r.Store()), err)
		}
		u.Disks[0].Allocated = provision.Bytes(st.Blocks * 512)
		return
	}
	if !single {
		unread(u, path, "to count the files of many guests takes too long: ask for one guest")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, walkTime)
	defer cancel()
	use, err := r.Usage(ctx)
	if err != nil {
		unread(u, path, "its files were not counted to the end: %v", err)
		return
	}
	u.Disks[0].Allocated = provision.Bytes(use.Bytes)
}

// foreignUsage tells only the run of a container of others: where its control groups
// and cards are is theirs to know.
func (b *Backend) foreignUsage(ctx context.Context, name string, s *survey) (u provision.Usage, err error) {
	u.Time = time.Now()
	var init int
	err = b.ask(ctx, name, func(lib library, name, path string) (err error) {
		init, err = lib.initPID(name, path)
		return err
	})
	if ctx.Err() != nil {
		return u, ctxerr.Of(ctx)
	}
	if err == nil && init > 0 {
		u.Run, err = s.runOf(init)
	}
	if err != nil { // its monitor does not answer, which keeps nobody else from being read
		b.opts.Logger.DebugContext(ctx, "a container of others cannot be asked", "name", name, "error", err)
		return u, nil
	}
	const reason = "the container was not made by this package"
	unread(&u, "disks", reason)
	if u.Live() {
		unread(&u, "cpu", reason)
		unread(&u, "memory", reason)
		unread(&u, "nics", reason)
	}
	return u, nil
}

var _ provision.StatsReader = (*Backend)(nil)
