package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/lock"
)

// Host is one opened [Backend]: a machine that can hold guests. It is safe for
// use by many goroutines; operations on different guests run in parallel, and
// those on one guest one after the other, across processes too.
type Host struct {
	backend Backend
	info    Info
	opts    Options
	locks   *lock.Set
	closed  atomic.Bool
}

// Options of a [Host]. The zero value is ready to use.
type Options struct {
	// Logger gets a debug line for each call of the backend and a warning for
	// what had to be cleaned up. Nil discards. No secret is ever logged.
	Logger *slog.Logger
	// Around, if set, is called around every call of the backend and around
	// each step of a long one. It must call next, once, to let it happen, and
	// may return an error instead. It serves tracing, retry and audit.
	Around func(ctx context.Context, c Call, next func(context.Context) error) error
	// LockDir is a directory for the lock files that keep processes on this
	// machine from changing one guest at the same time; all of them must name
	// the same, as an absolute path. Default: /run/provision for root and
	// /run/user/UID/provision for others, who should name one where programs of
	// several users work on one hypervisor.
	LockDir string
	// Residency is the jurisdiction that this host is in, an ISO 3166-1
	// alpha-2 code such as NO. Guests that need another are refused. Default:
	// unknown, and guests that need any are refused.
	Residency string
	// UndoTimeout bounds the removal of what a failed Create left, which goes
	// on after the context has ended. Default: 30 seconds.
	UndoTimeout time.Duration
	// Clock to wait with. Default: real time.
	Clock Clock
}

// Spaces of names that may be locked at the same time, in the order in which
// they are taken.
const (
	lockKey uint8 = iota
	lockGuest
	lockImage
	lockMemory
)

// Open probes the machine and returns a Host. It fails early: with
// [ErrUnavailable] where the hypervisor does not answer. opts may be nil. The
// Host owns b from here on, also when Open fails.
func Open(ctx context.Context, b Backend, opts *Options) (*Host, error) {
	h := &Host{backend: b}
	if opts != nil {
		h.opts = *opts
	}
	h.setDefaults()
	err := h.open(ctx)
	if err != nil {
		return nil, errors.Join(h.wrap("open", "", err), b.Close())
	}
	return h, nil
}

func (h *Host) setDefaults() {
	if h.opts.Logger == nil {
		h.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if h.opts.UndoTimeout == 0 {
		h.opts.UndoTimeout = 30 * time.Second
	}
	if h.opts.Clock == nil {
		h.opts.Clock = realClock{}
	}
	if h.opts.LockDir == "" {
		h.opts.LockDir = "/run/provision"
		if uid := os.Geteuid(); uid > 0 {
			h.opts.LockDir = fmt.Sprintf("/run/user/%d/provision", uid)
		}
	}
}

func (h *Host) open(ctx context.Context) error {
	if d := h.opts.UndoTimeout; d < 0 {
		return &FieldError{Path: "Options.UndoTimeout", Value: d.String(), Problem: "is negative"}
	}
	if d := h.opts.LockDir; !filepath.IsAbs(d) {
		return &FieldError{Path: "Options.LockDir", Value: d, Problem: "is not an absolute path"}
	}
	if r := h.opts.Residency; r != "" && !nationRE.MatchString(r) {
		return &FieldError{Path: "Options.Residency", Value: r, Problem: "is not an ISO 3166-1 code of two capital letters"}
	}
	err := h.call(ctx, Call{Op: "probe"}, func(ctx context.Context) (err error) {
		h.info, err = h.backend.Probe(ctx)
		return err
	})
	if err != nil {
		return err
	}
	h.locks = new(lock.Set)
	if h.info.Machine == "" {
		return nil
	}
	name := strings.Map(fileRune, h.info.Kind+"-"+h.info.Machine) + ".lock"
	h.locks, err = lock.Open(filepath.Join(h.opts.LockDir, name))
	if err != nil {
		return fmt.Errorf("lock file (Options.LockDir names another directory): %w", err)
	}
	return nil
}

func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
		return r
	}
	return '_'
}

// Info returns what Open found out about the machine. The caller may change it.
func (h *Host) Info() Info { return h.info.clone() }

// Close ends what the Host holds open. Guests are left as they are; calls that
// are under way fail, and later ones match [fs.ErrClosed].
func (h *Host) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	return h.backend.Close()
}

// wrap adds the operation to an error, once.
func (h *Host) wrap(op, guest string, err error) error {
	var already *Error
	if err == nil || errors.As(err, &already) {
		return err
	}
	return &Error{Op: op, Kind: h.info.Kind, Guest: guest, Err: err}
}

// call is the only way from Host to Backend.
func (h *Host) call(ctx context.Context, c Call, do func(context.Context) error) error {
	if h.closed.Load() {
		return errClosed
	}
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	c.Kind = h.info.Kind
	begin := h.opts.Clock.Now()
	var err error
	if h.opts.Around != nil {
		err = h.opts.Around(ctx, c, do)
	} else {
		err = do(ctx)
	}
	h.opts.Logger.DebugContext(ctx, "backend call", "op", c.Op, "kind", c.Kind, "guest", c.Guest, "id", c.ID,
		"took", h.opts.Clock.Now().Sub(begin), "err", err)
	return err
}

// steps prepares the steps of a long call.
func (h *Host) steps(c Call, progress func(Progress)) *Steps {
	c.Kind = h.info.Kind
	return &Steps{call: c, around: h.opts.Around, progress: progress}
}

// lock takes a name; a context that ends while another operation holds it is
// ErrBusy, and the context's error too.
func (h *Host) lock(ctx context.Context, space uint8, name string, mode lock.Mode) (func(), error) {
	if h.closed.Load() {
		return nil, errClosed
	}
	unlock, err := h.locks.Lock(ctx, space, name, mode)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: another operation holds it: %w", ErrBusy, err)
	}
	return unlock, err
}

// inspect returns one guest with what its record says.
func (h *Host) inspect(ctx context.Context, ref Ref) (Status, *record, error) {
	f, err := h.native(ctx, ref)
	if err != nil {
		return Status{}, nil, err
	}
	st, rec := h.guestOf(f)
	return st, rec, nil
}

// native returns one guest as the backend has it.
func (h *Host) native(ctx context.Context, ref Ref) (f Found, err error) {
	err = h.call(ctx, Call{Op: "inspect", Guest: ref.Name, ID: ref.ID}, func(ctx context.Context) (err error) {
		f, err = h.backend.Inspect(ctx, ref)
		return err
	})
	if err == nil && ref.ID != "" && f.Status.ID != ref.ID {
		err = fmt.Errorf("%w: the backend answered with guest %s", ErrNotFound, f.Status.ID)
	}
	return f, err
}

// save writes the record of a guest.
func (h *Host) save(ctx context.Context, name string, r *record) error {
	text, err := r.encode()
	if err != nil {
		return err
	}
	return h.call(ctx, Call{Op: "record", Guest: name, ID: r.ID}, func(ctx context.Context) error {
		return h.backend.SetRecord(ctx, r.ID, text)
	})
}

func (i Info) clone() Info {
	i.Honours = slices.Clone(i.Honours)
	i.Untried = slices.Clone(i.Untried)
	i.Missing = maps.Clone(i.Missing)
	return i
}
