package provisiontest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// Preflight implements [provision.Preflighter].
func (b *Backend) Preflight(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	var limits []provision.Limit
	err := b.view(ctx, func(m *machine) error {
		limits = m.limits(s)
		return errors.Join(m.judge(s)...)
	})
	return limits, err
}

// judge returns what keeps the machine from holding a guest.
func (m *machine) judge(s *provision.Spec) []error {
	var errs []error
	if s.CPU.Count > m.opts.CPUs {
		errs = append(errs, &provision.FieldError{
			Path: "cpu.count", Value: strconv.Itoa(s.CPU.Count), Problem: fmt.Sprintf("is more than the machine's %d", m.opts.CPUs),
		})
	}
	for _, n := range s.CPU.Pin {
		if n >= m.opts.CPUs {
			errs = append(errs, &provision.FieldError{
				Path: "cpu.pin", Value: strconv.Itoa(n), Problem: fmt.Sprintf("is none of the machine's processors, 0 to %d", m.opts.CPUs-1),
			})
		}
	}
	if s.Memory.Size > m.opts.Memory {
		errs = append(errs, &provision.FieldError{
			Path: "memory.size", Value: s.Memory.Size.String(), Problem: fmt.Sprintf("is more than the machine's %s", m.opts.Memory),
		})
	}
	if s.Memory.Guaranteed {
		if err := m.room(s); err != nil {
			errs = append(errs, err)
		}
	}
	// Where there is no store, images came by other means and are there.
	_, noStore := m.opts.Missing[provision.FeatureImages]
	if s.Image == "" || noStore {
		return errs
	}
	img, ok := m.Images[s.Image]
	if !ok {
		return append(errs, fmt.Errorf("image: %q is not in the store: %w", s.Image, provision.ErrNotFound))
	}
	if size := s.Disks[0].Size; size != 0 && int64(size) < img.Capacity {
		errs = append(errs, &provision.FieldError{
			Path: "disks[0].size", Value: size.String(), Problem: fmt.Sprintf("is less than the image's %d bytes", img.Capacity),
		})
	}
	return errs
}

// room refuses memory that is promised to others.
func (m *machine) room(s *provision.Spec) error {
	promised := provision.Bytes(0)
	for _, g := range m.sorted() {
		if g.Spec.Memory.Guaranteed && g.Name != s.Name {
			promised += g.Spec.Memory.Size
		}
	}
	if promised+s.Memory.Size > m.opts.Memory {
		return fmt.Errorf("%w: of %s of memory, %s are guaranteed to other guests", provision.ErrCapacity, m.opts.Memory, promised)
	}
	return nil
}

// limits says of each limit of a Spec whether it holds: it does, as far as
// anything does here, unless BackendOptions.Weak names it.
func (m *machine) limits(s *provision.Spec) []provision.Limit {
	l := limits{opts: m.opts}
	l.add("memory.size", s.Memory.Size)
	l.add("memory.swap", s.Memory.Swap)
	l.add("memory.guaranteed", s.Memory.Guaranteed)
	l.add("memory.hugePages", s.Memory.HugePages)
	l.add("cpu.pin", strings.Trim(fmt.Sprint(s.CPU.Pin), "[]"))
	l.add("cpu.limit", s.CPU.Limit)
	l.add("cpu.weight", s.CPU.Weight)
	l.add("limits.processes", s.Limits.Processes)
	l.add("limits.openFiles", s.Limits.OpenFiles)
	for i, d := range s.Disks {
		at := fmt.Sprintf("disks[%d].", i)
		l.add(at+"size", d.Size)
		l.add(at+"inodes", d.Inodes)
		l.add(at+"iops", d.IOPS)
		l.add(at+"bps", d.BPS)
	}
	_, noAntiSpoof := m.opts.Missing[provision.FeatureNICAntiSpoof]
	for i, n := range s.NICs {
		at := fmt.Sprintf("nics[%d].", i)
		l.add(at+"rate.in", n.Rate.In)
		l.add(at+"rate.out", n.Rate.Out)
		l.add(at+"isolated", n.Isolated)
		l.add(at+"antiSpoof", !noAntiSpoof && n.AntiSpoof != provision.Off)
	}
	return l.list
}

type limits struct {
	opts *BackendOptions
	list []provision.Limit
}

// add adds a limit unless its value is the zero value, which asks for none.
func (l *limits) add(path string, value any) {
	text := fmt.Sprint(value)
	if text == "" || text == "0" && path != "cpu.pin" || text == "false" {
		return
	}
	limit := provision.Limit{Path: path, Want: text, Have: text, Enforcement: provision.Enforced}
	if why, weak := l.opts.Weak[featureOf(path)]; weak {
		limit.Have, limit.Enforcement, limit.Reason = "", provision.NotEnforced, why
	}
	l.list = append(l.list, limit)
}

// featureOf takes the indices out of a path: features have none. The rates of
// a NIC are one feature.
func featureOf(path string) provision.Feature {
	before, rest, _ := strings.Cut(path, "[")
	_, after, _ := strings.Cut(rest, "]")
	path = strings.TrimSuffix(strings.TrimSuffix(before+after, ".in"), ".out")
	return provision.Feature(path)
}

// Impact implements [provision.ImpactJudge].
func (b *Backend) Impact(_ provision.Status, c provision.Change) (provision.Impact, string) {
	switch {
	case strings.Contains(c.Path, ".rate"), strings.HasSuffix(c.Path, ".iops"), strings.HasSuffix(c.Path, ".bps"),
		strings.HasPrefix(c.Path, "disks[") && strings.HasSuffix(c.Path, ".size") && c.Have != "",
		c.Path == "cpu.limit", c.Path == "cpu.weight":
		return provision.ImpactLive, ""
	}
	return provision.ImpactRestart, "guests see their hardware when they start"
}
