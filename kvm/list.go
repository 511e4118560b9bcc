package kvm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// listers is how many connections a List reads configurations over.
const listers = 4

// List implements [provision.Backend]. States come from one bulk call that a
// hung QEMU does not block; libvirt has none for configurations, so those that
// are new or changed are read one by one, over a few connections, and kept.
func (b *Backend) List(ctx context.Context) ([]provision.Found, error) {
	if b.lists.Add(1) == 2 {
		b.startFollowing()
	}
	all, auto, err := b.states(ctx)
	if err != nil {
		return nil, err
	}
	var filters *filterState
	if err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		filters, err = b.readFilters(l)
		return err
	}); err != nil {
		return nil, err
	}
	defer b.cache.prune(all)
	list := make([]*provision.Found, len(all))
	var next atomic.Int64
	errs := make([]error, min(listers, len(all)))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			cur := next.Add(1) - 1 // kept when a lost connection is replaced
			errs[w] = b.read(ctx, func(l *libvirt.Libvirt) error {
				for ; cur < int64(len(all)); cur = next.Add(1) - 1 {
					d := all[cur]
					f, err := b.cachedConfiguration(l, d.dom)
					if hasCode(err, libvirt.ErrNoDomain) {
						continue // gone since the bulk call
					}
					if err != nil {
						return err
					}
					f.Status.State, f.Status.Reason = stateOf(d.state, d.reason)
					f.Status.Autostart = auto[d.dom.UUID]
					filters.confirm(&f.Status)
					list[cur] = &f
				}
				return nil
			})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var out []provision.Found
	b.learnScale(ctx, list)
	for _, f := range list {
		if f != nil {
			weigh(f.Status.Limits, b.scale)
			out = append(out, *f)
		}
	}
	b.addLeases(ctx, out)
	return out, nil
}

// learnScale asks a running guest for the scale of weights, if some guest of the
// list has one and the scale is not known yet.
func (b *Backend) learnScale(ctx context.Context, list []*provision.Found) {
	weighs := func(f *provision.Found) bool {
		return f != nil && slices.ContainsFunc(f.Status.Limits, func(l provision.Limit) bool { return strings.HasPrefix(l.Have, rawShares) })
	}
	on := slices.IndexFunc(list, func(f *provision.Found) bool { return f != nil && running(&f.Status) })
	if on < 0 || b.known().weights != weightsUnknown || !slices.ContainsFunc(list, weighs) {
		return
	}
	d, err := domainOf(list[on].Status.ID)
	if err == nil {
		err = b.read(ctx, func(l *libvirt.Libvirt) error {
			_, err := b.scheduler(l, d)
			return err
		})
	}
	if err != nil {
		b.opts.Logger.DebugContext(ctx, "the scale of weights cannot be read", "guest", list[on].Status.Name, "err", err)
	}
}

func (b *Backend) cachedConfiguration(l *libvirt.Libvirt, d libvirt.Domain) (provision.Found, error) {
	f, ok, epoch := b.cache.get(d.UUID)
	if ok {
		return f, nil
	}
	f, err := configuration(l, d)
	if err == nil {
		b.cache.put(d.UUID, f, epoch)
	}
	return f, err
}

type domainState struct {
	dom           libvirt.Domain
	state, reason int32
}

// states makes the bulk calls. Trials are no guests.
func (b *Backend) states(ctx context.Context) (all []domainState, auto map[libvirt.UUID]bool, err error) {
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		all = nil
		err := allStats(l, nil, libvirt.DomainStatsState, 0, func(d libvirt.Domain, stats []stat) {
			if isTrial(d) {
				return
			}
			s := domainState{dom: d}
			s.dom.Name = strings.Clone(d.Name)
			for _, p := range stats {
				switch p.field {
				case "state.state":
					s.state = int32(p.num)
				case "state.reason":
					s.reason = int32(p.num)
				}
			}
			all = append(all, s)
		})
		if err != nil {
			return err
		}
		started, _, err := l.ConnectListAllDomains(1, libvirt.ConnectListDomainsAutostart)
		auto = make(map[libvirt.UUID]bool, len(started))
		for _, d := range started {
			auto[d.UUID] = true
		}
		return err
	})
	return all, auto, err
}
