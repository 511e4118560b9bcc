package domainxml

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// splice puts text in the place of a part of the source.
type splice struct {
	span
	text string
}

// text returns the source with all changes made.
func (c *changes) text() (string, error) {
	var list []splice
	for _, n := range slices.Sorted(maps.Keys(c.marks)) {
		if c.gone(c.nodes[n].parent, n) {
			// The element around it is removed.
			if !c.marks[n].removed {
				return "", fmt.Errorf("%w: at %s", ErrConflict, c.naming().path(n))
			}
			continue
		}
		m := c.marks[n]
		if m.removed {
			if len(m.attrs) > 0 || m.text != nil || len(m.added) > 0 {
				return "", fmt.Errorf("%w: at %s", ErrConflict, c.naming().path(n))
			}
			list = append(list, splice{span: c.lineOf(n)})
			continue
		}
		list = c.attributes(list, n, m)
		list = c.content(list, n, m)
	}
	return c.splice(list), nil
}

// gone says whether an element above n is removed.
func (c *changes) gone(parent, n id) bool {
	for n != 0 {
		if m := c.marks[parent]; m != nil && m.removed {
			return true
		}
		n, parent = parent, c.nodes[parent].parent
	}
	return false
}

// splice makes the new text. At one place, what is put in comes before what is
// taken away.
func (c *changes) splice(list []splice) string {
	slices.SortStableFunc(list, func(a, b splice) int {
		if a.from != b.from {
			return int(a.from) - int(b.from)
		}
		return min(int(a.to-a.from), 1) - min(int(b.to-b.from), 1)
	})
	var b strings.Builder
	pos := int32(0)
	for _, s := range list {
		b.WriteString(c.src[pos:s.from])
		b.WriteString(s.text)
		pos = s.to
	}
	b.WriteString(c.src[pos:])
	return b.String()
}

func (c *changes) attributes(list []splice, n id, m *mark) []splice {
	e := &c.nodes[n]
	behind := e.name.to
	if e.attrs.to > e.attrs.from {
		behind = c.attrs[e.attrs.to-1].value.to + 1
	}
	for _, a := range m.attrs {
		i := c.findAttr(n, a.name)
		switch {
		case i < 0 && !a.removed:
			var b strings.Builder
			writeAttr(&b, a.name, a.value, c.quote(n))
			list = append(list, splice{span{behind, behind}, b.String()})
		case i >= 0 && a.removed:
			at := span{c.attrs[i].name.from, c.attrs[i].value.to + 1}
			for isSpace(c.src[at.from-1]) {
				at.from--
			}
			list = append(list, splice{span: at})
		case i >= 0 && decodeValue(c.cut(c.attrs[i].value)) != a.value:
			at := c.attrs[i].value
			var b strings.Builder
			escape(&b, a.value, c.src[at.from-1])
			list = append(list, splice{at, b.String()})
		}
	}
	return list
}

// quote is what stands around attributes in this element or, if it has none, in
// the document; libvirt writes '.
func (c *changes) quote(n id) byte {
	e := &c.nodes[n]
	switch {
	case e.attrs.to > e.attrs.from:
		return c.src[c.attrs[e.attrs.from].value.from-1]
	case len(c.attrs) > 0:
		return c.src[c.attrs[0].value.from-1]
	}
	return '\''
}

// content sets the text of an element and puts in new ones.
func (c *changes) content(list []splice, n id, m *mark) []splice {
	if m.text == nil && len(m.added) == 0 || m.text != nil && *m.text == c.own(n) {
		return list
	}
	e := &c.nodes[n]
	switch {
	case c.single(n):
		text := c.written(n, m)
		return append(list, splice{span{e.outer.to - 2, e.outer.to}, ">" + text + "</" + c.name(n) + ">"})
	case m.text != nil:
		return c.setText(list, n, m)
	case e.first == 0:
		// What is there is white space and comments.
		end := e.inner.from + int32(len(strings.TrimRight(c.cut(e.inner), " \t\r\n")))
		return append(list, splice{span{end, e.inner.to}, c.written(n, m)})
	}
	anchors := c.anchors(n)
	for _, child := range m.added {
		anchor, ok := anchors[child.name]
		if !ok {
			anchor = anchors[""]
		}
		l := layout{line: c.before(anchor), unit: c.unit(n, anchor), q: c.quote(anchor)}
		var b strings.Builder
		b.WriteString(l.line)
		child.write(&b, l)
		at := c.behind(anchor)
		list = append(list, splice{span{at, at}, b.String()})
	}
	return list
}

// written is the new content of an element that had none.
func (c *changes) written(n id, m *mark) string {
	var b strings.Builder
	if m.text != nil {
		escape(&b, *m.text, 0)
		return b.String()
	}
	outer := layout{line: c.before(n), unit: c.unit(c.nodes[n].parent, n), q: c.quote(n)}
	l := outer.deeper()
	for _, child := range m.added {
		b.WriteString(l.line)
		child.write(&b, l)
	}
	b.WriteString(outer.line)
	return b.String()
}

// setText replaces the first piece of text and drops the others; comments stay.
func (c *changes) setText(list []splice, n id, m *mark) []splice {
	var b strings.Builder
	escape(&b, *m.text, 0)
	text := b.String()
	for p := range c.pieces(n) {
		list = append(list, splice{p.at, text})
		text = ""
	}
	if text != "" {
		at := c.nodes[n].inner.from
		list = append(list, splice{span{at, at}, text})
	}
	return list
}

// anchors are the elements behind which new ones go: by name the last that has it,
// and by "" the last of all.
func (t *tree) anchors(parent id) map[string]id {
	last := map[string]id{}
	for c := t.nodes[parent].first; c != 0; c = t.nodes[c].next {
		last[""], last[t.name(c)] = c, c
	}
	return last
}

// behind is where the next element goes: comments on the rest of the line belong
// to the one before.
func (t *tree) behind(n id) int32 {
	at := t.nodes[n].outer.to
	rest, _, _ := strings.Cut(t.src[at:], "\n")
	for end := 0; ; {
		text := strings.TrimLeft(rest[end:], " \t\r")
		if text == "" && int(at)+len(rest) < len(t.src) {
			return at + int32(end)
		}
		if !strings.HasPrefix(text, "<!--") {
			return at
		}
		i := strings.Index(text[4:], "-->")
		if i < 0 {
			return at // it goes on in the next line
		}
		end = len(rest) - len(text) + 4 + i + len("-->")
	}
}

// before is what stands before an element that begins its line: the line feed and
// the white space, else "".
func (t *tree) before(n id) string {
	begin := t.lineBegin(t.nodes[n].outer.from)
	return t.src[begin:t.nodes[n].outer.from]
}

// lineBegin returns where the white space with a line feed before a position
// begins, or the position.
func (t *tree) lineBegin(pos int32) int32 {
	i := pos
	for i > 0 && (t.src[i-1] == ' ' || t.src[i-1] == '\t') {
		i--
	}
	if i == 0 || t.src[i-1] != '\n' {
		return pos
	}
	i--
	if i > 0 && t.src[i-1] == '\r' {
		i--
	}
	return i
}

// unit is by how much a child is indented, where that shows; libvirt does it by
// two spaces.
func (t *tree) unit(parent, child id) string {
	_, outer, _ := strings.Cut(t.before(parent), "\n")
	_, inner, _ := strings.Cut(t.before(child), "\n")
	if unit, ok := strings.CutPrefix(inner, outer); ok && unit != "" {
		return unit
	}
	return "  "
}

// lineOf is what goes with an element that is removed: its line, where nothing
// else is on it.
func (t *tree) lineOf(n id) span {
	s := t.nodes[n].outer
	begin := t.lineBegin(s.from)
	rest := strings.TrimLeft(t.src[s.to:], " \t\r")
	if begin < s.from && strings.HasPrefix(rest, "\n") {
		s.from = begin
	}
	return s
}
