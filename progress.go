package provision

import (
	"context"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Progress is how far a long call has come. Callbacks that take it run on the
// goroutine of the call, in order, never concurrently.
type Progress struct {
	// Step is the backend's name for what is going on: "define", "root disk".
	Step string
	// Done of Total bytes. Total is zero where a step has no measure.
	Done, Total int64
}

// Call is one use of a [Backend] by a [Host], as Options.Around sees it.
type Call struct {
	// Op is what the backend is to do, which is a part of this API: "probe",
	// "preflight", "drift", "create", "record", "autostart", "start", "shutdown", "kill",
	// "pause", "resume", "block" (Suspender), "delete", "undo" (a Delete of what
	// a failed Create left, and a RemoveImage after a failed import), "inspect",
	// "list", "console", "check", "try" (Trier), "images", "import", "remove image",
	// "needs image", "fit resize", "resize", "snapshot", "snapshots", "restore", "delete snapshot";
	// "undo" is also a Resize to what was before, and a DeleteSnapshot, after a failure.
	Op    string
	Step  string // inside a long one: the step; else empty
	Kind  string // the backend
	Guest string // name of the guest or image, where there is one
	ID    ID     // of the guest, where known
}

// Steps runs the parts of a long operation of a [Backend], so that each can be
// seen in progress and by Options.Around. The zero value and nil just run them.
type Steps struct {
	call     Call
	around   func(context.Context, Call, func(context.Context) error) error
	progress func(Progress)
	after    func() // each step
	last     Progress
}

// Do runs one step, unless the context has ended. The names of steps, and their
// order, are the same at each run.
func (s *Steps) Do(ctx context.Context, step string, do func(context.Context) error) error {
	if err := ctxerr.Of(ctx); err != nil {
		return err
	}
	if s == nil {
		return do(ctx)
	}
	s.report(Progress{Step: step})
	if s.after != nil {
		defer s.after()
	}
	if s.around == nil {
		return do(ctx)
	}
	c := s.call
	c.Step = step
	return s.around(ctx, c, do)
}

// begun reports whether a step was to be run.
func (s *Steps) begun() bool { return s != nil && s.last.Step != "" }

// Progress reports how far the running step has come.
func (s *Steps) Progress(done, total int64) {
	if s != nil {
		s.report(Progress{Step: s.last.Step, Done: done, Total: total})
	}
}

func (s *Steps) report(p Progress) {
	s.last = p
	if s.progress != nil {
		s.progress(p)
	}
}
