package domainxml

import "strings"

// local is the name without its prefix.
func (t *tree) local(n id) string {
	name := t.name(n)
	return name[strings.IndexByte(name, ':')+1:]
}

// namespace returns the URI of the element's prefix, as far as it is declared. To
// ask that of all elements, see namespaces: this looks at all around the one.
func (t *tree) namespace(n id) string {
	prefix, _, ok := strings.Cut(t.name(n), ":")
	if !ok {
		prefix = ""
	}
	uri, _ := t.uri(n, prefix)
	return uri
}

// scopes calls visit for each element with what finds the URI of a prefix there, in
// one pass over the document.
func (t *tree) scopes(visit func(n id, uri func(prefix string) (string, bool))) {
	var open []id
	declared := map[string][]string{} // by prefix, the innermost last
	uri := func(prefix string) (string, bool) {
		list := declared[prefix]
		if len(list) == 0 {
			return "", false
		}
		return list[len(list)-1], true
	}
	each := func(n id, do func(prefix string, value span)) {
		for _, a := range t.attrs[t.nodes[n].attrs.from:t.nodes[n].attrs.to] {
			if prefix, ok := strings.CutPrefix(t.cut(a.name), "xmlns:"); ok {
				do(prefix, a.value)
			} else if t.cut(a.name) == "xmlns" {
				do("", a.value)
			}
		}
	}
	for n := range id(len(t.nodes)) {
		for len(open) > 0 && t.nodes[open[len(open)-1]].outer.to <= t.nodes[n].outer.from {
			each(open[len(open)-1], func(prefix string, _ span) {
				declared[prefix] = declared[prefix][:len(declared[prefix])-1]
			})
			open = open[:len(open)-1]
		}
		open = append(open, n)
		each(n, func(prefix string, value span) {
			declared[prefix] = append(declared[prefix], decodeValue(t.cut(value)))
		})
		visit(n, uri)
	}
}

// namespaces returns the URI of each element, or "".
func (t *tree) namespaces() []string {
	list := make([]string, len(t.nodes))
	t.scopes(func(n id, uri func(string) (string, bool)) {
		prefix, _, ok := strings.Cut(t.name(n), ":")
		if !ok {
			prefix = ""
		}
		list[n], _ = uri(prefix)
	})
	return list
}

// undeclared returns the prefixes that no xmlns declares where they stand, and the
// first element with each.
func (t *tree) undeclared() map[string]id {
	found := map[string]id{}
	t.scopes(func(n id, uri func(string) (string, bool)) {
		look := func(name string) {
			prefix, _, ok := strings.Cut(name, ":")
			if !ok || prefix == "xml" || prefix == "xmlns" {
				return
			}
			if _, ok := uri(prefix); ok {
				return
			}
			if _, seen := found[prefix]; !seen {
				found[prefix] = n
			}
		}
		look(t.name(n))
		for _, a := range t.attrs[t.nodes[n].attrs.from:t.nodes[n].attrs.to] {
			look(t.cut(a.name))
		}
	})
	return found
}

// fewNamespaces may be looked for one by one.
const fewNamespaces = 64

// mark finds the elements that libvirt passes over, and those with attributes that
// it reads by another name.
func (d *Document) mark() {
	odd := d.odd()
	if len(odd) > fewNamespaces {
		odd = odd[:0]
		d.scopes(func(n id, uri func(string) (string, bool)) { d.markOne(n, uri) })
	}
	for _, n := range odd {
		d.markOne(n, func(prefix string) (string, bool) { return d.uri(n, prefix) })
	}
}

// odd are the elements for which namespaces matter: with a prefix, with an
// attribute that has one, or where a default namespace holds.
func (d *Document) odd() []id {
	var list []id
	end := int32(0) // of the outermost element with a default namespace
	for n := range id(len(d.nodes)) {
		e := &d.nodes[n]
		if e.outer.from >= end && d.findAttr(n, "xmlns") >= 0 {
			end = e.outer.to
		}
		if e.outer.from < end || e.prefixed || strings.IndexByte(d.name(n), ':') > 0 {
			list = append(list, n)
		}
	}
	return list
}

func (d *Document) markOne(n id, uri func(string) (string, bool)) {
	e := &d.nodes[n]
	prefix, _, ok := strings.Cut(d.name(n), ":")
	if !ok {
		prefix = ""
	}
	ns, _ := uri(prefix)
	e.foreign = ns != d.namespace(d.domain)
	if !e.prefixed {
		return
	}
	e.prefixed = false
	for _, a := range d.attrs[e.attrs.from:e.attrs.to] {
		if prefix, _, ok := strings.Cut(d.cut(a.name), ":"); ok && prefix != "xmlns" {
			if _, declared := uri(prefix); declared {
				e.prefixed = true
			}
		}
	}
}

// uri returns what a prefix stands for at an element, as far as it is declared.
func (t *tree) uri(n id, prefix string) (string, bool) {
	declared := "xmlns"
	if prefix != "" {
		declared += ":" + prefix
	}
	for {
		if uri, ok := t.literal(n, declared); ok {
			return uri, true
		}
		if n == 0 {
			return "", false
		}
		n = t.nodes[n].parent
	}
}
