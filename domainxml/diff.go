package domainxml

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// Difference is one thing in which two domains differ. It is for people and
// programs to look at, and no [Edit].
type Difference struct {
	Op   Op     `json:"op"`            // what would have to be done to the old one
	Path string `json:"path"`          // from the domain: in the old document, or where only the new one has it, there
	Old  string `json:"old,omitempty"` // value, or the element in one line
	New  string `json:"new,omitempty"`
}

// String is one line.
func (d Difference) String() string {
	path, old, new := printable(d.Path), printable(d.Old), printable(d.New)
	switch d.Op {
	case OpAdd:
		return fmt.Sprintf("+ %s: %s", path, new)
	case OpRemove:
		return fmt.Sprintf("- %s: %s", path, old)
	}
	return fmt.Sprintf("~ %s: %s -> %s", path, old, new)
}

// Diff returns what differs in meaning between two domains, in the order of the
// old one, then what only the new one has.
//
// No difference are the order of attributes and of elements of different names,
// white space, comments, prefixes of namespaces, units of memory, the case of MACs
// and UUIDs, and what libvirt itself adds to what it was given: addresses, aliases,
// controllers, the version of a machine type, values that it takes when nothing is
// said, and what only a running domain has. Where both documents say such a
// thing, it is compared. The defaults are those of QEMU on x86.
//
// Passwords of displays are compared, and not shown. What stands below metadata or
// in namespaces of others is compared as it is.
//
// Disks are matched by their target, NICs by their MAC, other devices by what names
// them or by their order.
func Diff(old, new *Document) []Difference {
	old, new = old.orEmpty(), new.orEmpty()
	seed := maphash.MakeSeed()
	c := &comparer{a: newSide(old, seed), b: newSide(new, seed)}
	c.element(old.domain, new.domain)
	return c.list
}

// side is one of the documents.
type side struct {
	*tree
	names *naming
	top   id
	ns    []string // of each element
	data  []bool   // elements that are somebody's data, and not libvirt's
	runs  bool     // it is of a running domain
	sums  []uint64
}

func newSide(d *Document, seed maphash.Seed) side {
	s := side{tree: &d.tree, names: d.naming(), top: d.domain, ns: d.namespaces()}
	s.runs = s.get(s.top, "id") != ""
	s.data = make([]bool, len(s.nodes))
	for n := 1; n < len(s.nodes); n++ {
		parent := s.nodes[n].parent
		s.data[n] = s.data[parent] || s.nodes[n].foreign || s.name(parent) == "metadata"
	}
	s.sums = s.checksums(seed)
	return s
}

// path is from the domain, which itself is ".".
func (s *side) path(n id) string {
	top := s.names.path(s.top)
	return strings.TrimPrefix(strings.TrimPrefix(s.names.path(n), top), "/")
}

type comparer struct {
	a, b side
	list []Difference
}

// element compares two that are the same thing.
func (c *comparer) element(x, y id) {
	if c.a.mirrorsSerial(x) && c.b.mirrorsSerial(y) && c.a.hasSerial() && c.b.hasSerial() {
		return // the serial devices are compared
	}
	if c.expanded(x, y) {
		c.parts(x, y, "topology")
		c.parts(x, y, "numa")
		return
	}
	c.attributes(x, y)
	c.text(x, y)
	pairs := c.pairs(x, y)
	matched := map[id]bool{}
	for n := c.a.nodes[x].first; n != 0; n = c.a.nodes[n].next {
		m := pairs[n]
		matched[m] = true
		switch {
		case m != 0:
			c.element(n, m)
		case !fillsElement(&c.a, n, &c.b, y):
			c.list = append(c.list, Difference{Op: OpRemove, Path: c.a.path(n), Old: c.a.compact(n)})
		}
	}
	for m := c.b.nodes[y].first; m != 0; m = c.b.nodes[m].next {
		if !matched[m] && !fillsElement(&c.b, m, &c.a, x) {
			c.list = append(c.list, Difference{Op: OpAdd, Path: c.b.path(m), New: c.b.compact(m)})
		}
	}
}

// mirrorsSerial says that libvirt makes a console of the first serial device, with
// all that is in it.
func (t *tree) mirrorsSerial(n id) bool {
	return t.name(n) == "console" && (t.deep(n, "type", "target") == "serial" || t.child(n, "target") == 0)
}

func (s *side) hasSerial() bool { return s.down(s.top, "devices", "serial") != 0 }

// expanded says that one is the CPU of a running domain, with the model and
// features that the host gave for what the other asks for.
func (c *comparer) expanded(x, y id) bool {
	if c.a.name(x) != "cpu" {
		return false
	}
	asks := func(s *side, n id) bool { return s.get(n, "mode") == "host-model" || s.get(n, "mode") == "maximum" }
	full := func(s *side, n id) bool { return s.runs && s.get(n, "check") == "full" }
	return asks(&c.a, x) && full(&c.b, y) || full(&c.a, x) && asks(&c.b, y)
}

// parts compares children of a name that is there once.
func (c *comparer) parts(x, y id, name string) {
	n, m := c.a.child(x, name), c.b.child(y, name)
	switch {
	case n != 0 && m != 0:
		c.element(n, m)
	case n != 0:
		c.list = append(c.list, Difference{Op: OpRemove, Path: c.a.path(n), Old: c.a.compact(n)})
	case m != 0:
		c.list = append(c.list, Difference{Op: OpAdd, Path: c.b.path(m), New: c.b.compact(m)})
	}
}

func (c *comparer) attributes(x, y id) {
	for v := range c.a.values(x) {
		w, ok := c.b.literal(y, v.name)
		switch {
		case ok && !c.sameValue(x, y, v.name, v.value, w):
			c.attribute(OpSet, c.a.below(x, "@"+v.name), v.name, v.value, w)
		case !ok && !fillsAttr(&c.a, x, v.name, v.value):
			c.attribute(OpRemove, c.a.below(x, "@"+v.name), v.name, v.value, "")
		}
	}
	for w := range c.b.values(y) {
		if _, ok := c.a.literal(x, w.name); !ok && !fillsAttr(&c.b, y, w.name, w.value) {
			c.attribute(OpAdd, c.b.below(y, "@"+w.name), w.name, "", w.value)
		}
	}
}

// secret stands for passwords.
const secret = "(secret)"

func (c *comparer) attribute(op Op, path, name, old, new string) {
	if name == "passwd" {
		if old != "" {
			old = secret
		}
		if new != "" {
			new = secret
		}
	}
	c.list = append(c.list, Difference{Op: op, Path: path, Old: old, New: new})
}

// values walks the attributes of an element; declared namespaces are none, and a
// unit belongs to its amount.
func (s *side) values(n id) func(yield func(attrChange) bool) {
	return func(yield func(attrChange) bool) {
		for i := s.nodes[n].attrs.from; i < s.nodes[n].attrs.to; i++ {
			name := s.cut(s.attrs[i].name)
			if name == "xmlns" || strings.HasPrefix(name, "xmlns:") || name == "unit" && s.isAmount(n) {
				continue
			}
			if !yield(attrChange{name: name, value: decodeValue(s.cut(s.attrs[i].value))}) {
				return
			}
		}
	}
}

func (s *side) below(n id, attr string) string {
	return strings.TrimPrefix(s.path(n)+"/"+attr, "/")
}

func (c *comparer) text(x, y id) {
	v, w := c.a.own(x), c.b.own(y)
	if !c.a.data[x] || c.a.nodes[x].first != 0 {
		v, w = strings.TrimSpace(v), strings.TrimSpace(w)
	}
	amount := !c.a.data[x] && (c.a.isAmount(x) || c.b.isAmount(y))
	if v == w && !amount || !c.a.data[x] && c.sameText(x, y, v, w, amount) {
		return
	}
	if amount {
		v, w = c.a.amountText(x, v), c.b.amountText(y, w)
	}
	path := c.a.path(x)
	if path == "" {
		path = "."
	}
	c.list = append(c.list, Difference{Op: OpSet, Path: path, Old: v, New: w})
}

func (c *comparer) sameText(x, y id, v, w string, amount bool) bool {
	switch c.a.local(x) {
	case "uuid":
		plain := strings.NewReplacer("-", "", " ", "")
		return strings.EqualFold(plain.Replace(v), plain.Replace(w))
	case "loader", "nvram", "genid", "backend": // libvirt finds one
		return v == "" && ownChoice(c.a.local(x), w) || w == "" && ownChoice(c.a.local(x), v)
	}
	if !amount {
		return false
	}
	have, err := scaled(v, c.a.get(x, "unit"))
	want, other := scaled(w, c.b.get(y, "unit"))
	if err != nil || other != nil {
		return v == w && c.a.get(x, "unit") == c.b.get(y, "unit")
	}
	return have == want
}

// isAmount says that the text is an amount of memory with a unit, KiB by default.
func (t *tree) isAmount(n id) bool {
	switch t.name(n) {
	case "memory", "currentMemory", "maxMemory", "hard_limit", "soft_limit", "swap_hard_limit", "min_guarantee":
		return t.nodes[n].first == 0
	}
	return t.get(n, "unit") != "" && t.nodes[n].first == 0 && !t.single(n)
}

func (t *tree) amountText(n id, text string) string {
	unit := t.get(n, "unit")
	if unit == "" {
		unit = "KiB"
	}
	return strings.TrimSpace(text + " " + unit)
}

// sameValue compares the values of an attribute that both have.
func (c *comparer) sameValue(x, y id, name, v, w string) bool {
	if v == w || c.a.data[x] {
		return v == w
	}
	switch c.a.local(x) + "/@" + name {
	case "mac/@address":
		return strings.EqualFold(v, w)
	case "model/@fallback":
		return c.a.runs || c.b.runs
	case "cpu/@check":
		return v == "full" && c.a.runs || w == "full" && c.b.runs // what becomes of it when the domain runs
	case "type/@machine":
		return aliasOf(v, w) || aliasOf(w, v)
	case "graphics/@port", "graphics/@tlsPort", "graphics/@websocket":
		return (v == "-1" || c.a.get(x, "autoport") == "yes") && (w == "-1" || c.b.get(y, "autoport") == "yes")
	case "source/@path", "console/@tty":
		return atRuntime(v) && atRuntime(w)
	case "target/@dev":
		return ownTap(v) && ownTap(w)
	}
	return sameNumber(v, w)
}

// compact is an element in one line.
func (t *tree) compact(n id) string {
	var b strings.Builder
	t.compactTo(&b, n)
	return b.String()
}

func (t *tree) compactTo(b *strings.Builder, n id) {
	e := &t.nodes[n]
	if i := t.findAttr(n, "passwd"); i >= 0 {
		b.WriteString(t.src[e.outer.from:t.attrs[i].value.from] + secret + t.src[t.attrs[i].value.to:e.inner.from])
	} else {
		b.WriteString(t.src[e.outer.from:e.inner.from])
	}
	if e.first == 0 || e.odd || !t.blank(n) {
		b.WriteString(strings.Join(strings.Fields(t.src[e.inner.from:e.outer.to]), " "))
		return
	}
	for c := e.first; c != 0; c = t.nodes[c].next {
		t.compactTo(b, c)
	}
	b.WriteString(t.src[e.inner.to:e.outer.to])
}
