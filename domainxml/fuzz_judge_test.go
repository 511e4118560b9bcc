package domainxml_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// documents are the texts below testdata, examples of rules included.
func documents(tb testing.TB) []string {
	tb.Helper()
	var list []string
	for _, pattern := range []string{"testdata/read/*.xml", "testdata/build/*.xml", "testdata/corpus/*.xml", "testdata/diff/*.xml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(tb, err)
		require.NotEmpty(tb, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(tb, err)
			list = append(list, string(text))
		}
	}
	for _, r := range domainxml.Rules() {
		list = append(list, string(example(r.Fails)), string(example(r.Passes)))
	}
	return list
}

// FuzzLint: no document makes Lint panic; what it finds is there, and a fix is
// either applied or contradicts another one.
func FuzzLint(f *testing.F) {
	for i, text := range documents(f) {
		f.Add([]byte(text), uint64(i%3)*9_000_000, i%2 == 0, "clean")
	}
	f.Fuzz(func(t *testing.T, text []byte, libvirt uint64, guaranteed bool, filter string) {
		d, err := domainxml.Parse(text)
		if err != nil {
			return
		}
		opts := &domainxml.LintOptions{Libvirt: libvirt, Guaranteed: guaranteed, Filter: filter}
		found, err := d.Lint(opts)
		require.NoError(t, err)
		var edits []domainxml.Edit
		for _, finding := range found {
			at, err := d.Find(finding.Path)
			require.NoError(t, err)
			require.Equal(t, []string{finding.Path}, at)
			require.NotEmpty(t, finding.Message)
			alone, err := domainxml.Parse(text)
			require.NoError(t, err)
			if err := alone.Apply(finding.Fix...); err != nil {
				requireRefused(t, err)
			}
			edits = append(edits, finding.Fix...)
		}
		if err := d.Apply(edits...); err != nil {
			requireRefused(t, err)
			require.Equal(t, string(text), d.String())
		}
	})
}

// requireRefused: in documents that libvirt would not take, a fix may be one that
// cannot be made, but only for these reasons.
func requireRefused(t *testing.T, err error) {
	t.Helper()
	var syntax *domainxml.SyntaxError // more elements than are taken
	if errors.Is(err, domainxml.ErrConflict) || errors.Is(err, domainxml.ErrNotFound) || errors.Is(err, domainxml.ErrAmbiguous) || errors.As(err, &syntax) {
		return
	}
	// Text where elements belong, elements where text does, or a filter's name from
	// the caller that XML cannot carry.
	require.Regexp(t, "takes no elements$|gets no text$|a string has ", err.Error())
}

// FuzzDiff: no two documents make Diff panic; one is the same as itself; and what
// differs in one direction does so in the other.
func FuzzDiff(f *testing.F) {
	list := documents(f)
	for i, text := range list {
		f.Add([]byte(text), []byte(list[(i+1)%len(list)]))
		f.Add([]byte(text), []byte(text))
	}
	f.Fuzz(func(t *testing.T, one, other []byte) {
		a, err := domainxml.Parse(one)
		if err != nil {
			return
		}
		require.Empty(t, domainxml.Diff(a, a))
		b, err := domainxml.Parse(other)
		if err != nil {
			return
		}
		there, back := domainxml.Diff(a, b), domainxml.Diff(b, a)
		require.Equal(t, len(there) == 0, len(back) == 0, "%v\n%v", there, back)
		for _, d := range there {
			require.NotEmpty(t, d.Path)
			require.NotEmpty(t, d.String())
		}
	})
}
