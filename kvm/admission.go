package kvm

import (
	"context"
	"fmt"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// overhead is what QEMU takes beside the memory of a guest: its own code and heap,
// stacks of its threads, a page table of the guest's memory, and for a guest that
// is emulated the cache of translated code (domainxml bounds it). QEMU 7.2 begins
// with 45 MiB beside an emulated guest, and guests at work were seen with 100 to
// 300 MiB.
func overhead(s *provision.Spec) provision.Bytes { return overheadOf(s.CPU.Count, s.Memory.Size) }

func overheadOf(cpus int, memory provision.Bytes) provision.Bytes {
	return 192*provision.MiB + provision.Bytes(cpus)*4*provision.MiB + memory/128
}

// room is the account of a host's memory.
type room struct {
	available provision.Bytes // free, or a cache that the kernel gives up
	reserve   provision.Bytes // kept for the host itself
	// promised is what guests that run may still take, and what guests with
	// guaranteed memory take that are off.
	promised provision.Bytes
	huge     provision.Bytes // free in the pool of huge pages
	hugeDue  provision.Bytes // of it, for guests with guaranteed memory that are off
}

// admit returns an ErrCapacity unless the host has the memory that a guest is to
// be guaranteed. The guest itself does not count where it is there already.
func (b *Backend) admit(ctx context.Context, s *provision.Spec) error {
	if !s.Memory.Guaranteed && !s.Memory.HugePages {
		return nil
	}
	r, err := b.room(ctx, s.Name)
	if err != nil {
		return err
	}
	return r.admit(s)
}

func (r *room) admit(s *provision.Spec) error {
	need := overhead(s)
	if !s.Memory.HugePages {
		need += s.Memory.Size
	} else if r.huge < r.hugeDue+s.Memory.Size {
		return fmt.Errorf("%w: the guest takes %s of huge pages, and of the %s that are free, %s are promised to guests that are off",
			provision.ErrCapacity, human(s.Memory.Size), human(r.huge), human(r.hugeDue))
	}
	if s.Memory.Guaranteed && r.available < r.reserve+r.promised+need {
		return fmt.Errorf("%w: the guest takes %s, QEMU's own part included; of the %s that are free or cache, %s are kept for the host and %s are promised to other guests",
			provision.ErrCapacity, human(need), human(r.available), human(r.reserve), human(r.promised))
	}
	return nil
}

// human rounds down to MiB.
func human(n provision.Bytes) provision.Bytes { return n / provision.MiB * provision.MiB }

// room looks at the host and at all guests but one.
func (b *Backend) room(ctx context.Context, but string) (*room, error) {
	r := &room{}
	resident, err := b.residents(ctx)
	if err != nil {
		return nil, err
	}
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		*r = room{}
		if err := r.host(l, b.opts.MemoryReserve); err != nil {
			return err
		}
		all, _, err := l.ConnectListAllDomains(1, 0)
		if err != nil {
			return err
		}
		for _, d := range all {
			if d.Name == but {
				continue
			}
			if err := r.guest(l, d, resident); err != nil && !hasCode(err, libvirt.ErrNoDomain) {
				return err
			}
		}
		return nil
	})
	if size := b.known().huge; err == nil && size != 0 {
		var n uint64
		n, err = b.freeHugePages(ctx, size)
		r.huge = provision.Bytes(n*size) * provision.KiB
	}
	return r, err
}

// host: libvirt does not pass on MemAvailable of /proc/meminfo. Cache counts as
// available, though the part of it that is shared memory is not: the reserve is
// for that, too.
func (r *room) host(l *libvirt.Libvirt, reserve provision.Bytes) error {
	_, n, err := l.NodeGetMemoryStats(0, -1, 0) // how many there are, and it takes no other number
	if err != nil {
		return err
	}
	stats, _, err := l.NodeGetMemoryStats(n, -1, 0)
	if err != nil {
		return err
	}
	var total provision.Bytes
	for _, s := range stats {
		switch n := provision.Bytes(s.Value) * provision.KiB; s.Field {
		case "total":
			total = n
		case "free", "buffers", "cached":
			r.available += n
		}
	}
	if r.reserve = reserve; reserve == 0 {
		r.reserve = max(512*provision.MiB, total/20)
	}
	return nil
}

// statsTime is how long libvirtd may take to ask each QEMU for its statistics.
const statsTime = 5 * time.Second

// residents returns what each guest that runs holds of the host's memory. libvirtd
// waits for a QEMU that hangs, but only once: while it does, it leaves that guest
// out of further answers, which then counts as if it held nothing yet.
func (b *Backend) residents(ctx context.Context) (map[libvirt.UUID]provision.Bytes, error) {
	ask := func(patience time.Duration) (map[libvirt.UUID]provision.Bytes, error) {
		held := map[libvirt.UUID]provision.Bytes{}
		err := b.conns.do(ctx, patience, func(l *libvirt.Libvirt) error {
			return allStats(l, nil, libvirt.DomainStatsBalloon, libvirt.ConnectGetAllDomainsStatsActive|libvirt.ConnectGetAllDomainsStatsNowait,
				func(d libvirt.Domain, stats []stat) { held[d.UUID] = residentOf(stats) })
		})
		if err != nil {
			return nil, err // what gave up may still write the map
		}
		return held, nil
	}
	held, err := ask(min(statsTime, b.opts.Timeout))
	if err != nil && ctx.Err() == nil {
		held, err = ask(b.opts.Timeout)
	}
	return held, err
}

func residentOf(stats []stat) provision.Bytes {
	for _, s := range stats {
		if s.field == libvirt.DomainStatsBalloonRss {
			return provision.Bytes(s.num) * provision.KiB
		}
	}
	return 0
}

// guest adds what a guest may still take.
func (r *room) guest(l *libvirt.Libvirt, d libvirt.Domain, resident map[libvirt.UUID]provision.Bytes) error {
	runs := d.ID >= 0 // as ConnectListAllDomains has it
	flags := libvirt.DomainXMLInactive
	if runs {
		flags = 0
	}
	text, err := l.DomainGetXMLDesc(d, flags)
	if err != nil {
		return err
	}
	t, err := parseTuned(text)
	if err != nil {
		return err
	}
	size := provision.Bytes(t.Memory.KiB) * provision.KiB
	need := overheadOf(t.VCPUs, size)
	if t.Backing.Huge == nil {
		need += size
	}
	switch {
	case runs:
		r.promised += need - min(need, resident[d.UUID])
	case t.guaranteed():
		r.promised += need
		if t.Backing.Huge != nil {
			r.hugeDue += size
		}
	}
	return nil
}

// admitStart looks again before a guest with guaranteed memory starts.
func (b *Backend) admitStart(ctx context.Context, id provision.ID) error {
	d, err := domainOf(id)
	if err != nil {
		return err
	}
	var text string
	if err := b.read(ctx, func(l *libvirt.Libvirt) error {
		active, err := l.DomainIsActive(d)
		if err == nil && active == 0 {
			text, err = l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
		}
		return err
	}); err != nil || text == "" {
		return err
	}
	t, err := parseTuned(text)
	if err != nil || !t.guaranteed() && t.Backing.Huge == nil {
		return err
	}
	return b.admit(ctx, t.spec())
}

// spec is as much of a Spec as admission looks at.
func (t *tuned) spec() *provision.Spec {
	return &provision.Spec{
		Name: t.Name, CPU: provision.CPU{Count: t.VCPUs},
		Memory: provision.Memory{Size: provision.Bytes(t.Memory.KiB) * provision.KiB, Guaranteed: t.guaranteed(), HugePages: t.Backing.Huge != nil},
	}
}
