package provisiontest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// Backend is a hypervisor in memory, or in a file that processes share. It
// keeps the contracts of [provision.Backend] as a real one does: guests, volumes
// and seeds are made and removed in steps, and what an interrupted operation
// left is there to be seen. It is safe for concurrent use.
//
// The methods that are not those of a backend stand for what happens outside
// the library. They work after Close too.
type Backend struct {
	opts   BackendOptions
	store  *store
	down   atomic.Bool
	close  sync.Once
	closed chan struct{}

	live      sync.Mutex // guards what follows
	processes map[string]int
	terminals map[provision.ID]*terminal
}

// NewBackend returns a Backend. opts may be nil. Nothing is read before the
// first call.
func NewBackend(opts *BackendOptions) *Backend {
	b := &Backend{closed: make(chan struct{})}
	if opts != nil {
		b.opts = *opts
	}
	b.opts.setDefaults()
	b.store = newStore(&b.opts)
	return b
}

// SetDown takes the hypervisor away from this Backend: every call fails with
// ErrUnavailable, until it is back. Guests go on meanwhile.
func (b *Backend) SetDown(down bool) { b.down.Store(down) }

// Probe implements [provision.Backend].
func (b *Backend) Probe(ctx context.Context) (provision.Info, error) {
	if err := b.view(ctx, func(*machine) error { return nil }); err != nil {
		return provision.Info{}, err
	}
	_, shared := b.opts.Missing[provision.FeatureOwnKernel]
	return provision.Info{
		Kind: b.opts.Kind, Version: "in memory", Machine: b.opts.File,
		CPUs: b.opts.CPUs, Memory: b.opts.Memory, OwnKernel: !shared,
		Honours: provision.Features(), Missing: maps.Clone(b.opts.Missing),
		Untried: slices.Sorted(maps.Keys(b.opts.Untried)),
	}, nil
}

// Close implements [provision.Backend].
func (b *Backend) Close() error {
	b.close.Do(func() { close(b.closed) })
	return nil
}

// Check implements [provision.Checker].
func (b *Backend) Check(ctx context.Context) ([]provision.Finding, error) {
	if err := b.refuse(provision.FeatureCheck); err != nil {
		return nil, err
	}
	var list []provision.Finding
	err := b.view(ctx, func(m *machine) error {
		list = append(list, provision.Finding{
			Check: "state", Severity: provision.SeverityInfo, Message: "the hypervisor is simulated",
			Evidence: fmt.Sprintf("%d guests, %d images", len(m.Guests), len(m.Images)),
		})
		for _, what := range m.leftovers() {
			list = append(list, provision.Finding{
				Check: "leftovers", Severity: provision.SeverityWarning, Message: "belongs to no guest", Evidence: what,
			})
		}
		return nil
	})
	return list, err
}

// ready fails where a hypervisor would not answer.
func (b *Backend) ready(ctx context.Context) error {
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	select {
	case <-b.closed:
		return fmt.Errorf("in-memory backend: %w", fs.ErrClosed)
	default:
	}
	if b.down.Load() {
		return fmt.Errorf("%w: the in-memory hypervisor is down", provision.ErrUnavailable)
	}
	return nil
}

// view looks at the machine.
func (b *Backend) view(ctx context.Context, look func(*machine) error) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	return b.store.view(ctx, look)
}

// update changes the machine. On an error change must not have changed
// anything.
func (b *Backend) update(ctx context.Context, change func(*machine) error) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	return b.store.update(ctx, change)
}

// step changes the machine in one step of a long operation.
func (b *Backend) step(ctx context.Context, s *provision.Steps, name string, change func(*machine) error) error {
	return s.Do(ctx, name, func(ctx context.Context) error { return b.update(ctx, change) })
}

var (
	_ provision.Addresser     = (*Backend)(nil)
	_ provision.Autostarter   = (*Backend)(nil)
	_ provision.Backend       = (*Backend)(nil)
	_ provision.Checker       = (*Backend)(nil)
	_ provision.ConsoleLogger = (*Backend)(nil)
	_ provision.ConsoleOpener = (*Backend)(nil)
	_ provision.Execer        = (*Backend)(nil)
	_ provision.ImpactJudge   = (*Backend)(nil)
	_ provision.Drifter       = (*Backend)(nil)
	_ provision.Imager        = (*Backend)(nil)
	_ provision.Pauser        = (*Backend)(nil)
	_ provision.Preflighter   = (*Backend)(nil)
	_ provision.StatsReader   = (*Backend)(nil)
	_ provision.Renderer      = (*Backend)(nil)
	_ provision.Suspender     = (*Backend)(nil)
	_ provision.Trier         = (*Backend)(nil)
	_ provision.Watcher       = (*Backend)(nil)
)
