package main

import (
	"context"
	"slices"

	"github.com/guestforge/provision"
)

func check(ctx context.Context, c *command) error {
	found, err := c.host.Check(ctx)
	if err != nil {
		return err
	}
	if c.json {
		err = c.document(append([]provision.Finding{}, found...))
	} else {
		err = c.table(findingRows(found)...)
	}
	bad := slices.ContainsFunc(found, func(f provision.Finding) bool { return f.Severity == provision.SeverityError })
	if err == nil && bad {
		return errFindings
	}
	return err
}

func findingRows(found []provision.Finding) [][]string {
	rows := [][]string{{"CHECK", "SEVERITY", "MESSAGE", "EVIDENCE", "REMEDY"}}
	for _, f := range found {
		rows = append(rows, []string{f.Check, string(f.Severity), f.Message, f.Evidence, f.Remedy})
	}
	return rows
}
