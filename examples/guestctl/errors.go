package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/guestforge/provision"
)

// Exit codes.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitNotFound
	exitTaken
	exitState
	exitUnsupported
	exitInvalid
	exitFindings
	exitProgram
	exitCapacity
	exitUnavailable
)

const exitCodes = `  0  done
  1  failed
  2  wrong usage
  3  not found
  4  already exists, or conflict
  5  not possible in this state, busy or suspended
  6  unsupported
  7  invalid
  8  drift (plan -drift) or findings (check, lint)
  9  the program failed (exec)
 10  no room on this host
 11  hypervisor unavailable
`

// errFindings ends a verb whose answer is printed and is bad news.
var errFindings = errors.New("there are findings")

// class is a sort of error, for programs.
type class struct {
	target error
	kind   string // in JSON
	exit   int
}

func classes() []class {
	return []class{
		{provision.ErrNotFound, "notFound", exitNotFound},
		{provision.ErrExists, "exists", exitTaken},
		{provision.ErrConflict, "conflict", exitTaken},
		{provision.ErrState, "state", exitState},
		{provision.ErrBusy, "busy", exitState},
		{provision.ErrSuspended, "suspended", exitState},
		{provision.ErrCapacity, "capacity", exitCapacity},
		{provision.ErrNotReady, "notReady", exitState},
		{provision.ErrUnavailable, "unavailable", exitUnavailable},
		{errors.ErrUnsupported, "unsupported", exitUnsupported},
		{provision.ErrInvalid, "invalid", exitInvalid},
		{fs.ErrPermission, "permission", exitFailed},
		{context.Canceled, "canceled", exitFailed},
		{context.DeadlineExceeded, "canceled", exitFailed},
	}
}

// classify finds the class of an error. Where several are joined the first
// counts, which is the cause.
func classify(err error) (class, bool) {
	for _, c := range classes() {
		is, ok := err.(interface{ Is(error) bool })
		if err == c.target || ok && is.Is(c.target) {
			return c, true
		}
	}
	for _, e := range unwrap(err) {
		if c, ok := classify(e); ok {
			return c, true
		}
	}
	return class{nil, "failed", exitFailed}, false
}

func unwrap(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	case interface{ Unwrap() error }:
		if cause := e.Unwrap(); cause != nil {
			return []error{cause}
		}
	}
	return nil
}

// errorDoc is an error in JSON.
type errorDoc struct {
	Kind    string     `json:"kind"`
	Guest   string     `json:"guest,omitempty"` // or image
	Field   string     `json:"field,omitempty"` // the first of Fields
	Message string     `json:"message"`
	Fields  []fieldDoc `json:"fields,omitempty"`
}

type fieldDoc struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"` // of a manifest
	Column  int    `json:"column,omitempty"`
}

// fields returns all fields that an error complains of.
func fields(err error) (list []fieldDoc) {
	switch e := err.(type) {
	case *provision.FieldError:
		return []fieldDoc{{Field: e.Path, Message: strings.TrimPrefix(e.Error(), e.Path+": ")}}
	case *provision.ManifestError:
		return []fieldDoc{{Field: e.Path, Message: e.Problem, Line: e.Line, Column: e.Column}}
	case *provision.UnsupportedError:
		return []fieldDoc{{Field: string(e.Feature), Message: oneLine(e)}}
	}
	for _, cause := range unwrap(err) {
		list = append(list, fields(cause)...)
	}
	return list
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// fail reports an error and returns the exit code. That stderr cannot be
// written to is nothing that could be reported.
func (c *command) fail(ctx context.Context, err error) int {
	if errors.Is(err, errFindings) {
		return exitFindings
	}
	if errors.Is(err, errProgram) {
		return exitProgram
	}
	found, ok := classify(err)
	if !ok && ctx.Err() != nil {
		found.kind = "canceled"
	}
	var wrong usageError
	isUsage := errors.As(err, &wrong)
	if isUsage {
		found = class{nil, "usage", exitUsage}
	}
	if c.json {
		_ = c.failJSON(found, err)
		return found.exit
	}
	_, _ = fmt.Fprintf(c.stderr, "guestctl: %s", reported(err))
	if isUsage {
		_, _ = io.WriteString(c.stderr, wrong.hint)
	}
	return found.exit
}

func (c *command) failJSON(found class, err error) error {
	doc := errorDoc{Kind: found.kind, Message: oneLine(err), Fields: fields(err)}
	var e *provision.Error
	if errors.As(err, &e) {
		doc.Guest = e.Guest
	}
	if len(doc.Fields) > 0 {
		doc.Field = doc.Fields[0].Field
	}
	enc := json.NewEncoder(c.stderr)
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}
