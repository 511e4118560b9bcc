package kvm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/guestforge/provision"
)

// usageGroups are the statistics that make a Usage. All but the interface ones
// may ask the guest's QEMU.
const usageGroups = libvirt.DomainStatsCPUTotal | libvirt.DomainStatsBalloon | libvirt.DomainStatsInterface | libvirt.DomainStatsBlock

// Why something was not read.
const (
	noAnswer = "its QEMU does not answer, or is busy with another operation"
	givenUp  = "it was given up, because the QEMU of this guest or of another does not answer"
)

// Usage implements [provision.StatsReader]. One call reads all guests. A QEMU
// that does not answer holds that call up for all of them; it is then given up,
// and the others are read without it, see isolate.
func (b *Backend) Usage(ctx context.Context, ids []provision.ID) (map[provision.ID]provision.Usage, error) {
	var doms []libvirt.Domain
	for _, id := range ids {
		d, err := domainOf(id)
		if err == nil { // else it is no guest of ours
			doms = append(doms, d)
		}
	}
	if ids != nil && len(doms) == 0 {
		return map[provision.ID]provision.Usage{}, nil // libvirt takes no domains for all
	}
	all, err := b.poll(ctx, doms, usageGroups, pollTimeout, noAnswer)
	if errors.Is(err, errLate) {
		return b.isolate(ctx, doms)
	}
	return all, err
}

type usages = map[provision.ID]provision.Usage

// poll makes one call, within a time of its own. What is missing in the answer is
// so because of why.
func (b *Backend) poll(ctx context.Context, doms []libvirt.Domain, groups libvirt.DomainStatsTypes, most time.Duration, why string) (usages, error) {
	most = min(most, b.opts.Timeout)
	short, cancel := context.WithTimeoutCause(ctx, most, errLate)
	defer cancel()
	var all usages
	err := b.read(short, func(l *libvirt.Libvirt) error {
		read := make(usages, len(doms))
		// Of a guest whose QEMU another call waits for, NOWAIT gets at once what
		// is known without it.
		flags := libvirt.ConnectGetAllDomainsStatsNowait
		if doms == nil {
			// Of domains that are off libvirt would open all disks.
			flags |= libvirt.ConnectGetAllDomainsStatsActive
		}
		err := allStats(l, doms, groups, flags, func(d libvirt.Domain, stats []stat) {
			id := provision.ID(uuid.UUID(d.UUID).String())
			read[id] = usageOf(id, d.ID, stats, why)
		})
		if err != nil {
			return err
		}
		now := time.Now()
		for id, u := range read {
			u.Time = now
			read[id] = u
		}
		all = read
		return nil
	})
	var unasked notSent
	if errors.Is(err, errLate) && errors.As(err, &unasked) && ctx.Err() == nil {
		// Which is no guest's fault: all connections are in use, or libvirtd takes none.
		return nil, fmt.Errorf("%w: libvirtd could not be asked for statistics within %s", provision.ErrUnavailable, most)
	}
	return all, err
}

// usageOf reads the statistics of one domain. A domain that is off has ID -1.
func usageOf(id provision.ID, run int32, stats []stat, why string) provision.Usage {
	r := usageReader{seed: seedName(id)}
	for _, s := range stats {
		r.add(s)
	}
	// What libvirt 9.0 gives as the CPU time of a domain that is off is its own.
	live := run >= 0
	u := &provision.Usage{}
	if live {
		*u = provision.Usage{Run: strconv.Itoa(int(run)), CPU: r.cpu, Memory: r.memory(), NICs: r.nics}
		r.missing(u, why)
	}
	if !r.hasBlocks {
		unread(u, "disks", why)
	}
	r.disks(u, live, why)
	return *u
}

// missing notes what is not known of a guest that is on, beside its disks.
func (r *usageReader) missing(u *provision.Usage, why string) {
	if !r.hasCPU && r.hasBlocks { // which QEMU told
		unread(u, "cpu", "libvirtd's control groups have no controller cpuacct")
	} else if !r.hasCPU {
		unread(u, "cpu", why)
	}
	switch {
	case !r.hasRSS:
		unread(u, "memory", why)
	case !r.hasBalloon():
		unread(u, "memory.guest", "its balloon driver does not tell; there may be none, or it has not begun yet")
	}
	for i, ok := range r.counted {
		if !ok {
			unread(u, fmt.Sprintf("nics[%d]", i), "libvirt does not count what goes through a NIC of this kind")
		}
	}
}

func unread(u *provision.Usage, path, reason string) {
	u.Unread = append(u.Unread, provision.Unread{Path: path, Reason: reason})
}

// usageReader collects the statistics of a domain.
type usageReader struct {
	seed                          string
	cpu                           time.Duration
	rss, available, usable, free  uint64 // KiB
	hasCPU, hasRSS                bool
	hasAvailable, hasUse, hasFree bool
	hasBlocks                     bool
	blocks                        []block
	nics                          []provision.NICUsage
	counted                       []bool
}

// block is a disk, the seed included.
type block struct {
	provision.DiskUsage
	seed, hasCounters, hasPhysical, hasAllocation bool
	physical, allocation                          uint64
}

// maxDevices bounds what a strange reply can make us allocate: a guest has a few
// dozen of them at most.
const maxDevices = 1024

func (r *usageReader) add(s stat) {
	group, name, _ := strings.Cut(s.field, ".")
	switch group {
	case "cpu":
		if name == "time" {
			r.cpu, r.hasCPU = time.Duration(s.num), true
		}
	case "balloon":
		r.addBalloon(name, s.num)
	case "net":
		if i, name, ok := indexed(name); ok && i < maxDevices {
			for len(r.nics) <= i {
				r.nics, r.counted = append(r.nics, provision.NICUsage{}), append(r.counted, false)
			}
			r.counted[i] = addNIC(&r.nics[i], name, s) || r.counted[i]
		}
	case "block":
		r.hasBlocks = true
		if i, name, ok := indexed(name); ok && i < maxDevices {
			for len(r.blocks) <= i {
				r.blocks = append(r.blocks, block{})
			}
			r.addBlock(&r.blocks[i], name, s)
		}
	}
}

func (r *usageReader) addBalloon(name string, n uint64) {
	switch name {
	case "rss":
		r.rss, r.hasRSS = n, true
	case "available":
		r.available, r.hasAvailable = n, true
	case "usable":
		r.usable, r.hasUse = n, true
	case "unused":
		r.free, r.hasFree = n, true
	}
}

// hasBalloon: the driver in the guest has told what it knows. Old ones do not
// tell what is usable, which is what is free and what caches would give up.
func (r *usageReader) hasBalloon() bool { return r.hasAvailable && (r.hasUse || r.hasFree) }

func (r *usageReader) memory() provision.MemoryUsage {
	m := provision.MemoryUsage{Host: provision.Bytes(r.rss) * provision.KiB}
	left := r.usable
	if !r.hasUse {
		left = r.free
	}
	if r.hasBalloon() && left <= r.available { // else the guest tells nonsense: nothing in use
		m.Guest = provision.Bytes(r.available-left) * provision.KiB
	}
	return m
}

// addNIC notes a statistic of a NIC; libvirt's are as the guest sees them. It
// reports whether that was a counter.
func addNIC(n *provision.NICUsage, name string, s stat) bool {
	switch name {
	case "name":
		n.Device = strings.Clone(s.text)
		return false
	case "rx.bytes":
		n.In = provision.Bytes(s.num)
	case "rx.pkts":
		n.PacketsIn = s.num
	case "rx.drop":
		n.DropsIn = s.num
	case "tx.bytes":
		n.Out = provision.Bytes(s.num)
	case "tx.pkts":
		n.PacketsOut = s.num
	case "tx.drop":
		n.DropsOut = s.num
	default:
		return false
	}
	return true
}

func (r *usageReader) addBlock(d *block, name string, s stat) {
	switch name {
	case "name":
		d.Target = strings.Clone(s.text)
	case "path":
		d.seed = path.Base(s.text) == r.seed
	case "rd.bytes":
		d.Read, d.hasCounters = provision.Bytes(s.num), true
	case "rd.reqs":
		d.Reads = s.num
	case "wr.bytes":
		d.Written = provision.Bytes(s.num)
	case "wr.reqs":
		d.Writes = s.num
	case "physical":
		d.physical, d.hasPhysical = s.num, true
	case "allocation":
		d.allocation, d.hasAllocation = s.num, true
	}
}

// disks adds the disks to u. What one takes up is in "physical" when QEMU told it,
// and in "allocation" when libvirt looked at the file, as it does where there is no
// QEMU; the other one is then something else.
func (r *usageReader) disks(u *provision.Usage, live bool, why string) {
	for _, d := range r.blocks {
		if d.seed {
			continue
		}
		allocated, ok := d.physical, d.hasPhysical
		if !d.hasCounters {
			allocated, ok = d.allocation, d.hasAllocation
		}
		d.Allocated = provision.Bytes(allocated)
		u.Disks = append(u.Disks, d.DiskUsage)
		silent := live && !d.hasCounters
		if ok && !silent {
			continue
		}
		at, reason := fmt.Sprintf("disks[%d]", len(u.Disks)-1), "libvirt cannot look at what the disk is kept in"
		if silent {
			reason = why
			unread(u, at, reason)
		}
		if !ok {
			unread(u, at+".allocated", reason)
		}
	}
}
