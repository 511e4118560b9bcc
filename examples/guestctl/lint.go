package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/kvm"
)

// lintOptions are the flags of lint.
type lintOptions struct {
	domainxml.LintOptions
	severity domainxml.Severity // the least that is shown
	fix      bool
	fixAll   bool
	rules    bool
	sarif    bool
}

func (o *options) lintFlags(f *flag.FlagSet) {
	l := &o.lint
	f.Func("off", "`RULES` to switch off, with commas between them", func(text string) error {
		l.Off = append(l.Off, strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })...)
		return nil
	})
	f.Func("libvirt", "`VERSION` of libvirt that will run the domains, as 9.0.0 (default that of the host; for files unknown)", func(text string) (err error) {
		l.Libvirt, err = parseVersion(text)
		return err
	})
	f.BoolVar(&l.Guaranteed, "guaranteed", false, "the guests were promised that all of their memory is their own")
	f.StringVar(&l.Filter, "filter", "", "`NAME` of the network filter that NICs should have (default no-mac-spoofing)")
	o.severityFlag(f)
	f.BoolVar(&l.fix, "fix", false, "print the one FILE with fixes of findings of at least that severity, and what was fixed and what is left to standard error")
	f.BoolVar(&l.fixAll, "fix-all", false, "as -fix, with the fixes that come with a caution too")
	f.BoolVar(&l.rules, "rules", false, "print all rules, with examples, and stop")
	f.BoolVar(&l.sarif, "sarif", false, "print findings as SARIF 2.1.0")
}

// parseVersion reads 9.0.0 as virConnectGetLibVersion would return it.
func parseVersion(text string) (v uint64, err error) {
	parts := strings.Split(text, ".")
	for i, part := range parts {
		if i == 2 { // packages add something of their own: 9.0.0-4+deb12u2
			part, _, _ = strings.Cut(strings.ReplaceAll(part, "+", "-"), "-")
		}
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil || n > 999 || len(parts) != 3 {
			return 0, errors.New("it is no version as 9.0.0")
		}
		v = 1000*v + n
	}
	return v, nil
}

// check refuses flags that contradict each other.
func (l *lintOptions) check(c *command) error {
	l.fix = l.fix || l.fixAll
	for _, id := range l.Off {
		if !slices.ContainsFunc(domainxml.Rules(), func(r domainxml.Rule) bool { return r.ID == id }) {
			return fmt.Errorf("-off: there is no rule %q; guestctl lint -rules prints all", id)
		}
	}
	switch {
	case l.rules && (len(c.args) > 0 || l.fix || l.sarif):
		return errors.New("-rules goes without FILEs, -fix and -sarif")
	case l.fix && len(c.args) != 1:
		return fmt.Errorf("-fix takes one FILE, and here are %d", len(c.args))
	case l.sarif && c.json:
		return errors.New("-sarif and -json exclude each other")
	}
	return nil
}

// applied are the rules that are not off.
func (l *lintOptions) applied() []domainxml.Rule {
	return slices.DeleteFunc(domainxml.Rules(), func(r domainxml.Rule) bool { return slices.Contains(l.Off, r.ID) })
}

// lint judges files or, without any, the domains of the host.
func lint(ctx context.Context, c *command) error {
	switch {
	case c.lint.rules:
		return c.printRules()
	case c.lint.fix:
		return c.lintFix()
	case len(c.args) > 0:
		return c.lintFiles()
	}
	return c.lintHost(ctx)
}

func (c *command) lintFiles() error {
	r := report{uri: fileURI}
	for _, name := range c.args {
		text, err := c.read(name)
		if err != nil {
			r.failed = append(r.failed, failure{source: name, err: err})
			continue
		}
		r.judge(name, text, c.lint.LintOptions)
	}
	return c.answer(c.stdout, &r)
}

// lintHost judges all domains or, with an error, prints nothing: what is missing
// would look as if it were clean.
func (c *command) lintHost(ctx context.Context) error {
	b, ok := c.driver.(*kvm.Backend)
	if !ok {
		return &provision.UnsupportedError{Feature: "lint of a host", Kind: c.backend, Reason: "only guests of kvm are defined in XML; name a FILE"}
	}
	opts := c.lint.LintOptions
	if opts.Libvirt == 0 {
		v, err := b.LibvirtVersion(ctx)
		if err != nil {
			return err
		}
		opts.Libvirt = v
	}
	r := report{uri: domainURI}
	for d, err := range b.Definitions(ctx) {
		if err != nil {
			return err
		}
		r.judge(d.Name, d.XML, opts)
	}
	return c.answer(c.stdout, &r)
}

// maxRead is more than domainxml.Parse takes, which then says so.
const maxRead = domainxml.MaxDocument + 1

// read returns the text of a file; "-" is standard input.
func (c *command) read(name string) ([]byte, error) {
	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(c.stdin, maxRead))
		if err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
		return text, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	return io.ReadAll(io.LimitReader(f, maxRead))
}
