package main

import (
	"errors"
	"strings"

	"github.com/guestforge/provision"
)

// reported is the text of an error for people: where several things are wrong,
// each has a line of its own, below what they have in common.
func reported(err error) string {
	var b strings.Builder
	for _, e := range joinedErrors(err) {
		common, cause := peel(e)
		list := joinedErrors(cause)
		if common == "" || len(list) == 1 {
			b.WriteString(plainLines(e.Error()) + "\n")
			continue
		}
		b.WriteString(plain(strings.TrimRight(common, ": ")) + ":\n")
		for _, one := range list {
			b.WriteString("  " + strings.ReplaceAll(plainLines(one.Error()), "\n", "\n  ") + "\n")
		}
	}
	return b.String()
}

// joinedErrors takes apart what [errors.Join] has made, and what looks the same.
func joinedErrors(err error) (list []error) {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var texts []string
	for _, e := range several.Unwrap() {
		texts = append(texts, e.Error())
		list = append(list, joinedErrors(e)...)
	}
	if err.Error() != strings.Join(texts, "\n") {
		return []error{err}
	}
	return list
}

// peel takes from an error what stands before its innermost cause.
func peel(err error) (common string, cause error) {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return common, err
		}
		text := inner.Error()
		if _, ok := err.(*provision.Error); ok {
			text = oneLine(inner)
		}
		before, ok := strings.CutSuffix(err.Error(), text)
		if !ok {
			return common, err
		}
		common, err = common+before, inner
	}
}

func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}
