package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
)

// Bounds on what Exec takes, those of Linux or below.
const (
	maxExecArgs = 1024
	maxExecText = 128 << 10 // arguments and environment together, in bytes
)

var (
	envNameRE  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	execUserRE = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
)

// ExecOptions of [Guest.Exec]. The zero value runs the program as the system's
// administrator, without input, and drops what it says.
type ExecOptions struct {
	// Stdin is what the program reads. It is read until io.EOF or an error, which
	// then is that of Exec; a backend may do so before it starts the program, and
	// may take only so much, 64 KiB at least: more is ErrInvalid. A Read that blocks keeps Exec from
	// returning. Default: empty.
	Stdin io.Reader
	// Stdout and Stderr get what the program writes. A backend may keep that until
	// the program has ended, and cut it: see ExecResult. It is the tenant's:
	// terminals should not see it as it is. Default: it is dropped.
	Stdout, Stderr io.Writer
	// Env is added to the environment that the backend gives every program, which
	// has a PATH: "NAME=value", names of A-Z, a-z, 0-9 and underscore.
	Env []string
	// User that the program runs as, by name (FeatureExecUser). Default: root.
	User string
	// Dir is the directory that it begins in, an absolute path (FeatureExecDir).
	// Default: the backend's choice.
	Dir string
	// TTY gives the program a terminal (FeatureExecTTY): what it writes comes in
	// Stdout as it is written, all of it, and Stderr must be nil. Default: none.
	TTY *Terminal
}

// Terminal is the terminal of a program that [Guest.Exec] runs. Stdin is what is
// typed, control characters included; its end is typed as ^D. A Stdin that is an
// io.Closer is closed when the program has ended, so that a Read that blocks, in an
// io.PipeReader for example, does not keep Exec from returning.
type Terminal struct {
	// Size at the beginning. Default: 24 rows, and 80 columns.
	Size TerminalSize
	// Sizes that it takes on later, until the channel is closed or the program has
	// ended. What nobody receives any more is lost, so send without blocking. Default: none.
	Sizes <-chan TerminalSize
}

// TerminalSize is in characters.
type TerminalSize struct {
	Rows, Cols uint16
}

// complete returns a copy with a size.
func (t *Terminal) complete() *Terminal {
	if t == nil {
		return nil
	}
	full := *t
	full.Size = TerminalSize{cmp.Or(t.Size.Rows, 24), cmp.Or(t.Size.Cols, 80)}
	return &full
}

// ExecResult says how a program ended.
type ExecResult struct {
	// Code is the exit status: 0 for success, -1 where Exec returns an error: the
	// program did not run, or how it ended is not known.
	Code int `json:"code"`
	// Signal that killed the program; then Code is 0. 0: it ended by itself.
	Signal int `json:"signal,omitempty"`
	// Truncated: Stdout or Stderr got only the beginning of what was written.
	Truncated bool `json:"truncated,omitempty"`
}

// OK reports that the program ended by itself with status 0.
func (r ExecResult) OK() bool { return r.Code == 0 && r.Signal == 0 }

// String says how the program ended: "exit status 2", "killed by signal 9", or "no
// result" where Exec has failed.
func (r ExecResult) String() string {
	if r.Code < 0 {
		return "no result"
	}
	if r.Signal != 0 {
		return fmt.Sprintf("killed by signal %d", r.Signal)
	}
	return fmt.Sprintf("exit status %d", r.Code)
}

// Exec runs a program in the guest and waits for its end. argv is the program, by
// path or by its name in the PATH, and its arguments: no shell looks at them; up
// to 1024, and with the environment 128 KiB. Users of the guest can see them, so
// secrets belong into Stdin. opts may be nil.
//
// That the program fails is no error of Exec: look at the result. Errors are
// [ErrState] when the guest does not run, [ErrNotReady] when that in the guest
// which would run the program does not answer (see [UntilExec]), and [ErrInvalid]
// when the program cannot be started.
//
// When the context ends, the program and what it started are killed, as far as
// they have not hidden themselves, and Exec returns the context's error some
// seconds later at most; it says if something may still be running. The guest is
// not locked meanwhile: other verbs, such as Stop, do not wait for Exec.
func (g *Guest) Exec(ctx context.Context, argv []string, opts *ExecOptions) (ExecResult, error) {
	result, err := g.exec(ctx, argv, opts)
	if err != nil && result.OK() {
		result.Code = -1 // nobody should take it for success
	}
	return result, g.wrap("run a program in", err)
}

func (g *Guest) exec(ctx context.Context, argv []string, opts *ExecOptions) (ExecResult, error) {
	var o ExecOptions
	if opts != nil {
		o = *opts
	}
	o.TTY = o.TTY.complete()
	e, err := need[Execer](g.host, FeatureExec)
	if err := errors.Join(err, g.host.execUses(&o), checkExec(argv, &o)); err != nil {
		return ExecResult{}, err
	}
	if err := g.inside(ctx, "run a program in", State.runs); err != nil {
		return ExecResult{}, err
	}
	var result ExecResult
	err = g.call(ctx, "exec", func(ctx context.Context) (err error) {
		result, err = e.Exec(ctx, g.id, argv, &o)
		return err
	})
	return result, err
}

func (s State) runs() bool { return s == StateRunning }

// inside fails unless the guest is ours, complete, and in a state that the verb
// can do with.
func (g *Guest) inside(ctx context.Context, verb string, ok func(State) bool) error {
	st, rec, err := g.look(ctx)
	switch {
	case err != nil:
		return err
	case rec == nil:
		return foreignError(st)
	case rec.Phase != complete || !ok(st.State):
		return stateError(verb, st)
	}
	return nil
}

// execUses returns why options cannot be honoured here.
func (h *Host) execUses(o *ExecOptions) error {
	var errs []error
	if o.User != "" {
		errs = append(errs, h.Supports(FeatureExecUser))
	}
	if o.Dir != "" {
		errs = append(errs, h.Supports(FeatureExecDir))
	}
	if o.TTY != nil {
		errs = append(errs, h.Supports(FeatureExecTTY))
	}
	return errors.Join(errs...)
}

// checkExec reports every mistake. Values are not shown: they may be secrets.
func checkExec(argv []string, o *ExecOptions) error {
	var errs []error
	bad := func(path, problem string) { errs = append(errs, &FieldError{Path: path, Problem: problem}) }
	if len(argv) == 0 || argv[0] == "" {
		bad("argv", "has no program")
	}
	if len(argv)+len(o.Env) > maxExecArgs {
		bad("argv", fmt.Sprintf("has more than %d arguments and environment variables", maxExecArgs))
	}
	total := 0
	for i, a := range argv {
		total += len(a) + 1
		if strings.Contains(a, "\x00") {
			bad(fmt.Sprintf("argv[%d]", i), "has a zero byte")
		}
	}
	for i, e := range o.Env {
		total += len(e) + 1
		name, _, ok := strings.Cut(e, "=")
		if !ok || !envNameRE.MatchString(name) || strings.Contains(e, "\x00") {
			bad(fmt.Sprintf("env[%d]", i), `is not a NAME=value without zero bytes, its name of A-Z, a-z, 0-9 and "_" and not beginning with a digit`)
		}
	}
	if total > maxExecText {
		bad("argv", fmt.Sprintf("has, with the environment, %d bytes; at most %d are taken", total, maxExecText))
	}
	if o.User != "" && !execUserRE.MatchString(o.User) {
		bad("user", `is not the name of a user: 1 to 32 characters of a-z, 0-9, "_" and "-", as "www-data"`)
	}
	if o.Dir != "" && (!path.IsAbs(o.Dir) || len(o.Dir) > 4095 || strings.Contains(o.Dir, "\x00")) {
		bad("dir", "is not an absolute path")
	}
	if o.TTY != nil && o.Stderr != nil {
		bad("stderr", "is not told from stdout on a terminal: leave it out")
	}
	return errors.Join(errs...)
}

// UntilExec waits until [Guest.Exec] can run programs in the guest: until its agent
// answers, where there is one. When the context ends before, the error says why they
// cannot. A guest that is off is [ErrState].
func UntilExec() Condition {
	return Condition{what: "programs can be run inside", begin: func() test { return execReady }}
}

func execReady(ctx context.Context, g *Guest, st Status) (bool, error) {
	e, err := need[Execer](g.host, FeatureExec)
	if err != nil {
		return false, err
	}
	if !st.State.Live() {
		return false, stateError("run a program in", st)
	}
	err = g.call(ctx, "exec ready", func(ctx context.Context) error { return e.ExecReady(ctx, g.id) })
	if errors.Is(err, ErrNotReady) || errors.Is(err, ErrUnavailable) {
		return false, &pendingError{err} // a hypervisor that is away is noticed by who looks for the state
	}
	return err == nil, err
}
