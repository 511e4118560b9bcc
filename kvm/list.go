package kvm

import (
	"context"
	"errors"
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
	for _, f := range list {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out, nil
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

// states makes the bulk calls.
func (b *Backend) states(ctx context.Context) (all []domainState, auto map[libvirt.UUID]bool, err error) {
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		stats, err := l.ConnectGetAllDomainStats(nil, uint32(libvirt.DomainStatsState), 0)
		if err != nil {
			return err
		}
		all = make([]domainState, len(stats))
		for i, s := range stats {
			all[i] = domainState{dom: s.Dom, state: param(s.Params, "state.state"), reason: param(s.Params, "state.reason")}
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

func param(list []libvirt.TypedParam, name string) int32 {
	for _, p := range list {
		if p.Field == name {
			v, _ := p.Value.I.(int32)
			return v
		}
	}
	return 0
}
