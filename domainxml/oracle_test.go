package domainxml_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// fact is one thing that a document says. The oracle finds them with encoding/xml,
// which shares no code with the package.
type fact struct {
	Path  string // of the element, with a number for each: /domain[1]/devices[1]
	Kind  string // element, attribute, text, comment, instruction, doctype
	Name  string // of the attribute
	Value string

	plain    string // Path without the numbers
	from, to int64  // of an element: where its start tag begins, and its end tag ends
	inner    int64  // where its start tag ends
}

func (f fact) String() string { return fmt.Sprintf("%s %s %s=%q", f.Kind, f.Path, f.Name, f.Value) }

// blank facts are the text that only lays a document out.
func (f fact) blank() bool { return f.Kind == "text" && strings.Trim(f.Value, " \t\r\n") == "" }

// spaces makes the same of each white space: encoding/xml does not tell a line
// feed in an attribute, which means a space, from a reference to one.
var spaces = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

// oracle reads a document.
type oracle struct {
	dec   *xml.Decoder
	facts []fact
	open  []level
	roots int
}

type level struct {
	path, name string
	plain      string // path without the numbers
	element    int    // its fact
	counts     map[string]int
}

// flatten lists all facts of a document in their order. Runs of text that belong
// together are one fact, whether they are in CDATA or not.
func flatten(doc string) ([]fact, error) {
	o := oracle{dec: xml.NewDecoder(strings.NewReader(strings.TrimPrefix(doc, "\ufeff")))}
	o.dec.CharsetReader = func(name string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(name, "us-ascii") {
			return r, nil
		}
		return nil, errors.New("oracle: encoding " + name)
	}
	skew := int64(len(doc) - len(strings.TrimPrefix(doc, "\ufeff")))
	o.open = []level{{counts: map[string]int{}}}
	for {
		from := o.dec.InputOffset() + skew
		tok, err := o.dec.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := o.token(tok, from, o.dec.InputOffset()+skew); err != nil {
			return nil, err
		}
	}
	if len(o.open) != 1 || o.roots != 1 {
		return nil, errors.New("oracle: not one root element")
	}
	return o.facts, nil
}

func (o *oracle) token(tok xml.Token, from, to int64) error {
	top := &o.open[len(o.open)-1]
	switch tok := tok.(type) {
	case xml.StartElement:
		if top.path == "" {
			o.roots++
		}
		name := joined(tok.Name)
		top.counts[name]++
		path := fmt.Sprintf("%s/%s[%d]", top.path, name, top.counts[name])
		plain := top.plain + "/" + name
		o.open = append(o.open, level{path: path, name: name, plain: plain, element: len(o.facts), counts: map[string]int{}})
		o.facts = append(o.facts, fact{Path: path, Kind: "element", plain: plain, from: from, to: to, inner: to})
		seen := map[string]bool{}
		for _, a := range tok.Attr {
			n := joined(a.Name)
			if seen[n] {
				return fmt.Errorf("oracle: the attribute %s is there twice", n)
			}
			seen[n] = true
			o.facts = append(o.facts, fact{Path: path, Kind: "attribute", plain: plain, Name: n, Value: spaces.Replace(a.Value)})
		}
	case xml.EndElement:
		if top.path == "" || top.name != joined(tok.Name) {
			return fmt.Errorf("oracle: </%s> ends no element", joined(tok.Name))
		}
		o.facts[top.element].to = to
		o.open = o.open[:len(o.open)-1]
	case xml.CharData:
		return o.text(top, string(tok))
	case xml.Comment:
		o.facts = append(o.facts, fact{Path: top.path, Kind: "comment", plain: top.plain, Value: string(tok)})
	case xml.ProcInst:
		o.facts = append(o.facts, fact{Path: top.path, Kind: "instruction", plain: top.plain, Name: tok.Target, Value: string(tok.Inst)})
	case xml.Directive:
		o.facts = append(o.facts, fact{Path: top.path, Kind: "doctype", plain: top.plain, Value: string(tok)})
	}
	return nil
}

func (o *oracle) text(top *level, text string) error {
	if top.path == "" {
		if strings.Trim(text, " \t\r\n") != "" {
			return errors.New("oracle: text outside of the root element")
		}
		return nil
	}
	if last := &o.facts[len(o.facts)-1]; last.Kind == "text" && last.Path == top.path {
		last.Value += text
	} else if text != "" {
		o.facts = append(o.facts, fact{Path: top.path, Kind: "text", plain: top.plain, Value: text})
	}
	return nil
}

func joined(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// mustFlatten is flatten of a document that is one.
func mustFlatten(tb testing.TB, doc string) []fact {
	tb.Helper()
	facts, err := flatten(doc)
	require.NoError(tb, err, "%s", doc)
	return facts
}

// said are the facts without where they are in the text, and without layout: blank
// text next to elements or comments.
func said(facts []fact) []fact {
	mixed := map[string]bool{}
	for _, f := range facts {
		if f.Kind == "element" {
			mixed[f.Path[:strings.LastIndexByte(f.Path, '/')]] = true
		} else if f.Kind != "text" && f.Kind != "attribute" {
			mixed[f.Path] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return f.blank() && mixed[f.Path] })
}

// differ shows in what two lists of facts differ, "" if in nothing.
func differ(a, b []fact) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(fact{}), cmpopts.EquateEmpty())
}

// refused are the files of the corpus that Parse does not take; so are those that
// begin with nodomain.
var refused = map[string]string{
	"odd-domain-in-envelope.xml": "no domain at its root or directly below",
	"odd-latin1-declared.xml":    "not UTF-8",
}

// withDomain are the documents of testdata that have a domain in them, by file.
func withDomain(tb testing.TB) map[string]string {
	tb.Helper()
	docs := map[string]string{}
	for _, pattern := range []string{"read", "build", "corpus", "bench", "edit"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern, "*.xml"))
		require.NoError(tb, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(tb, err)
			base := filepath.Base(file)
			if problem := refused[base]; problem != "" {
				_, err := domainxml.Parse(text)
				require.ErrorContains(tb, err, problem)
			} else if !strings.HasPrefix(base, "nodomain-") {
				docs[file] = string(text)
			}
		}
	}
	require.Greater(tb, len(docs), 30)
	return docs
}

// Parse keeps each byte, and Get and Find see what the oracle sees.
func TestParseIsLossless(t *testing.T) {
	for file, text := range withDomain(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			d := mustParse(t, text)
			require.Equal(t, text, d.String())
			require.Equal(t, text, string(d.Bytes()))
			agrees(t, d, mustFlatten(t, text))

			crlf := strings.ReplaceAll(text, "\n", "\r\n")
			d = mustParse(t, crlf)
			require.Equal(t, crlf, d.String())
			agrees(t, d, mustFlatten(t, crlf))
		})
	}
}

func mustParse(tb testing.TB, text string) *domainxml.Document {
	tb.Helper()
	d, err := domainxml.Parse([]byte(text))
	require.NoError(tb, err, "%s", text)
	return d
}

// agrees compares what Get and Find find at each place with the facts.
func agrees(t *testing.T, d *domainxml.Document, facts []fact) {
	t.Helper()
	texts, parents := map[string]string{}, map[string]bool{}
	for _, f := range facts {
		if f.Kind == "text" {
			texts[f.Path] += f.Value
		}
		if f.Kind == "element" {
			parents[f.Path[:strings.LastIndexByte(f.Path, '/')]] = true
		}
	}
	whole := d.String()
	for _, f := range facts {
		at, want := f.Path, f.Value
		switch f.Kind {
		case "element":
			if want = texts[at]; parents[at] && strings.Trim(want, " \t\r\n") == "" {
				want = "" // layout
			}
			text, err := d.Element(at)
			require.NoError(t, err)
			require.Equal(t, whole[f.from:f.to], text)
		case "attribute":
			at += "/@" + f.Name
		default:
			continue
		}
		have, err := d.Get(at)
		require.NoError(t, err)
		if f.Kind == "attribute" {
			have = spaces.Replace(have)
		}
		require.Equal(t, want, have, at)
		names, err := d.Find(at)
		require.NoError(t, err)
		require.Len(t, names, 1)
		again, err := d.Find(names[0])
		require.NoError(t, err)
		require.Equal(t, names, again, "%s does not name one thing", names)
	}
}

// outside requires that all of the text but a part is as it was, byte for byte.
func outside(tb testing.TB, before, after string, from, to int64) {
	tb.Helper()
	head, tail := before[:from], before[to:]
	require.GreaterOrEqual(tb, len(after), len(head)+len(tail), "%s\nfrom\n%s", after, before)
	require.True(tb, strings.HasPrefix(after, head), "the text before was changed: %s\nfrom\n%s", after, before)
	require.True(tb, strings.HasSuffix(after, tail), "the text behind was changed: %s\nfrom\n%s", after, before)
}
