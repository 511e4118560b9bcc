package domainxml

import (
	"fmt"
	"strings"
)

// element is one that an edit makes: of names and values, or raw.
type element struct {
	name     string
	attrs    []attrChange
	text     string
	isSet    bool // text was asked for
	children []*element
	raw      *tree
}

// element is an element of a tree as new ones are made, without comments.
func (t *tree) element(n id) *element {
	e := &element{name: t.name(n)}
	for i := t.nodes[n].attrs.from; i < t.nodes[n].attrs.to; i++ {
		e.attrs = append(e.attrs, attrChange{name: t.cut(t.attrs[i].name), value: decodeValue(t.cut(t.attrs[i].value))})
	}
	if t.nodes[n].first == 0 {
		e.text = t.own(n)
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		e.children = append(e.children, t.element(c))
	}
	return e
}

// ensure returns the child that a step leads to, and makes it if there is none.
func (e *element) ensure(p *path, s *step) (*element, error) {
	if s.name == "*" {
		return nil, errorNotFound(p.text)
	}
	for _, c := range s.conds {
		if c.attr == "" || len(c.names) > 0 || carried(c.value) != nil {
			return nil, errorNotFound(p.text)
		}
	}
	if e.isSet {
		return nil, conflict(p)
	}
	for _, child := range e.children {
		if child.raw == nil && child.name == s.name && child.fits(s) {
			return child, nil
		}
	}
	child := &element{name: s.name}
	for _, c := range s.conds {
		if err := child.setAttr(p, c.attr, c.value); err != nil {
			return nil, err
		}
	}
	e.children = append(e.children, child)
	return child, nil
}

func (e *element) fits(s *step) bool {
	for _, c := range s.conds {
		if v, ok := e.attr(c.attr); !ok || v != c.value {
			return false
		}
	}
	return true
}

func (e *element) attr(name string) (string, bool) {
	for _, a := range e.attrs {
		if a.name == name {
			return a.value, true
		}
	}
	return "", false
}

func (e *element) setAttr(p *path, name, value string) error {
	if v, ok := e.attr(name); ok {
		if v != value {
			return conflict(p)
		}
		return nil
	}
	e.attrs = append(e.attrs, attrChange{name: name, value: value})
	return nil
}

// layout is how new elements are written: what begins a line of their depth, or
// nothing where a document is in one line; the indent of a further level; and the
// quotes of attributes.
type layout struct {
	line string
	unit string
	q    byte
}

func (l layout) deeper() layout {
	if l.line != "" {
		l.line += l.unit
	}
	return l
}

// write appends the element, without what begins its line.
func (e *element) write(b *strings.Builder, l layout) {
	if e.raw != nil {
		e.raw.indent(b, 0, l.line)
		return
	}
	b.WriteString("<" + e.name)
	for _, a := range e.attrs {
		writeAttr(b, a.name, a.value, l.q)
	}
	switch {
	case len(e.children) > 0:
		b.WriteByte('>')
		for _, c := range e.children {
			b.WriteString(l.deeper().line)
			c.write(b, l.deeper())
		}
		b.WriteString(l.line)
	case e.text != "":
		b.WriteByte('>')
		escape(b, e.text, 0)
	default:
		b.WriteString("/>")
		return
	}
	b.WriteString("</" + e.name + ">")
}

func writeAttr(b *strings.Builder, name, value string, q byte) {
	fmt.Fprintf(b, " %s=%c", name, q)
	escape(b, value, q)
	b.WriteByte(q)
}

// indent writes an element of another text with line for each line feed, where
// white space stands between elements and is layout only.
func (t *tree) indent(b *strings.Builder, n id, line string) {
	e := &t.nodes[n]
	if line == "" || e.first == 0 || e.odd || !t.blank(n) {
		b.WriteString(t.cut(e.outer))
		return
	}
	pos := e.outer.from
	for c := e.first; c != 0; c = t.nodes[c].next {
		b.WriteString(t.shifted(pos, e.inner.from, t.nodes[c].outer.from, line))
		t.indent(b, c, line)
		pos = t.nodes[c].outer.to
	}
	b.WriteString(t.shifted(pos, e.inner.from, e.inner.to, line))
	b.WriteString(t.src[e.inner.to:e.outer.to])
}

// shifted is the text from pos to end, with line for each line feed from the
// position layout on.
func (t *tree) shifted(pos, layout, end int32, line string) string {
	layout = max(pos, layout)
	return t.src[pos:layout] + strings.ReplaceAll(t.src[layout:end], "\n", line)
}
