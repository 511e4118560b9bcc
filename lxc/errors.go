package lxc

import "fmt"

// Error is what liblxc said of something that failed.
type Error struct {
	Op    string // what was asked of it
	Cause string // the first error in its log, without time and place; may be empty
	Err   error  // of go-lxc, or of the program that was run
}

// Error names what failed and the first cause.
func (e *Error) Error() string {
	if e.Cause != "" {
		return fmt.Sprintf("lxc: %s: %s", e.Op, e.Cause)
	}
	return fmt.Sprintf("lxc: %s: %v", e.Op, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
