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
	fixed, err := c.lint.apply(doc)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, f := range fixed {
		if c.json {
			break // what is left is an array
		}
		fmt.Fprintf(c.stderr, "%s: fixed: %s [%s]\n", plain(name), plain(f.Path+": "+f.Message), f.Rule)
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

// apply makes fixes until they change nothing more, and returns what they are of.
func (l *lintOptions) apply(doc *domainxml.Document) (fixed []domainxml.Finding, err error) {
	for range maxFixes {
		found, err := doc.Lint(&l.LintOptions)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(f domainxml.Finding) bool {
			return len(f.Fix) == 0 || f.Caution != "" && !l.fixAll || rank(f.Severity) > rank(l.severity)
		})
		before := doc.String()
		found = applyFixes(doc, found)
		if doc.String() == before {
			break
		}
		fixed = append(fixed, found...)
	}
	return fixed, nil
}

// applyFixes makes all fixes or, where some cannot be made, as in a document with
// two of what there is to be one of, those that can. It returns what they are of.
func applyFixes(doc *domainxml.Document, found []domainxml.Finding) (fixed []domainxml.Finding) {
	var edits []domainxml.Edit
	for _, f := range found {
		edits = append(edits, f.Fix...)
	}
	if doc.Apply(edits...) == nil {
		return found
	}
	for _, f := range found {
		if doc.Apply(f.Fix...) == nil {
			fixed = append(fixed, f)
		}
	}
	return fixed
}
