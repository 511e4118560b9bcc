package domainxml

import (
	"errors"
	"strings"
)

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// space passes over white space and says whether there was any.
func (p *parser) space() bool {
	begin := p.pos
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
	return p.pos > begin
}

// takeName takes a name, with at most one prefix.
func (p *parser) takeName(of string) (span, error) {
	n := nameLength(p.rest())
	name := p.rest()[:n]
	colon := strings.IndexByte(name, ':')
	if n == 0 || colon == 0 || colon == n-1 || colon >= 0 && nameLength(name[colon+1:]) != n-colon-1 || strings.Count(name, ":") > 1 {
		return span{}, p.fail("%s without a name that XML allows", of)
	}
	if n > maxName {
		return span{}, p.fail("%s with a name of more than %d bytes", of, maxName)
	}
	s := span{int32(p.pos), int32(p.pos + n)}
	p.pos += n
	return s, nil
}

func (p *parser) startTag() error {
	begin := p.pos
	if len(p.open) == 0 && len(p.nodes) > 0 {
		return p.fail("more than one root element")
	}
	if len(p.open) == maxDepth {
		return p.fail("elements nested more than %d deep", maxDepth)
	}
	if len(p.nodes) == maxElements {
		return p.fail("more than %d elements", maxElements)
	}
	p.pos++
	name, err := p.takeName("a tag")
	if err != nil {
		return err
	}
	if p.names+int(name.to-name.from) > maxPath {
		return p.fail("elements in each other with more than %d bytes of names", maxPath)
	}
	p.prefixed = false
	attrs, err := p.attributes()
	if err != nil {
		return err
	}
	single := strings.HasPrefix(p.rest(), "/>")
	if !single && !strings.HasPrefix(p.rest(), ">") {
		return p.fail("the tag <%s> does not end", p.cut(name))
	}
	p.pos++
	if single {
		p.pos++
	}
	at := int32(p.pos)
	p.push(node{name: name, attrs: attrs, prefixed: p.prefixed, outer: span{int32(begin), at}, inner: span{at, at}}, single)
	return nil
}

// push appends an element to the tree, as the last child of the innermost open one.
func (p *parser) push(n node, single bool) {
	me := id(len(p.nodes))
	if top := len(p.open) - 1; top >= 0 {
		n.parent = p.open[top]
		if p.last[top] == 0 {
			p.nodes[n.parent].first = me
		} else {
			p.nodes[p.last[top]].next = me
		}
		p.last[top] = me
	}
	p.nodes = append(p.nodes, n)
	if !single {
		p.names += int(n.name.to - n.name.from)
		p.open = append(p.open, me)
		p.last = append(p.last, 0)
	}
}

func (p *parser) endTag() error {
	begin := p.pos
	p.pos += 2
	name, err := p.takeName("an end tag")
	if err != nil {
		return err
	}
	p.space()
	if !strings.HasPrefix(p.rest(), ">") {
		return p.fail("the tag </%s> does not end", p.cut(name))
	}
	top := len(p.open) - 1
	if top < 0 || p.name(p.open[top]) != p.cut(name) {
		p.pos = begin
		return p.fail("</%s> ends no element that is open", p.cut(name))
	}
	p.pos++
	e := &p.nodes[p.open[top]]
	e.inner.to, e.outer.to = int32(begin), int32(p.pos)
	p.names -= int(name.to - name.from)
	p.open, p.last = p.open[:top], p.last[:top]
	return nil
}

// attributes takes those of a start tag, up to its ">" or "/>".
func (p *parser) attributes() (span, error) {
	s := span{int32(len(p.attrs)), int32(len(p.attrs))}
	for {
		spaced := p.space()
		if p.pos == len(p.src) || p.src[p.pos] == '>' || p.src[p.pos] == '/' {
			return s, nil
		}
		if !spaced {
			return s, p.fail("white space is missing before an attribute")
		}
		a, err := p.attribute()
		if err != nil {
			return s, err
		}
		for i := s.from; i < s.to; i++ {
			if p.cut(p.attrs[i].name) == p.cut(a.name) {
				p.pos = int(a.name.from)
				return s, p.fail("the attribute %s is there twice", p.cut(a.name))
			}
		}
		if s.to-s.from == maxAttributes {
			return s, p.fail("more than %d attributes", maxAttributes)
		}
		p.attrs = append(p.attrs, a)
		s.to++
		if name := p.cut(a.name); strings.IndexByte(name, ':') > 0 && !strings.HasPrefix(name, "xmlns:") {
			p.prefixed = true
		}
	}
}

// attribute takes name = "value".
func (p *parser) attribute() (attr, error) {
	name, err := p.takeName("an attribute")
	if err != nil {
		return attr{}, err
	}
	p.space()
	if !strings.HasPrefix(p.rest(), "=") {
		return attr{}, p.fail("the attribute %s has no value", p.cut(name))
	}
	p.pos++
	p.space()
	rest := p.rest()
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return attr{}, p.fail("the value of %s is not in quotes", p.cut(name))
	}
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 {
		return attr{}, p.fail("the value of %s does not end", p.cut(name))
	}
	value := rest[1 : 1+end]
	p.pos++
	if i := strings.IndexByte(value, '<'); i >= 0 {
		p.pos += i
		return attr{}, p.fail("< in the value of %s", p.cut(name))
	}
	begin := int32(p.pos)
	if err := p.references(value); err != nil {
		return attr{}, err
	}
	p.pos += end + 1
	return attr{name: name, value: span{begin, begin + int32(end)}}, nil
}

// declaration takes <?xml version="1.0" encoding="…" standalone="…"?>.
func (p *parser) declaration() error {
	p.pos += len("<?xml")
	for i, name := range []string{"version", "encoding", "standalone"} {
		begin := p.pos
		if !p.space() || i > 0 && strings.HasPrefix(p.rest(), "?>") {
			break
		}
		a, err := p.attribute()
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			syntax.Problem = "XML declaration: " + syntax.Problem
			return err
		}
		if p.cut(a.name) != name {
			if i == 0 {
				return p.fail("the XML declaration does not begin with the version")
			}
			p.pos = begin
			continue
		}
		if problem := p.declared(name, p.cut(a.value)); problem != "" {
			return p.fail("%s", problem)
		}
	}
	p.space()
	if !strings.HasPrefix(p.rest(), "?>") {
		return p.fail("an XML declaration that is not of the form of XML 1.0")
	}
	p.pos += 2
	return nil
}

func (p *parser) declared(name, value string) string {
	switch name {
	case "version":
		if value != "1.0" {
			return "XML of another version than 1.0"
		}
	case "encoding":
		switch strings.ToLower(value) {
		case "utf-8", "utf8":
		case "us-ascii", "ascii":
			if strings.ContainsFunc(p.src, func(r rune) bool { return r > 0x7f }) {
				return "the document says that it is ASCII, and is not"
			}
		default:
			return "another encoding than UTF-8, in which libvirt writes"
		}
	case "standalone":
		if value != "yes" && value != "no" {
			return "standalone is neither yes nor no"
		}
	}
	return ""
}
