package kvm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// Times and numbers for guests whose QEMU does not answer.
const (
	// pollTimeout bounds the call for all guests. QEMU answers within some
	// milliseconds; a host that is too slow for this is read in parts.
	pollTimeout = 5 * time.Second
	partTimeout = 2 * time.Second
	// maxLate is how many calls of one Usage may get stuck: each keeps one of
	// libvirtd's workers, of which there are 20, until its QEMU goes on.
	maxLate = 4
	parts   = 4
)

var errLate = fmt.Errorf("%w: a QEMU of some guest does not answer", provision.ErrUnavailable)

// isolate reads the usage of guests among which there are some whose QEMU does
// not answer. First come the statistics that never need it. The rest is asked for
// in parts; one that gets stuck is given up and asked for again in halves, down
// to single guests. That usually is over soon, as the call that is stuck holds
// libvirt's lock on the bad guest, and later ones pass it by. What is not read
// when all the time or too many workers are used up is told as not read.
func (b *Backend) isolate(ctx context.Context, doms []libvirt.Domain) (usages, error) {
	all, err := b.poll(ctx, doms, libvirt.DomainStatsInterface, pollTimeout, givenUp)
	if err != nil {
		return nil, err
	}
	i := isolation{b: b, all: all}
	var live, off []libvirt.Domain
	for id, u := range all {
		d, err := domainOf(id)
		if err != nil {
			return nil, err
		}
		if u.Live() {
			live = append(live, d)
		} else {
			off = append(off, d)
		}
	}
	limited, cancel := context.WithTimeoutCause(ctx, b.opts.Timeout, errLate)
	defer cancel()
	var wg sync.WaitGroup
	for part := range slices.Chunk(live, max(1, (len(live)+parts-1)/parts)) {
		wg.Go(func() { i.read(limited, part) })
	}
	if len(off) > 0 {
		wg.Go(func() { i.read(limited, off) })
	}
	wg.Wait()
	if i.err != nil {
		return nil, i.err
	}
	return i.all, nil
}

// isolation is what isolate is working on.
type isolation struct {
	b *Backend

	mu   sync.Mutex
	all  usages
	late int
	err  error // an error that is not about a single guest
}

func (i *isolation) read(ctx context.Context, part []libvirt.Domain) {
	i.mu.Lock()
	enough := i.late >= maxLate || i.err != nil
	i.mu.Unlock()
	if enough {
		return
	}
	got, err := i.b.poll(ctx, part, usageGroups, partTimeout, noAnswer)
	i.mu.Lock()
	switch {
	case errors.Is(err, errLate):
		i.late++
	case err != nil:
		i.err = errors.Join(i.err, err)
	default:
		maps.Copy(i.all, got)
	}
	i.mu.Unlock()
	if errors.Is(err, errLate) && len(part) > 1 {
		half := len(part) / 2
		i.read(ctx, part[:half])
		i.read(ctx, part[half:])
	}
}
