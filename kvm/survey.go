package kvm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/guestforge/provision"
)

// seen is how a domain was when it was looked at.
type seen struct {
	name      string
	state     provision.State
	reason    string
	autostart bool
	transient bool              // it has no definition, and is gone when it stops
	doubtful  bool              // the event does not tell the state
	sum       [sha256.Size]byte // of its definition; zero where that could not be read
}

// rereadTime bounds a look at one domain: events wait meanwhile.
const rereadTime = 2 * time.Second

func idOf(id libvirt.UUID) provision.ID { return provision.ID(uuid.UUID(id).String()) }

// survey looks at all domains: three bulk calls, and one for each definition.
func (b *Backend) survey(ctx context.Context) (map[libvirt.UUID]seen, error) {
	states, auto, err := b.states(ctx)
	if err != nil {
		return nil, err
	}
	ends := map[libvirt.UUID]bool{}
	err = b.read(ctx, func(l *libvirt.Libvirt) error {
		transient, _, err := l.ConnectListAllDomains(1, libvirt.ConnectListDomainsTransient)
		ends = setOf(transient)
		return err
	})
	all := map[libvirt.UUID]seen{}
	var doms []libvirt.Domain
	for _, s := range states {
		st, reason := stateOf(s.state, s.reason)
		all[s.dom.UUID] = seen{name: s.dom.Name, state: st, reason: reason,
			autostart: auto[s.dom.UUID], transient: ends[s.dom.UUID]}
		doms = append(doms, s.dom)
	}
	if err != nil || len(doms) == 0 {
		return all, err
	}
	return all, b.sums(ctx, doms, all)
}

// sums reads the definitions of domains, over a few connections.
func (b *Backend) sums(ctx context.Context, doms []libvirt.Domain, all map[libvirt.UUID]seen) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	parts := slices.Collect(slices.Chunk(doms, (len(doms)+listers-1)/listers))
	errs := make([]error, len(parts))
	for i, part := range parts {
		wg.Go(func() {
			errs[i] = b.read(ctx, func(l *libvirt.Libvirt) error {
				for ; len(part) > 0; part = part[1:] {
					id := part[0].UUID
					sum, err := sumOf(l, part[0])
					mu.Lock()
					switch s := all[id]; {
					case hasCode(err, libvirt.ErrNoDomain):
						delete(all, id) // gone since the bulk call
					case err == nil:
						s.sum = sum
						all[id] = s
					case !answered(err):
						mu.Unlock()
						return err
					}
					mu.Unlock()
				}
				return nil
			})
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func setOf(list []libvirt.Domain) map[libvirt.UUID]bool {
	set := make(map[libvirt.UUID]bool, len(list))
	for _, d := range list {
		set[d.UUID] = true
	}
	return set
}

func sumOf(l *libvirt.Libvirt, d libvirt.Domain) ([sha256.Size]byte, error) {
	text, err := l.DomainGetXMLDesc(d, libvirt.DomainXMLInactive)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256([]byte(text)), nil
}

// sum reads the definition of a domain; zero where it could not be read.
func (b *Backend) sum(ctx context.Context, d libvirt.Domain) (sum [sha256.Size]byte) {
	err := b.conns.do(ctx, min(rereadTime, b.opts.Timeout), func(l *libvirt.Libvirt) (err error) {
		sum, err = sumOf(l, d)
		return err
	})
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sum
}

// reread asks for the state that an event does not tell.
func (b *Backend) reread(ctx context.Context, d libvirt.Domain, s *seen) {
	s.doubtful = false
	var state, reason int32
	if err := b.conns.do(ctx, min(rereadTime, b.opts.Timeout), func(l *libvirt.Libvirt) (err error) {
		state, reason, err = l.DomainGetState(d, 0)
		return err
	}); err == nil {
		s.state, s.reason = stateOf(state, reason)
	}
}

// differences returns what to tell of the way from one look to another: what
// went comes first, so that a name that was taken over is seen to be free
// before. missed says that there are some that libvirtd has events for.
func differences(old, now map[libvirt.UUID]seen) (events []provision.Event, missed bool) {
	at := time.Now()
	for _, id := range sorted(old) {
		if _, ok := now[id]; !ok {
			missed = true
			events = append(events, provision.Event{Type: provision.EventDeleted, Name: old[id].name, ID: idOf(id), State: provision.StateAbsent, Time: at})
		}
	}
	for _, id := range sorted(now) {
		was, known := old[id]
		is := now[id]
		e := provision.Event{Name: is.name, ID: idOf(id), State: is.state, Reason: is.reason, Time: at}
		switch {
		case !known:
			e.Type, missed = provision.EventCreated, true
		case was.state != is.state:
			e.Type, missed = provision.EventState, true
		case was.name != is.name || was.autostart != is.autostart || was.sum != is.sum:
			e.Type = provision.EventChanged
		default:
			continue
		}
		events = append(events, e)
	}
	return events, missed
}

func sorted(m map[libvirt.UUID]seen) []libvirt.UUID {
	ids := make([]libvirt.UUID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b libvirt.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}
