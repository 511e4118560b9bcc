package kvm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// trials remembers what trial guests found out about limits. Neither libvirt's
// capabilities nor any other call tells whether it has control groups, may lock
// memory, or has a kernel with the queues that it limits networks with; a guest
// that asks for it, and never executes an instruction, takes half a second.
type trials struct {
	mu    sync.Mutex
	known host
	done  map[provision.Feature]verdict
}

// verdict of a trial. One against a feature is believed for verdictLife: somebody
// may have set the host up meanwhile.
type verdict struct {
	err error // an UnsupportedError of the feature, or nil
	at  time.Time
}

const verdictLife = time.Minute

// verdict returns what is known of a feature.
func (t *trials) verdict(f provision.Feature) (error, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.done[f]
	return v.err, ok && (v.err == nil || time.Since(v.at) < verdictLife)
}

func (t *trials) keep(f provision.Feature, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = map[provision.Feature]verdict{}
	}
	t.done[f] = verdict{err, time.Now()}
}

// against says whether an error is a verdict against this feature: one of another,
// as of KVM, says nothing of it.
func against(f provision.Feature, err error) bool {
	no := new(provision.UnsupportedError)
	return errors.As(err, &no) && no.Feature == f
}

// untried are the features that take a trial.
var untried = []provision.Feature{
	provision.FeatureCPULimit, provision.FeatureCPUWeight, provision.FeatureMemoryHugePages, provision.FeatureNICRate,
}

// featureLocks is no feature of Spec: guaranteed memory is partial without it.
const featureLocks provision.Feature = "locked memory"

// Try implements [provision.Trier].
func (b *Backend) Try(ctx context.Context, f provision.Feature) error {
	switch f {
	case provision.FeatureCPULimit:
		return b.tried(ctx, f, b.tryCPU)
	case provision.FeatureCPUWeight: // of the same group
		err := b.Try(ctx, provision.FeatureCPULimit)
		if no := new(provision.UnsupportedError); errors.As(err, &no) && no.Feature == provision.FeatureCPULimit {
			return &provision.UnsupportedError{Feature: f, Kind: no.Kind, Reason: no.Reason}
		}
		return err
	case provision.FeatureMemoryHugePages:
		return b.tried(ctx, f, b.tryHugePages)
	case provision.FeatureNICRate:
		return b.tried(ctx, f, b.tryRate)
	case featureLocks:
		return b.tried(ctx, f, b.tryLocks)
	}
	return nil
}

// learn makes the trials that decide on how the limits of a Spec are written, and
// returns what is known then.
func (b *Backend) learn(ctx context.Context, s *provision.Spec) (host, error) {
	var errs []error
	if s.CPU.Weight != 0 {
		errs = append(errs, b.Try(ctx, provision.FeatureCPUWeight))
	}
	if s.Memory.Guaranteed && !s.Memory.HugePages {
		if err := b.Try(ctx, featureLocks); !errors.Is(err, errors.ErrUnsupported) {
			errs = append(errs, err)
		}
	}
	return b.known(), errors.Join(errs...)
}

func (b *Backend) known() host {
	b.trials.mu.Lock()
	defer b.trials.mu.Unlock()
	return b.trials.known
}

func (b *Backend) know(set func(*host)) {
	b.trials.mu.Lock()
	defer b.trials.mu.Unlock()
	set(&b.trials.known)
}

// errNotNow is the verdict of a trial that could not be made and is no reason
// against the feature.
var errNotNow = errors.New("the trial cannot be made now")

// tried makes a trial unless its verdict is known. Two at once do no harm.
func (b *Backend) tried(ctx context.Context, f provision.Feature, try func(context.Context) error) error {
	if err, known := b.trials.verdict(f); known {
		return err
	}
	err := try(ctx)
	switch {
	case errors.Is(err, errNotNow):
		return nil
	case err == nil || against(f, err):
		b.trials.keep(f, err)
	}
	return err
}

// errNoTrial is about a host on which no trial guest starts: whether a feature can
// be had is then not known.
var errNoTrial = errors.New("a trial guest of which nothing is asked does not start")

// notStarted is libvirt's refusal to start a trial guest.
type notStarted struct{ error }

// Unwrap returns libvirt's error.
func (e notStarted) Unwrap() error { return e.error }

// trialGuest starts a guest that stays paused and ends with its connection. What
// libvirt has against it is an UnsupportedError, if a guest without it starts:
// libvirt's codes do not tell a host that is short of memory, or a daemon that is
// about to end, from what cannot be had.
func (b *Backend) trialGuest(ctx context.Context, f provision.Feature, devices string, set func(*domainxml.Guest)) error {
	err := b.startTrial(ctx, devices, set, nil)
	var refused notStarted
	var answer libvirt.Error
	if !errors.As(err, &refused) || !errors.As(refused, &answer) {
		return err
	}
	if plain := b.startTrial(ctx, "", func(*domainxml.Guest) {}, nil); plain != nil {
		return fmt.Errorf("%w: %w", errNoTrial, err)
	}
	return refusedTrial(f, answer.Message)
}

func (b *Backend) startTrial(ctx context.Context, devices string, set func(*domainxml.Guest), look func(*libvirt.Libvirt, libvirt.Domain) error) error {
	emulated, err := b.emulated(ctx)
	if err != nil {
		return err
	}
	id, err := newTrial()
	if err != nil {
		return err
	}
	g := domainxml.Guest{Name: trialPrefix + string(id), UUID: string(id), CPUs: 1, Memory: 32 << 20, Emulated: emulated}
	set(&g)
	text, err := domainxml.Build(g)
	if err != nil {
		return err
	}
	doc := strings.Replace(string(text), "</devices>", devices+"</devices>", 1)
	return b.write(ctx, func(l *libvirt.Libvirt) error {
		d, err := l.DomainCreateXML(doc, libvirt.DomainStartAutodestroy|libvirt.DomainStartPaused)
		if err != nil {
			return notStarted{err}
		}
		if look != nil {
			err = look(l, d)
		}
		if derr := l.DomainDestroyFlags(d, 0); derr != nil && !hasCode(derr, libvirt.ErrNoDomain) {
			return errors.Join(err, derr)
		}
		return err
	})
}

func refusedTrial(f provision.Feature, why string) error {
	lines := strings.Split(strings.TrimSpace(why), "\n")
	return &provision.UnsupportedError{Feature: f, Kind: "kvm", Reason: "a trial guest with it does not start: " + stampRE.ReplaceAllString(lines[0], "")}
}

// tryCPU looks at a guest of which nothing is asked: its control group shows the
// version. With no such group libvirt refuses a quota, and forgets shares.
func (b *Backend) tryCPU(ctx context.Context) error {
	err := b.startTrial(ctx, "", func(*domainxml.Guest) {}, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		_, err := b.scheduler(l, d)
		return err
	})
	var refused notStarted
	switch {
	case errors.Is(err, errNoCPUController):
		return &provision.UnsupportedError{Feature: provision.FeatureCPULimit, Kind: "kvm", Reason: errNoCPUController.Error()}
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", errNoTrial, err)
	}
	return err
}

// tryLocks leaves what was known where there is no verdict.
func (b *Backend) tryLocks(ctx context.Context) error {
	err := b.trialGuest(ctx, featureLocks, "", func(g *domainxml.Guest) { g.Backing.Locked, g.Backing.HardLimit = true, 2<<30 })
	if err == nil || against(featureLocks, err) {
		b.know(func(h *host) { h.locks = err == nil })
	}
	return err
}

// tryHugePages takes one page.
func (b *Backend) tryHugePages(ctx context.Context) error {
	size := b.known().huge
	free, err := b.freeHugePages(ctx, size)
	if err != nil {
		return err
	}
	if free == 0 {
		return errNotNow
	}
	return b.trialGuest(ctx, provision.FeatureMemoryHugePages, "", func(g *domainxml.Guest) {
		g.Memory, g.Backing.HugePages = size<<10, size
	})
}

// tryRate needs no bridge: its device is a tap of its own.
func (b *Backend) tryRate(ctx context.Context) error {
	const nic = `<interface type="ethernet"><model type="virtio"/><bandwidth><inbound average="1024"/><outbound average="1024"/></bandwidth></interface>`
	return b.trialGuest(ctx, provision.FeatureNICRate, nic, func(*domainxml.Guest) {})
}

// probeHugePages takes the smallest size of which the host has a pool.
func (b *Backend) probeHugePages(c *libvirtxml.Caps, info *provision.Info) {
	size := uint64(0)
	if c.Host.NUMA != nil && c.Host.NUMA.Cells != nil {
		for _, cell := range c.Host.NUMA.Cells.Cells {
			for _, p := range cell.PageInfo {
				if n := uint64(p.Size); p.Count > 0 && n > 4 && (size == 0 || n < size) {
					size = n
				}
			}
		}
	}
	b.know(func(h *host) { h.huge = size })
	if size == 0 {
		info.Missing[provision.FeatureMemoryHugePages] = "the host has no pool of huge pages; reserve one (vm.nr_hugepages), mount it (/dev/hugepages) and restart libvirtd"
	}
}

func (b *Backend) freeHugePages(ctx context.Context, size uint64) (n uint64, err error) {
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		counts, err := l.NodeGetFreePages([]uint32{uint32(size)}, -1, 1, 0) // -1: the whole host
		n = 0
		for _, c := range counts {
			n += c
		}
		return err
	})
	return n, err
}
