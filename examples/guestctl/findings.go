package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/guestforge/provision/domainxml"
)

// report is what lint has found, in the order of the documents and of their text.
type report struct {
	documents int // that were judged
	found     []located
	failed    failures
	uri       func(source string) string // for SARIF
}

// located is a finding in one of several documents.
type located struct {
	Source string `json:"source"` // the file as it was named, or the domain
	domainxml.Finding
}

// judge adds the findings in one document.
func (r *report) judge(source string, text []byte, opts domainxml.LintOptions) {
	var found []domainxml.Finding
	doc, err := domainxml.Parse(text)
	if err == nil {
		found, err = doc.Lint(&opts)
	}
	if err != nil {
		r.failed = append(r.failed, failure{source, err, true})
		return
	}
	r.documents++
	for _, f := range found {
		r.found = append(r.found, located{source, f})
	}
}

// answer prints a report, and returns what is bad about it. That something could
// not be judged is worse than any finding.
func (c *command) answer(w io.Writer, r *report) error {
	bad := slices.ContainsFunc(r.found, func(f located) bool { return f.Severity == domainxml.SeverityError })
	r.found = slices.DeleteFunc(r.found, func(f located) bool { return rank(f.Severity) > rank(c.lint.severity) })
	var err error
	switch {
	case c.lint.sarif:
		err = writeJSON(w, r.sarif(c.lint.applied()))
	case c.json:
		err = writeJSON(w, append([]located{}, r.found...)) // none are [], not null
	default:
		_, err = io.WriteString(w, r.text()+r.summary(c.lint.severity))
	}
	switch {
	case err != nil:
		return err
	case len(r.failed) > 0:
		return r.failed
	case bad:
		return errFindings
	}
	return nil
}

// severities, the worst first.
func severities() []domainxml.Severity {
	return []domainxml.Severity{domainxml.SeverityError, domainxml.SeverityWarning, domainxml.SeverityInfo}
}

// rank is 0 for the worst, and negative for what is no severity.
func rank(s domainxml.Severity) int { return slices.Index(severities(), s) }

// text is for people: document by document, the worst first, and the findings of
// a rule together, so that what they have in common stands there once.
func (r *report) text() string {
	place := map[string]int{} // where the first of its document and rule stands
	for i, f := range r.found {
		for _, key := range []string{f.Source, f.Source + "\x00" + f.Rule} {
			if _, ok := place[key]; !ok {
				place[key] = i
			}
		}
	}
	list := slices.Clone(r.found)
	slices.SortStableFunc(list, func(a, b located) int {
		return cmp.Or(cmp.Compare(place[a.Source], place[b.Source]), cmp.Compare(rank(a.Severity), rank(b.Severity)),
			cmp.Compare(place[a.Source+"\x00"+a.Rule], place[b.Source+"\x00"+b.Rule]))
	})
	var b strings.Builder
	for i, f := range list {
		fmt.Fprintf(&b, "%s:%d:%d: %s: %s [%s]\n", plain(f.Source), f.Line, f.Column, f.Severity, plain(f.Message), f.Rule)
		last := i+1 == len(list)
		if last || !f.explainedWith(list[i+1]) {
			b.WriteString(f.explanation())
		}
		if last || list[i+1].Source != f.Source {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// explainedWith says whether the explanation of the next finding is this one's too.
func (f located) explainedWith(next located) bool {
	return f.Source == next.Source && f.Rule == next.Rule && f.Severity == next.Severity && f.explanation() == next.explanation()
}

func (f located) explanation() string {
	text := "    " + plain(f.Why) + "\n"
	switch {
	case len(f.Fix) > 0 && f.Caution != "":
		text += "    -fix-all sets it right. Caution: " + plain(f.Caution) + "\n"
	case f.Caution != "":
		text += "    Caution: " + plain(f.Caution) + "\n"
	case len(f.Fix) > 0:
		text += "    -fix sets it right.\n"
	}
	return text
}

// summary counts findings of the severities that are shown: "1 error, 2 warnings,
// 0 infos in 1 document; 1 document could not be judged".
func (r *report) summary(least domainxml.Severity) string {
	var counts []string
	for _, s := range severities()[:rank(least)+1] {
		n := 0
		for _, f := range r.found {
			if f.Severity == s {
				n++
			}
		}
		counts = append(counts, count(n, string(s)))
	}
	text := strings.Join(counts, ", ") + " in " + count(r.documents, "document")
	if n := len(r.failed); n > 0 {
		text += "; " + count(n, "document") + " could not be judged"
	}
	return text + "\n"
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
