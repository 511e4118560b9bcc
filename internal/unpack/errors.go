package unpack

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with an archive or a tree, for errors.Is. What went wrong at
// an entry comes as an [*EntryError]. Other errors are those of the reader, of
// the context and of system calls.
var (
	ErrFormat   = errors.New("not of the stated format")
	ErrDamaged  = errors.New("archive is damaged or cut short")
	ErrName     = errors.New("name cannot be used")
	ErrLink     = errors.New("link cannot be used")
	ErrOccupied = errors.New("a directory with content is in the way")
	ErrDevice   = errors.New("device nodes are not accepted here")
	ErrEntry    = errors.New("entry cannot be used")
	ErrLayer    = errors.New("this is a layer of an overlay, not a whole root file system: export the merged tree")
	ErrLimit    = errors.New("over the limit")
	ErrNotRoot  = errors.New("not a root file system")
	ErrNotEmpty = errors.New("destination is not empty")
)

// EntryError says which entry was at fault.
type EntryError struct {
	Name string // as the archive has it: any bytes
	Err  error
}

// Error quotes the name, which may hold anything.
func (e *EntryError) Error() string {
	name := e.Name
	if len(name) > maxName {
		name = name[:maxName] + "..."
	}
	return fmt.Sprintf("entry %q: %v", name, e.Err)
}

// Unwrap returns Err.
func (e *EntryError) Unwrap() error { return e.Err }

// FormatError says that the data are not what the caller said they are.
type FormatError struct {
	Format Format
	Seen   string // "gzip data", "text", ...
}

// Error names both.
func (e *FormatError) Error() string {
	if e.Seen == "" {
		return fmt.Sprintf("format %q is not known: state tar, tar.gz, tar.xz or tar.zst", string(e.Format))
	}
	return fmt.Sprintf("stated as %s, but it is %s", e.Format, e.Seen)
}

// Is makes it an [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// NotRootError says what a tree has at its top instead of a root file system.
type NotRootError struct {
	Top  []string // sorted, at most ten; directories end in "/"
	More bool     // there are others
}

// Error says what was looked for, what is there and what to do.
func (e *NotRootError) Error() string {
	found := "nothing"
	if len(e.Top) > 0 {
		found = fmt.Sprintf("%q", e.Top)
	}
	if e.More {
		found += " and more"
	}
	hint := ""
	if len(e.Top) == 1 && strings.HasSuffix(e.Top[0], "/") {
		hint = "; pack it from inside that directory (tar -C " + strings.TrimSuffix(fmt.Sprintf("%q", e.Top[0]), `/"`) + `" .)`
	}
	return fmt.Sprintf("not a root file system: it has neither an init nor a shell (%s); at its top is %s%s",
		strings.Join(proofs[:], ", "), found, hint)
}

// Is makes it an [ErrNotRoot].
func (e *NotRootError) Is(target error) bool { return target == ErrNotRoot }

// limitError says which limit it was.
func limitError(what string, limit int64) error {
	return fmt.Errorf("%w: more than %d %s", ErrLimit, limit, what)
}
