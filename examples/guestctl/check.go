package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

func (o *options) checkFlags(f *flag.FlagSet) {
	o.severityFlag(f)
}

// severityFlag declares the least severity of what is shown.
func (o *options) severityFlag(f *flag.FlagSet) {
	o.lint.severity = domainxml.SeverityInfo
	f.Func("severity", "show findings of at least this `SEVERITY`: error, warning or info (default info)", func(text string) error {
		if o.lint.severity = domainxml.Severity(text); rank(o.lint.severity) < 0 {
			return errors.New("it is none of error, warning and info")
		}
		return nil
	})
}

func check(ctx context.Context, c *command) error {
	found, err := c.host.Check(ctx)
	if err != nil {
		return err
	}
	bad := slices.ContainsFunc(found, func(f provision.Finding) bool { return f.Severity == provision.SeverityError })
	found = slices.DeleteFunc(found, func(f provision.Finding) bool { return severityRank(f) > rank(c.lint.severity) })
	slices.SortStableFunc(found, func(a, b provision.Finding) int { return cmp.Compare(severityRank(a), severityRank(b)) })
	if c.json {
		err = c.document(append([]provision.Finding{}, found...))
	} else {
		_, err = io.WriteString(c.stdout, checkText(found, c.lint.severity))
	}
	if err == nil && bad {
		return errFindings
	}
	return err
}

func severityRank(f provision.Finding) int { return rank(domainxml.Severity(f.Severity)) }

// checkText is for people: blocks as lint has them, and how many there are of the
// severities that are shown.
func checkText(found []provision.Finding, least domainxml.Severity) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s: %s [%s]\n", f.Severity, plain(f.Message), plain(f.Check))
		if f.Evidence != "" {
			b.WriteString(below(f.Evidence))
		}
		if f.Remedy != "" {
			b.WriteString(below("Remedy: " + f.Remedy))
		}
	}
	if len(found) > 0 {
		b.WriteString("\n")
	}
	var counts []string
	for _, s := range severities()[:rank(least)+1] {
		n := 0
		for _, f := range found {
			if severityRank(f) == rank(s) {
				n++
			}
		}
		counts = append(counts, count(n, string(s)))
	}
	b.WriteString(strings.Join(counts, ", ") + "\n")
	return b.String()
}

// below puts each line of a text below a heading.
func below(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + plain(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
