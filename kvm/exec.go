package kvm

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
)

// Bounds of Exec.
const (
	maxInput  = 64 << 10 // bytes of Stdin: an agent under emulation on a busy host reads some 10 KiB a second
	maxOutput = 1 << 20  // bytes of Stdout and of Stderr: libvirt passes on 4 MiB, in base64
	killTime  = 5 * time.Second
	pollFirst = 20 * time.Millisecond
	pollLast  = time.Second
)

// basePath is the PATH of a program that gets an environment: the agent gives it
// nothing else then.
const basePath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var errTooLong = errors.New("libvirt does not pass on what the guest agent says")

// guestExec are the arguments of the agent's command.
type guestExec struct {
	Path    string   `json:"path"`
	Arg     []string `json:"arg,omitempty"`
	Env     []string `json:"env,omitempty"`
	Input   string   `json:"input-data,omitempty"`
	Capture bool     `json:"capture-output"`
}

// guestStatus is its answer to guest-exec-status.
type guestStatus struct {
	Exited       bool   `json:"exited"`
	Code         int64  `json:"exitcode"`
	Signal       int64  `json:"signal"`
	Out          []byte `json:"out-data"` // base64
	Err          []byte `json:"err-data"`
	OutTruncated bool   `json:"out-truncated"`
	ErrTruncated bool   `json:"err-truncated"`
}

// Exec implements [provision.Execer] by the QEMU guest agent. Stdin is read before the
// program starts, up to 64 KiB; what the program writes arrives when it has ended, the
// first 1 MiB of each of Stdout and Stderr. With Env the program has no other
// environment than a PATH beside it. Guests need a POSIX shell in /bin/sh with the usual
// tools, unless nothing of the output is wanted. A name that the shell alone knows, or a
// file that is no program, is exit status 126 or 127, as in a shell.
func (b *Backend) Exec(ctx context.Context, id provision.ID, argv []string, opts *provision.ExecOptions) (provision.ExecResult, error) {
	for f, asked := range map[provision.Feature]string{provision.FeatureExecUser: opts.User, provision.FeatureExecDir: opts.Dir} {
		if asked != "" {
			return provision.ExecResult{}, &provision.UnsupportedError{Feature: f, Kind: "kvm", Reason: missing[f]}
		}
	}
	if opts.TTY != nil {
		return provision.ExecResult{}, &provision.UnsupportedError{Feature: provision.FeatureExecTTY, Kind: "kvm", Reason: missing[provision.FeatureExecTTY]}
	}
	cmd, word := program(argv, opts)
	if opts.Stdin != nil {
		input, err := io.ReadAll(io.LimitReader(opts.Stdin, maxInput+1))
		if err != nil {
			return provision.ExecResult{}, fmt.Errorf("standard input: %w", err)
		}
		if len(input) > maxInput {
			return provision.ExecResult{}, &provision.FieldError{Path: "stdin", Problem: fmt.Sprintf("is longer than the %d bytes that the guest agent takes here", maxInput)}
		}
		cmd.Input = base64.StdEncoding.EncodeToString(input)
	}
	// To start a program and to kill it must not be cut off by the context: what was
	// started would go on unknown.
	late, cancel := outlast(ctx, killTime)
	defer cancel()
	pid, err := b.startProgram(late, id, cmd)
	if err != nil {
		return provision.ExecResult{}, err
	}
	st, err := b.awaitProgram(ctx, id, pid)
	if err != nil && ctx.Err() != nil {
		return provision.ExecResult{}, b.killProgram(ctx, late, id, pid)
	}
	if err != nil {
		return provision.ExecResult{}, fmt.Errorf("the program was started and its end is not known: %w", err)
	}
	if word != "" && string(st.Err) == word {
		return provision.ExecResult{}, &startError{errNoProgram}
	}
	return st.deliver(opts)
}

// program makes the agent's command, and the word that it says if there is no program.
func program(argv []string, opts *provision.ExecOptions) (cmd guestExec, word string) {
	cmd = guestExec{Path: argv[0], Arg: argv[1:], Env: environment(opts.Env)}
	if opts.Stdout == nil && opts.Stderr == nil {
		return cmd, ""
	}
	word = rand.Text()
	cmd.Path, cmd.Capture = "/bin/sh", true
	// One byte more than is passed on tells that there was more.
	cmd.Arg = append([]string{"-c", runScript, "exec", word, strconv.Itoa(maxOutput + 1)}, argv...)
	return cmd, word
}

func environment(env []string) []string {
	if len(env) == 0 {
		return nil
	}
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		return env
	}
	return append([]string{basePath}, env...)
}

// outlast returns a context that ends some time after ctx does.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if ctxerr.Sleep(late, d) == nil {
			cancel(ctxerr.Of(ctx))
		}
	})
	return late, func() { stop(); cancel(nil) }
}

func (b *Backend) startProgram(ctx context.Context, id provision.ID, cmd guestExec) (int64, error) {
	var started struct {
		PID int64 `json:"pid"`
	}
	err := b.agent(ctx, id, agentCall{command: "guest-exec", args: cmd, changes: true}, &started)
	switch {
	case errors.Is(err, errRefused):
		return 0, b.whyRefused(ctx, id, err)
	case errors.Is(err, provision.ErrOutcomeUnknown):
		return 0, fmt.Errorf("%w: the program may have been started", err)
	case err != nil:
		return 0, err
	case started.PID <= 0 || started.PID > math.MaxInt32:
		return 0, fmt.Errorf("%w: the guest agent says that it started process %d", provision.ErrNotReady, started.PID)
	}
	return started.PID, nil
}

// whyRefused tells an agent that does not run programs from a program that it could
// not start.
func (b *Backend) whyRefused(ctx context.Context, id provision.ID, refusal error) error {
	var info struct {
		Commands []struct {
			Name    string `json:"name"`
			Enabled bool   `json:"enabled"`
		} `json:"supported_commands"`
	}
	if err := b.agent(ctx, id, agentCall{command: "guest-info"}, &info); err != nil {
		return errors.Join(refusal, err)
	}
	for _, c := range info.Commands {
		if c.Name == "guest-exec" && c.Enabled {
			return &startError{refusal}
		}
	}
	var frozen string
	if err := b.agent(ctx, id, agentCall{command: "guest-fsfreeze-status"}, &frozen); err == nil && frozen == "frozen" {
		return fmt.Errorf("%w: the guest's file systems are frozen (ThawFilesystems): %w", provision.ErrState, refusal)
	}
	return fmt.Errorf("%w: %w", &provision.UnsupportedError{Feature: provision.FeatureExec, Kind: "kvm",
		Reason: "the guest's own configuration of its agent forbids guest-exec"}, refusal)
}

var errNoProgram = errors.New("the guest has no such program, or no room for a named pipe in /run and /tmp")

// startError says that a program cannot be started. It matches ErrInvalid.
type startError struct{ why error }

func (e *startError) Error() string { return "argv[0]: cannot be started: " + e.why.Error() }

func (e *startError) Unwrap() []error { return []error{provision.ErrInvalid, e.why} }

// awaitProgram asks until the program has ended, less and less often.
func (b *Backend) awaitProgram(ctx context.Context, id provision.ID, pid int64) (*guestStatus, error) {
	for wait := pollFirst; ; wait = min(wait*3/2, pollLast) {
		var st guestStatus
		ask := agentCall{command: "guest-exec-status", args: map[string]int64{"pid": pid}}
		if err := b.agent(ctx, id, ask, &st); err != nil {
			return nil, err
		}
		if st.Exited {
			return &st, nil
		}
		if err := ctxerr.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// killProgram kills what was started and says how that went. The agent has no command
// for it.
func (b *Backend) killProgram(ctx, late context.Context, id provision.ID, pid int64) error {
	why := ended(ctx)
	_, err := b.startProgram(late, id, guestExec{Path: "/bin/sh", Arg: []string{"-c", killScript, "kill", strconv.FormatInt(pid, 10)}})
	if err == nil {
		_, err = b.awaitProgram(late, id, pid)
	}
	if err != nil {
		// Of the second error only the text: a context of ours is not the caller's.
		return fmt.Errorf("%w: the program may still be running as process %d of the guest: %v", why, pid, err)
	}
	return fmt.Errorf("%w: the program was killed", why)
}

// deliver hands over what the program wrote and how it ended.
func (st *guestStatus) deliver(opts *provision.ExecOptions) (provision.ExecResult, error) {
	if st.Code < 0 || st.Code > math.MaxUint32 || st.Signal < 0 || st.Signal > 255 {
		return provision.ExecResult{}, fmt.Errorf("%w: the guest agent says that the program ended with status %d and signal %d", provision.ErrNotReady, st.Code, st.Signal)
	}
	r := provision.ExecResult{Code: int(st.Code), Signal: int(st.Signal)}
	for _, o := range []struct {
		to   io.Writer
		data []byte
		cut  bool
	}{{opts.Stdout, st.Out, st.OutTruncated}, {opts.Stderr, st.Err, st.ErrTruncated}} {
		if o.to == nil {
			continue
		}
		r.Truncated = r.Truncated || o.cut || len(o.data) > maxOutput
		if _, err := o.to.Write(o.data[:min(len(o.data), maxOutput)]); err != nil {
			return r, fmt.Errorf("the program ended (%s), and what it wrote could not be passed on: %w", r, err)
		}
	}
	return r, nil
}
