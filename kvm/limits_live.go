package kvm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// liveTime is how long libvirtd may take for the document of a running guest. From
// libvirt 11 it waits for a QEMU that hangs, for half a minute.
const liveTime = 4 * time.Second

var errLiveLate = fmt.Errorf("%w: libvirtd does not tell, perhaps because its QEMU does not answer", provision.ErrUnavailable)

// readLive replaces what the definition says of a running guest's limits by what
// holds. A guest whose QEMU hangs is one that has to be looked at and stopped all
// the same: its limits then say that they were not read. off reports that it does
// not run any more, and its definition stands.
func (b *Backend) readLive(ctx context.Context, d libvirt.Domain, st *provision.Status, ours bool) (off bool, err error) {
	text, err := b.liveDocument(ctx, d)
	switch {
	case hasCode(err, libvirt.ErrOperationInvalid):
		return true, nil
	case hasCode(err, libvirt.ErrNoDomain):
		return false, err
	case errors.Is(err, errLiveLate), answered(err):
		st.Limits = notRead(st, ours, err)
		return false, nil
	case err != nil:
		return false, err
	}
	var limits []provision.Limit
	err = b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		limits, err = b.live(l, d, text)
		return err
	})
	if hasCode(err, libvirt.ErrOperationInvalid) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if ours {
		isolated, err := isolations(text, st)
		if err != nil {
			return false, err
		}
		limits = append(limits, isolated...)
	}
	st.Limits = append(slices.DeleteFunc(st.Limits, func(l provision.Limit) bool { return !isAntiSpoof(l) }), limits...)
	return false, nil
}

// silent are running guests that libvirtd did not tell about in time. Each such
// question keeps one of its workers, of which there are 20, for half a minute: it
// is not asked again before that is over, unless the guest is changed.
type silent struct {
	mu   sync.Mutex
	till map[libvirt.UUID]time.Time
}

const silentTime = 30 * time.Second

func (s *silent) is(id libvirt.UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.till[id])
}

func (s *silent) note(id libvirt.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.till, func(_ libvirt.UUID, t time.Time) bool { return time.Now().After(t) })
	if s.till == nil {
		s.till = map[libvirt.UUID]time.Time{}
	}
	s.till[id] = time.Now().Add(silentTime)
}

func (s *silent) drop(id libvirt.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.till, id)
}

// liveDocument needs d to have its UUID.
func (b *Backend) liveDocument(ctx context.Context, d libvirt.Domain) (string, error) {
	if b.silent.is(d.UUID) {
		return "", errLiveLate
	}
	ctx, cancel := context.WithTimeoutCause(ctx, min(liveTime, b.opts.Timeout), errLiveLate)
	defer cancel()
	var text string
	err := b.read(ctx, func(l *libvirt.Libvirt) (err error) {
		text, err = l.DomainGetXMLDesc(d, 0)
		return err
	})
	if errors.Is(err, errLiveLate) {
		b.silent.note(d.UUID)
	}
	if err != nil {
		return "", err // what gave up may still write the text
	}
	return text, nil
}

// notRead takes the limits from the definition, and says of none that it holds.
func notRead(st *provision.Status, ours bool, why error) []provision.Limit {
	list := st.Limits
	if ours {
		list = append(list, isolatedLimits(st, nil)...)
	}
	for i := range list {
		if !isAntiSpoof(list[i]) {
			list[i].Have, list[i].Enforcement, list[i].Reason = "", provision.NotEnforced, "it could not be read of the running guest: "+why.Error()
		}
	}
	return list
}

// live reads back what holds for a guest that runs: quota and weight from its
// control group, pinning from its threads, all by libvirtd and without asking
// QEMU, which may hang; what is set inside of QEMU or in the network, as libvirt
// keeps it in the document of the running guest.
func (b *Backend) live(l *libvirt.Libvirt, d libvirt.Domain, text string) ([]provision.Limit, error) {
	t, err := parseTuned(text)
	if err != nil {
		return nil, err
	}
	w := weightsUnknown
	var why error
	if t.Tune.Quota > 0 || t.Tune.Shares != nil {
		if w, err = b.readScheduler(l, d, t); errors.Is(err, errNoCPUController) {
			why = err
		} else if err != nil {
			return nil, err
		}
	}
	list := t.limits(w)
	for i := range list {
		if p := list[i].Path; why != nil && (p == "cpu.limit" || p == "cpu.weight") {
			list[i].Have, list[i].Enforcement, list[i].Reason = "", provision.NotEnforced, why.Error()
		}
		if list[i].Path == "cpu.pin" {
			if list[i].Have, err = affinity(l, d, t.VCPUs); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// readScheduler replaces quota and shares by those of the control group. Without
// a controller of processors libvirt refuses quotas and forgets shares.
func (b *Backend) readScheduler(l *libvirt.Libvirt, d libvirt.Domain, t *tuned) (weights, error) {
	p, err := b.scheduler(l, d)
	if err != nil {
		return weightsUnknown, err
	}
	t.Tune.Period, t.Tune.Quota = p.period, p.quota
	if t.Tune.Shares != nil {
		t.Tune.Shares = &p.shares
	}
	return p.weights, nil
}

var errNoCPUController = errors.New("libvirtd has no control groups with the controller of processors (see cgroup_controllers in its qemu.conf)")

// scheduler is what the control group of a running guest says.
type scheduler struct {
	shares, period uint64
	quota          int64
	weights        weights
}

// scheduler reads it, and remembers the scale of weights. The version of control
// groups shows in how no quota looks: -1 in v1; in v2, where the file says "max", a
// huge number. libvirt has one code for a host without groups and for a guest that
// has none because it is off, or not on yet.
func (b *Backend) scheduler(l *libvirt.Libvirt, d libvirt.Domain) (scheduler, error) {
	// 16 is the most that the protocol takes (REMOTE_DOMAIN_SCHEDULER_PARAMETERS_MAX).
	list, err := l.DomainGetSchedulerParametersFlags(d, 16, uint32(libvirt.DomainAffectLive))
	if hasCode(err, libvirt.ErrOperationInvalid) {
		state, reason, serr := l.DomainGetState(d, 0)
		if serr != nil {
			return scheduler{}, serr
		}
		if st, _ := stateOf(state, reason); hasGroup(st) {
			return scheduler{}, errNoCPUController
		}
	}
	if err != nil {
		return scheduler{}, err
	}
	s := schedulerFrom(list)
	b.know(func(h *host) { h.weights = s.weights })
	return s, nil
}

// hasGroup says whether a guest in this state has its control group, if the host
// has any: one that starts may not have it yet.
func hasGroup(s provision.State) bool { return s.Live() && s != provision.StateStarting }

func schedulerFrom(list []libvirt.TypedParam) scheduler {
	s := scheduler{weights: weightsV1}
	for _, p := range list {
		switch v := p.Value.I.(type) {
		case uint64:
			switch p.Field {
			case "cpu_shares":
				s.shares = v
			case "global_period":
				s.period = v
			}
		case int64:
			switch {
			case p.Field == "global_quota":
				s.quota = v
			case p.Field == "vcpu_quota" && v > 1<<40:
				s.weights = weightsV2
			}
		}
	}
	return s
}

// affinity asks the kernel on which processors the vCPUs may run.
func affinity(l *libvirt.Libvirt, d libvirt.Domain, vcpus int) (string, error) {
	present, _, _, err := l.NodeGetCPUMap(1, 0, 0)
	if err != nil {
		return "", err
	}
	info, maps, err := l.DomainGetVcpus(d, int32(vcpus), int32(len(present)))
	if err != nil {
		return "", err
	}
	have := ""
	for i := range info {
		is := bitNumbers(maps[i*len(present) : (i+1)*len(present)])
		if i > 0 && is != have {
			return "not the same for each vCPU", nil
		}
		have = is
	}
	return have, nil
}

// bitNumbers lists the bits of a map, the lowest first.
func bitNumbers(m []byte) string {
	var list []string
	for i := range len(m) * 8 {
		if m[i/8]>>(i%8)&1 != 0 {
			list = append(list, strconv.Itoa(i))
		}
	}
	return strings.Join(list, " ")
}
