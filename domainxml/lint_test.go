package domainxml_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// example is the document of a rule's example.
func example(text string) []byte {
	if !strings.HasPrefix(text, "<domain") {
		text = "<domain type='kvm'>" + text + "</domain>"
	}
	return []byte(text)
}

// lint returns the findings of one rule.
func lint(t *testing.T, doc []byte, rule string, opts domainxml.LintOptions) []domainxml.Finding {
	t.Helper()
	d, err := domainxml.Parse(doc)
	require.NoError(t, err)
	all, err := d.Lint(&opts)
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(f domainxml.Finding) bool { return f.Rule != rule })
}

// Each rule says what, why and by whose word; finds its bad example and not its
// good one; and its fix is one.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range domainxml.Rules() {
		t.Run(r.ID, func(t *testing.T) {
			require.Regexp(t, `^[a-z]+(-[a-z0-9]+)*$`, r.ID)
			require.False(t, seen[r.ID])
			seen[r.ID] = true
			for _, s := range []string{r.Title, r.Why, r.Source, r.Fails, r.Passes} {
				require.NotEmpty(t, s)
			}
			require.Contains(t, []domainxml.Severity{domainxml.SeverityError, domainxml.SeverityWarning, domainxml.SeverityInfo}, r.Severity)
			require.Empty(t, lint(t, example(r.Passes), r.ID, domainxml.LintOptions{}))
			bad := lint(t, example(r.Fails), r.ID, domainxml.LintOptions{})
			require.NotEmpty(t, bad)
			require.Empty(t, lint(t, example(r.Fails), "", domainxml.LintOptions{Off: []string{r.ID}}))
			d, err := domainxml.Parse(example(r.Fails))
			require.NoError(t, err)
			fixed := true
			for _, f := range bad {
				at, err := d.Find(f.Path)
				require.NoError(t, err)
				require.Equal(t, []string{f.Path}, at)
				require.NoError(t, d.Apply(f.Fix...))
				fixed = fixed && len(f.Fix) > 0
			}
			if fixed {
				require.Empty(t, lint(t, d.Bytes(), r.ID, domainxml.LintOptions{}), "%s", d)
			}
		})
	}
}

func TestRuleThatIsNot(t *testing.T) {
	d, err := domainxml.Parse([]byte("<domain/>"))
	require.NoError(t, err)
	_, err = d.Lint(&domainxml.LintOptions{Off: []string{"no-such-rule"}})
	require.ErrorContains(t, err, `no rule "no-such-rule"`)
}
