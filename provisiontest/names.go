package provisiontest

import (
	"errors"
	"maps"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func namesCases() []testCase {
	return []testCase{
		rule("refused", "a name that is no RFC 1123 label with a letter is refused, with the field named", (*env).refusedNames),
		rule("unknown", "looking up any string that is no guest's name is ErrNotFound", (*env).unknownNames),
		rule("limits", "names of every accepted shape, up to 63 characters, are carried exactly", (*env).acceptedNames),
		rule("texts", "labels and keys are carried exactly, whatever is in them", (*env).oddTexts),
		rule("relabel", "SetLabels replaces all labels, and a Host that is opened later sees them", (*env).relabel),
		rule("too-much", "labels and keys that are too long or not UTF-8 are refused, with the field named", (*env).refusedTexts),
	}
}

// badNames are refused as names of guests.
func badNames() []string {
	return []string{
		"", strings.Repeat("a", 64), "Web1", "-web", "web-", "a.b", "a/b", "..", ".", "../etc", "web\n", "we\x00b", "we b",
		"web😀", "4711", "web١", "wéb", "web\u00a0", "web'", `web"`, "web;id", "$(id)", "web\xff", "%s", "*",
	}
}

// oddTexts are what formats, shells and terminals stumble over.
func oddTexts() map[string]string {
	return map[string]string{
		"quotes":     `'"` + "`" + `\'\"`,
		"markup":     `<a b="c">&amp;&#10;]]><!-- --></a>`,
		"lines":      "one\ntwo\r\nthree\rfour\t.\n",
		"emoji":      "😀 ü 漢字 \u2028\u2029\ufeff",
		"backslash":  `\n\\x00\u0000`,
		"shell":      "$(id) ${HOME} `id` %s %n ; | > *",
		"config":     "a = b # c\n[d]\nlxc.id = e",
		"spaces":     "  before and after  ",
		"control":    "\x00\x01\x1b[31m\x7f",
		"empty":      "",
		"A.b_c-d/e":  "a label's name may have these",
		"long":       strings.Repeat(`0123456789<>&"é😀`, 3000)[:57000],
		"record-ish": `{"v":1,"id":"x"}`,
	}
}

func (e *env) refusedNames() {
	for _, name := range badNames() {
		_, err := e.Create(e.ctx, e.Spec(e.t, e.machine, name), nil)
		e.refused(err, "name")
		_, err = e.Plan(e.ctx, e.Spec(e.t, e.machine, name))
		e.refused(err, "name")
	}
}

// refused requires an error about one field.
func (e *env) refused(err error, path string) {
	e.t.Helper()
	require.ErrorIs(e.t, err, provision.ErrInvalid)
	var field *provision.FieldError
	require.ErrorAs(e.t, err, &field)
	require.Equal(e.t, path, field.Path, "of %v", err)
}

func (e *env) unknownNames() {
	for _, name := range append(badNames(), e.name("nobody")) {
		_, err := e.Guest(e.ctx, name)
		require.ErrorIs(e.t, err, provision.ErrNotFound, "guest %q", name)
	}
}

func (e *env) acceptedNames() {
	long := e.name("a")
	long += strings.Repeat("x", 63-len(long))
	for _, name := range []string{long, e.name("a--b"), e.name("0"), e.name("xn--bcher-kva")} {
		g := e.make(e.Spec(e.t, e.machine, name))
		require.Equal(e.t, name, e.status(g).Name)
		found, err := e.Guest(e.ctx, name)
		require.NoError(e.t, err)
		require.Equal(e.t, g.ID(), found.ID())
		e.delete(g)
	}
}

func (e *env) oddTexts() {
	spec := e.spec("a")
	spec.Key = strings.Repeat(`<'"&;$(k)\😀`, 20)[:252]
	spec.Labels = oddTexts()
	g := e.make(spec)
	for _, st := range []provision.Status{e.status(g), e.listed(g)} {
		require.Empty(e.t, diff(spec.Labels, st.Labels), "labels")
		require.Equal(e.t, spec.Key, st.Key)
	}
	var found []string
	for st, err := range e.Guests(e.ctx, &provision.ListOptions{Key: spec.Key, Labels: map[string]string{"markup": spec.Labels["markup"]}}) {
		require.NoError(e.t, err)
		found = append(found, st.Name)
	}
	require.Equal(e.t, []string{spec.Name}, found)
}

func (e *env) relabel() {
	spec := e.spec("a")
	spec.Labels = map[string]string{"old": "1"}
	g := e.make(spec)
	later := e.open(nil)
	for _, labels := range []map[string]string{oddTexts(), {"one": "1"}, nil} {
		require.NoError(e.t, g.SetLabels(e.ctx, maps.Clone(labels)))
		same, err := later.Guest(e.ctx, g.Name())
		require.NoError(e.t, err)
		st, err := same.Status(e.ctx)
		require.NoError(e.t, err)
		require.Empty(e.t, diff(labels, st.Labels))
	}
}

func (e *env) refusedTexts() {
	cases := []struct {
		path string
		set  func(*provision.Spec)
	}{
		{"key", func(s *provision.Spec) { s.Key = strings.Repeat("k", 256) }},
		{"key", func(s *provision.Spec) { s.Key = "a\nb" }},
		{"key", func(s *provision.Spec) { s.Key = "\xff" }},
		{"labels", func(s *provision.Spec) { s.Labels = map[string]string{"a": strings.Repeat("x", 64<<10)} }},
		{"labels", func(s *provision.Spec) { s.Labels = map[string]string{"a b": ""} }},
		{"labels", func(s *provision.Spec) { s.Labels = map[string]string{"": ""} }},
		{"labels.a", func(s *provision.Spec) { s.Labels = map[string]string{"a": "\xff"} }},
	}
	g := e.create("b")
	for _, c := range cases {
		spec := e.spec("a")
		c.set(&spec)
		_, err := e.Create(e.ctx, spec, nil)
		e.refused(err, c.path)
		if spec.Labels == nil {
			continue
		}
		err = g.SetLabels(e.ctx, spec.Labels)
		e.refused(err, c.path)
		require.NotErrorIs(e.t, err, errors.ErrUnsupported)
	}
	e.absent(e.name("a"))
}
