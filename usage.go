package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Usage is what a guest has used since it was last started, at one moment.
// Nothing in it is a zero for want of a number: what could not be read is named
// in Unread, and [Usage.Known] tells. In its JSON form what is not known is left
// out, amounts are numbers of bytes and CPU is in nanoseconds.
//
// A guest that is off has no counters: Run is empty, and nothing is known but
// what its disks take up on the host.
//
// Counters begin again at zero with each start of the guest, and when it moves
// to another host; a reboot from inside need not change them. Two readings can
// be subtracted if their Run is the same and no counter became smaller. Else the
// later reading is what the guest has used since a new start; what it used
// between the earlier reading and its stop is known to nobody. The counters of a
// disk or a NIC also begin again when it is taken out and put back.
type Usage struct {
	// Run tells one run of the guest, from a start to the next stop, from
	// another. Hypervisors may give it again, to a later run, when they or their
	// host are restarted: then only a counter that became smaller tells.
	Run  string
	Time time.Time // when it was read
	// CPU is the time that processors of the host spent on the guest, all of
	// them together, the hypervisor's own work for it included.
	CPU    time.Duration
	Memory MemoryUsage
	Disks  []DiskUsage
	NICs   []NICUsage
	// Unread names what could not be read, and why.
	Unread []Unread
}

// MemoryUsage is what memory is in use at the moment.
type MemoryUsage struct {
	// Host is what the guest occupies of its host's memory. It can be more than
	// what the guest may use: the hypervisor has needs of its own.
	Host Bytes
	// Guest is what is in use inside, caches not counted, as the guest itself
	// tells, possibly seconds ago: the tenant's word.
	Guest Bytes
}

// DiskUsage counts what a guest did with a disk.
type DiskUsage struct {
	Target  string // as in DiskStatus
	Read    Bytes
	Written Bytes
	Reads   uint64 // operations
	Writes  uint64
	// Allocated is what the disk takes up on the host at the moment. Of a disk
	// that stands on an image or a snapshot, that counts what is its own.
	Allocated Bytes
}

// NICUsage counts what went through a NIC, as the guest sees it: In is what it
// received.
type NICUsage struct {
	Device     string // the host's side of it
	MAC        MAC    // zero: the configuration does not name the host's side
	In         Bytes
	Out        Bytes
	PacketsIn  uint64
	PacketsOut uint64
	DropsIn    uint64 // packets for the guest that did not reach it
	DropsOut   uint64
}

// Unread is a part of a Usage that could not be read.
type Unread struct {
	// Path is one of cpu, memory, memory.host, memory.guest, disks, disks[i],
	// disks[i].allocated, nics, nics[i]; a path stands for all that is below it.
	// disks[i] does not stand for the allocated bytes, which need not be asked of
	// the hypervisor's process.
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// StatsReader reads what guests use.
type StatsReader interface {
	// Usage returns the usage of the guests with these IDs, or of all that are on
	// if ids is nil, foreign ones included, in a number of round trips that does
	// not grow with theirs. A guest that is not there is left out; one whose
	// hypervisor process does not answer is there, with what can be told without
	// it, and does not keep the others from being read. NICs need not have a MAC
	// where Status tells it.
	Usage(ctx context.Context, ids []ID) (map[ID]Usage, error)
}

// Live reports whether the guest was on, so that there are counters.
func (u *Usage) Live() bool { return u.Run != "" }

// Known reports whether a number is one, by its path: cpu, memory.host,
// memory.guest, disks[i] for the counters of a disk, disks[i].allocated, or
// nics[i].
func (u *Usage) Known(path string) bool {
	allocated := strings.HasSuffix(path, ".allocated")
	if !u.Live() && !allocated {
		return false
	}
	for _, n := range u.Unread {
		rest, below := strings.CutPrefix(path, n.Path)
		switch {
		case rest == "" && below:
			return false
		case below && (rest[0] == '.' || rest[0] == '[') && (!allocated || n.Path == "disks"):
			return false
		}
	}
	return true
}

// Usage returns what the guest has used since it was started: see [Usage]. Of a
// guest that is off, only what its disks take up is known. It works for guests
// that are not managed too, and is [errors.ErrUnsupported] where
// [Host.Supports] says so.
func (g *Guest) Usage(ctx context.Context) (Usage, error) {
	u, err := g.usage(ctx)
	return u, g.wrap("read the usage of", err)
}

func (g *Guest) usage(ctx context.Context) (Usage, error) {
	if _, err := need[StatsReader](g.host, FeatureUsage); err != nil {
		return Usage{}, err
	}
	st, _, err := g.look(ctx)
	if err != nil {
		return Usage{}, err
	}
	all, err := g.host.usage(ctx, Call{Op: "usage", Guest: g.name, ID: g.id}, []ID{g.id})
	if err != nil {
		return Usage{}, err
	}
	u, ok := all[g.id]
	if !ok {
		return Usage{}, fmt.Errorf("%w: it was deleted meanwhile", ErrNotFound)
	}
	u.name(st.NICs)
	return u, nil
}

// usage is the one call for it.
func (h *Host) usage(ctx context.Context, c Call, ids []ID) (all map[ID]Usage, err error) {
	r, err := need[StatsReader](h, FeatureUsage)
	if err != nil {
		return nil, err
	}
	err = h.call(ctx, c, func(ctx context.Context) (err error) {
		all, err = r.Usage(ctx, ids)
		return err
	})
	return all, err
}

// listed is list, with the usage of the guests that are on if that is wanted:
// both are asked for at the same time.
func (h *Host) listed(ctx context.Context, withUsage bool) ([]Status, error) {
	if !withUsage {
		return h.list(ctx)
	}
	if err := h.Supports(FeatureUsage); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var usage map[ID]Usage
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		usage, failed = h.usage(ctx, Call{Op: "usage"}, nil)
	}()
	all, err := h.list(ctx)
	if err != nil {
		cancel()
	}
	<-done
	if err = cmp.Or(err, failed); err != nil {
		return nil, err
	}
	for i := range all {
		if u, ok := usage[all[i].ID]; ok {
			u.name(all[i].NICs)
			all[i].Usage = &u
		}
	}
	return all, nil
}

// name adds the MACs that the configuration tells.
func (u *Usage) name(nics []NICStatus) {
	for i := range u.NICs {
		n := &u.NICs[i]
		at := slices.IndexFunc(nics, func(s NICStatus) bool { return s.Device != "" && s.Device == n.Device })
		if n.MAC.IsZero() && at >= 0 {
			n.MAC = nics[at].MAC
		}
	}
}
