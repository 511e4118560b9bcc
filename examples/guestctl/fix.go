package main

import (
	"fmt"
	"slices"

	"github.com/guestforge/provision/domainxml"
)

// lintFix prints a document that has been set right as far as that can be done
// without asking. Findings that are left are those of the printed document.
func (c *command) lintFix() error {
	name := c.args[0]
	text, err := c.read(name)
	if err != nil {
		return failures{{source: name, err: err}}
	}
	doc, err := domainxml.Parse(text)
	if err != nil {
		return failures{{source: name, err: err, wasRead: true}}
	}
	fixed, failed, err := c.lint.apply(doc)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !c.json { // there, what is left is an array
		for _, f := range fixed {
			fmt.Fprintf(c.stderr, "%s: fixed: %s [%s]\n", plain(name), plain(f.Path+": "+f.Message), f.Rule)
		}
		for _, f := range failed {
			fmt.Fprintf(c.stderr, "%s: not fixed: %s [%s]: %s\n", plain(name), plain(f.Path+": "+f.Message), f.Rule, plain(f.why.Error()))
		}
	}
	if _, err := c.stdout.Write(doc.Bytes()); err != nil {
		return err
	}
	r := report{uri: fileURI}
	r.judge(name, doc.Bytes(), c.lint.LintOptions)
	return c.answer(c.stderr, &r)
}

// maxFixes bounds how often fixes may uncover others.
const maxFixes = 8

// unfixed is a finding whose fix could not be made, and why.
type unfixed struct {
	domainxml.Finding
	why error
}

// apply makes fixes until they change nothing more, and returns what they are of;
// and, of the last round, those that could not be made.
func (l *lintOptions) apply(doc *domainxml.Document) (fixed []domainxml.Finding, failed []unfixed, err error) {
	for range maxFixes {
		found, err := doc.Lint(&l.LintOptions)
		if err != nil {
			return nil, nil, err
		}
		found = slices.DeleteFunc(found, func(f domainxml.Finding) bool {
			return len(f.Fix) == 0 || f.Caution != "" && !l.fixAll || rank(f.Severity) > rank(l.severity)
		})
		before := doc.String()
		found, failed = applyFixes(doc, found)
		if doc.String() == before {
			break
		}
		fixed = append(fixed, found...)
	}
	return fixed, failed, nil
}

// applyFixes makes all fixes or, where some cannot be made, as in a document with
// two of what there is to be one of, those that can. It returns what they are of, and what is left with the reason.
func applyFixes(doc *domainxml.Document, found []domainxml.Finding) (fixed []domainxml.Finding, failed []unfixed) {
	var edits []domainxml.Edit
	for _, f := range found {
		edits = append(edits, f.Fix...)
	}
	if doc.Apply(edits...) == nil {
		return found, nil
	}
	for _, f := range found {
		if err := doc.Apply(f.Fix...); err != nil {
			failed = append(failed, unfixed{f, err})
		} else {
			fixed = append(fixed, f)
		}
	}
	return fixed, failed
}
