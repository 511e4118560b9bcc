package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// failure is a document that could not be judged.
type failure struct {
	source  string
	err     error
	wasRead bool // it could be read and is invalid
}

// Error returns the place in the form that findings have it.
func (f failure) Error() string {
	var at *domainxml.SyntaxError
	switch {
	case errors.As(f.err, &at):
		return fmt.Sprintf("%s:%d:%d: %s", plain(f.source), at.Line, at.Column, at.Problem)
	case f.wasRead:
		return plain(f.source) + ": " + f.err.Error()
	}
	return plain(f.err.Error()) // it names its file
}

func (f failure) Unwrap() error { return f.err }

// failures are an error of class invalid if the documents are all that is wrong.
type failures []failure

func (list failures) Error() string {
	lines := make([]string, len(list))
	for i, f := range list {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

func (list failures) Is(target error) bool {
	return target == provision.ErrInvalid && !slices.ContainsFunc(list, func(f failure) bool { return !f.wasRead })
}

func (list failures) Unwrap() []error {
	errs := make([]error, len(list))
	for i, f := range list {
		errs[i] = f
	}
	return errs
}
