package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/guestforge/provision/domainxml"
)

// ruleDoc is a rule of lint in JSON.
type ruleDoc struct {
	ID       string             `json:"id"`
	Severity domainxml.Severity `json:"severity"`
	Title    string             `json:"title"`
	Why      string             `json:"why"`
	Source   string             `json:"source"`
	Fails    string             `json:"fails"`
	Passes   string             `json:"passes"`
}

// printRules prints what lint looks for.
func (c *command) printRules() error {
	list := []ruleDoc{}
	var text strings.Builder
	for _, r := range domainxml.Rules() {
		list = append(list, ruleDoc{r.ID, r.Severity, r.Title, r.Why, r.Source, r.Fails, r.Passes})
		fmt.Fprintf(&text, "%s (%s): %s\n    %s\n    Source: %s\n    Fails:  %s\n    Passes: %s\n\n",
			r.ID, r.Severity, r.Title, r.Why, r.Source, indented(r.Fails), indented(r.Passes))
	}
	if c.json {
		return c.document(list)
	}
	_, err := io.WriteString(c.stdout, text.String())
	return err
}

// indented keeps the lines of an example below its first.
func indented(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n            ")
}
