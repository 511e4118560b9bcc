package cgroup

import (
	"fmt"
	"strconv"
	"strings"
)

// parseCount reads a number as the kernel writes it: decimal digits, no sign.
func parseCount(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", clip(s))
	}
	return n, nil
}

// parseMax reads a number or "max", which is [NoLimit].
func parseMax(s string) (uint64, error) {
	if s == "max" {
		return NoLimit, nil
	}
	return parseCount(s)
}

// fields reads a file of lines of a name and a number ("flat keyed"), and calls
// fn for each.
func fields(text string, fn func(name string, n uint64)) error {
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := parseCount(strings.TrimSpace(value)) // lines of version 1 may end in a blank
		if !found || name == "" || err != nil {
			return fmt.Errorf("line %q is not a name and a number", clip(line))
		}
		fn(name, n)
	}
	return nil
}

// field reads one number of such a file.
func field(text, name string) (value uint64, err error) {
	found := false
	err = fields(text, func(n string, v uint64) {
		if n == name {
			value, found = v, true
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("there is no line %q", name)
	}
	return value, err
}
