package domainxml

import (
	"slices"
	"strings"
)

// tree is an index over a text that was found to be well-formed: where its
// elements and attributes are. It holds positions only; the source is the truth.
type tree struct {
	src   string
	nodes []node
	attrs []attr
}

// id is the number of an element in the order of the text. The root is 0, which
// is nobody's child or sibling, so that 0 also stands for none.
type id = int32

// span is a part of the text.
type span struct{ from, to int32 }

// node is an element.
type node struct {
	name  span // as it is written, with its prefix
	outer span // from the first "<" to behind the last ">"
	inner span // what is between the tags; empty at outer.to if there is one tag only
	attrs span // its part of tree.attrs

	parent, next, first id

	// odd: its own text has references, CDATA, comments, or carriage returns, and
	// is not simply what is between the tags.
	odd bool
	// foreign: it is of another namespace than the domain; libvirt passes it over.
	foreign bool
	// prefixed: it has attributes with a prefix that is declared, which libvirt reads
	// as if they had none (xmlGetProp).
	prefixed bool
}

// attr is an attribute; value is between the quotes.
type attr struct{ name, value span }

func (t *tree) cut(s span) string { return t.src[s.from:s.to] }

func (t *tree) name(n id) string { return t.cut(t.nodes[n].name) }

// single says that the element is one tag: <a/>.
func (t *tree) single(n id) bool { return t.nodes[n].inner.from == t.nodes[n].outer.to }

// findAttr returns the index of an attribute in t.attrs, or -1.
func (t *tree) findAttr(n id, name string) int {
	for i := t.nodes[n].attrs.from; i < t.nodes[n].attrs.to; i++ {
		if t.cut(t.attrs[i].name) == name {
			return int(i)
		}
	}
	return -1
}

// literal returns the value of an attribute by its name as it is written, and
// whether there is one.
func (t *tree) literal(n id, name string) (string, bool) {
	i := t.findAttr(n, name)
	if i < 0 {
		return "", false
	}
	return decodeValue(t.cut(t.attrs[i].value)), true
}

// attr is literal as libvirt understands it: the first one of that name, with any
// prefix that is declared.
func (t *tree) attr(n id, name string) (string, bool) {
	if !t.nodes[n].prefixed {
		return t.literal(n, name)
	}
	for _, a := range t.attrs[t.nodes[n].attrs.from:t.nodes[n].attrs.to] {
		prefix, local, ok := strings.Cut(t.cut(a.name), ":")
		if t.cut(a.name) == name || ok && local == name && prefix != "xmlns" {
			return decodeValue(t.cut(a.value)), true
		}
	}
	return "", false
}

// get is attr where no attribute and an empty one mean the same.
func (t *tree) get(n id, name string) string {
	v, _ := t.attr(n, name)
	return v
}

// child returns the first child of that name that libvirt would see, or 0.
func (t *tree) child(n id, name string) id {
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if t.name(c) == name && !t.nodes[c].foreign {
			return c
		}
	}
	return 0
}

// nextNamed returns the next sibling of the same name, or 0.
func (t *tree) nextNamed(n id) id {
	name := t.name(n)
	for c := t.nodes[n].next; c != 0; c = t.nodes[c].next {
		if t.name(c) == name && !t.nodes[c].foreign {
			return c
		}
	}
	return 0
}

// children returns all children of that name.
func (t *tree) children(n id, name string) []id {
	var list []id
	for c := t.child(n, name); c != 0; c = t.nextNamed(c) {
		list = append(list, c)
	}
	return list
}

// down follows names from n to the first element that all of them lead to, as XPath
// does: also in a second <devices>. It returns 0 if there is none.
func (t *tree) down(n id, names ...string) id {
	if len(names) == 0 {
		return n
	}
	for c := t.child(n, names[0]); c != 0; c = t.nextNamed(c) {
		if found := t.down(c, names[1:]...); found != 0 {
			return found
		}
	}
	return 0
}

// grandchildren returns the children of one name in all children of another:
// libvirt takes those of several <devices> together.
func (t *tree) grandchildren(n id, name, child string) []id {
	var list []id
	for c := t.child(n, name); c != 0; c = t.nextNamed(c) {
		for e := t.nodes[c].first; e != 0; e = t.nodes[e].next {
			if (child == "*" || t.name(e) == child) && !t.nodes[e].foreign {
				list = append(list, e)
			}
		}
	}
	return list
}

// deep is the attribute of an element below n, or "".
func (t *tree) deep(n id, attr string, names ...string) string {
	if len(names) > 0 {
		if n = t.down(n, names...); n == 0 {
			return ""
		}
	}
	return t.get(n, attr)
}

// own returns the text directly in an element, without that of its children.
func (t *tree) own(n id) string {
	e := &t.nodes[n]
	switch {
	case !e.odd && e.first == 0:
		return t.cut(e.inner)
	case !e.odd && t.blank(n):
		return ""
	}
	var b strings.Builder
	for p := range t.pieces(n) {
		b.WriteString(decodeText(p.text, p.cdata))
	}
	if e.first != 0 && strings.Trim(b.String(), " \t\n\r") == "" {
		return "" // layout, whether comments stand in it or not
	}
	return b.String()
}

// text is the text of the first child of that name, or "".
func (t *tree) text(n id, name string) string {
	c := t.child(n, name)
	if c == 0 {
		return ""
	}
	return t.whole(c)
}

// whole is the text in an element and in all elements in it, which is what libvirt
// reads (XPath's string).
func (t *tree) whole(n id) string {
	if t.nodes[n].first == 0 {
		return t.own(n)
	}
	var list []piece
	for e := n; int(e) < len(t.nodes) && t.nodes[e].outer.from < t.nodes[n].outer.to; e++ {
		for p := range t.pieces(e) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b piece) int { return int(a.at.from) - int(b.at.from) })
	var b strings.Builder
	for _, p := range list {
		b.WriteString(decodeText(p.text, p.cdata))
	}
	return b.String()
}

// blank says that there is but white space around the children.
func (t *tree) blank(n id) bool {
	e := &t.nodes[n]
	for c, from := e.first, e.inner.from; ; c = t.nodes[c].next {
		to := e.inner.to
		if c != 0 {
			to = t.nodes[c].outer.from
		}
		if strings.TrimLeft(t.src[from:to], " \t\n\r") != "" {
			return false
		}
		if c == 0 {
			return true
		}
		from = t.nodes[c].outer.to
	}
}

// piece is a run of text in an element, or a CDATA section without its marks.
type piece struct {
	text  string
	at    span // with the marks
	cdata bool
}

// pieces walks the text directly in an element, around its children, comments
// and processing instructions.
func (t *tree) pieces(n id) func(yield func(piece) bool) {
	return func(yield func(piece) bool) {
		e := &t.nodes[n]
		c, pos := e.first, e.inner.from
		for pos < e.inner.to {
			rest := t.src[pos:e.inner.to]
			switch {
			case c != 0 && pos == t.nodes[c].outer.from:
				c, pos = t.nodes[c].next, t.nodes[c].outer.to
			case strings.HasPrefix(rest, "<!--"):
				pos += int32(4+strings.Index(rest[4:], "-->")) + 3
			case strings.HasPrefix(rest, "<?"):
				pos += int32(strings.Index(rest, "?>")) + 2
			case strings.HasPrefix(rest, "<![CDATA["):
				end := int32(strings.Index(rest, "]]>"))
				if !yield(piece{rest[len("<![CDATA["):end], span{pos, pos + end + 3}, true}) {
					return
				}
				pos += end + 3
			default:
				end := strings.IndexByte(rest, '<')
				if end < 0 {
					end = len(rest)
				}
				if !yield(piece{rest[:end], span{pos, pos + int32(end)}, false}) {
					return
				}
				pos += int32(end)
			}
		}
	}
}

// line returns where in the text a position is, both counted from 1, columns in
// characters.
func line(text string, pos int) (line, column int) {
	before := text[:pos]
	begin := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, len([]rune(before[begin:])) + 1
}
