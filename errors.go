package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// What callers branch on, by [errors.Is]. Beside them: [errors.ErrUnsupported],
// [io/fs.ErrPermission], [io/fs.ErrClosed] and the errors of the context.
var (
	// ErrNotFound: no such guest or image, or the guest that this handle was
	// for is gone, even if another one has its name now.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrState: the verb has no meaning in the guest's state, or the guest is
	// not managed by this library.
	ErrState = errors.New("not possible in this state")
	// ErrInvalid: the Spec, a name or an option is wrong; [FieldError] says how.
	ErrInvalid = errors.New("invalid")
	// ErrBusy: another operation held the guest until the context ended.
	ErrBusy = errors.New("busy")
	// ErrConflict: the Key belongs to a guest made from another Spec.
	ErrConflict = errors.New("conflict")
	// ErrSuspended: the guest is suspended and must not run.
	ErrSuspended = errors.New("suspended")
	// ErrCapacity: the host has no room for the guest now. Another host may
	// have, or this one later.
	ErrCapacity = errors.New("no room on this host")
	// ErrNotReady: what is inside of the guest does not answer, while the
	// hypervisor does: its agent is not installed, has not begun yet, or hangs.
	// [Guest.Wait] with [UntilExec] waits for it.
	ErrNotReady = errors.New("guest not ready")
	// ErrUnavailable: the hypervisor does not answer. It says nothing about
	// the guests, and where the call was to change something, nothing about
	// whether it did: the same call again is safe. From Guest.Exec it may also be
	// that what runs programs in the guest does not answer.
	ErrUnavailable = errors.New("hypervisor unavailable")
	// ErrOutcomeUnknown: the call was to change something, and the answer did
	// not come: it may have happened, may happen yet, or not at all. It stands
	// beside ErrUnavailable or the context's error. The same call again is safe.
	ErrOutcomeUnknown = errors.New("it is not known whether it took effect")
)

// errClosed is for calls after Host.Close.
var errClosed = fmt.Errorf("the Host is closed: %w", fs.ErrClosed)

// Error is what the verbs of [Host] and [Guest] return: it is added once, and
// the cause stays reachable by errors.Is and errors.As.
type Error struct {
	Op    string // the verb in words, for people: "create", "look up", "wait for", …
	Kind  string // the backend: "kvm", "lxc", …
	Guest string // the guest's or image's name; empty where the call was for the host
	Err   error
}

// Error returns one line: provision: start kvm "web1": not found.
func (e *Error) Error() string {
	// errors.Join puts each error on a line of its own.
	cause := strings.ReplaceAll(fmt.Sprint(e.Err), "\n", "; ")
	switch {
	case e.Kind == "": // Probe, which tells it, has failed
		return fmt.Sprintf("provision: %s: %s", e.Op, cause)
	case e.Guest == "":
		return fmt.Sprintf("provision: %s on %s: %s", e.Op, e.Kind, cause)
	}
	return fmt.Sprintf("provision: %s %s %q: %s", e.Op, e.Kind, e.Guest, cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FieldError says what is wrong with one field. It matches [ErrInvalid].
type FieldError struct {
	Path    string // as in YAML: "nics[0].vlan"
	Value   string // what was given, shortened; empty for secrets
	Problem string // what is wrong with it and what would be accepted
}

// Error returns the path, the value and the problem.
func (e *FieldError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %s", e.Path, e.Problem)
	}
	return fmt.Sprintf("%s: %q %s", e.Path, e.Value, e.Problem)
}

// Is reports that a FieldError is an ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// UnsupportedError says which feature is not to be had here and why. It
// matches [errors.ErrUnsupported].
type UnsupportedError struct {
	Feature Feature
	Kind    string // the backend
	Reason  string
}

// Error returns the feature, the backend and the reason.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not supported by %s here: %s", e.Feature, e.Kind, e.Reason)
}

// Is reports that an UnsupportedError is an errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// ManifestError is a mistake in a manifest, with its place. It matches
// [ErrInvalid].
type ManifestError struct {
	Line, Column int    // from 1
	Path         string // "nics[0].vlan"; empty where the document is not YAML
	Problem      string
}

// Error returns the place and the problem.
func (e *ManifestError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ", column %d", e.Column)
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	return b.String() + e.Problem
}

// Is reports that a ManifestError is an ErrInvalid.
func (e *ManifestError) Is(target error) bool { return target == ErrInvalid }

// stateError explains which state refused which verb.
func stateError(verb string, st Status) error {
	why := ""
	if st.Reason != "" {
		why = " (" + st.Reason + ")"
	}
	return fmt.Errorf("%w: cannot %s a guest that is %s%s%s", ErrState, verb, st.State, why, remedy(verb, st.State))
}

// remedy is what to do about a state that refused a verb.
func remedy(verb string, s State) string {
	switch {
	case s == StateIncomplete:
		return "; create it again, or delete it"
	case s == StatePaused && verb == "start":
		return "; resume it"
	}
	return ""
}
