package domainxml

import (
	"fmt"
	"strings"
)

// MaxDocument is how many bytes [Parse] takes: the largest string of libvirt's own
// protocol (remote_protocol.x).
const MaxDocument = 4 << 20

// More limits on what Parse takes, far above any domain. The depth is that of
// libxml2, with which libvirt reads.
const (
	maxElements   = 1 << 14
	maxDepth      = 256
	maxAttributes = 256
	maxName       = 1024 // bytes
	maxPath       = 4096 // bytes of names of elements in each other, together
)

// SyntaxError says where a text is no XML, or none that is taken here.
type SyntaxError struct {
	Line, Column int // from 1; columns in characters
	Problem      string
}

// Error says where and what.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("domainxml: line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

// parser goes once over the text. It refuses whatever is not well-formed by XML
// 1.0, fifth edition, and all declarations of entities: nothing is ever expanded
// but the five entities of XML and references to characters.
type parser struct {
	tree
	pos     int
	open    []id // from the root down to where pos is
	last    []id // the last child so far of each of open
	names   int  // length of the names of open, together
	doctype bool
	// prefixed: the tag that is read has an attribute with a prefix.
	prefixed bool
}

func parse(text string) (*tree, error) {
	if len(text) > MaxDocument {
		return nil, fmt.Errorf("domainxml: the document has more than %d bytes", MaxDocument)
	}
	p := &parser{tree: tree{src: text}}
	if at, problem := badCharacter(text); problem != "" {
		p.pos = at
		return nil, p.fail("%s", problem)
	}
	// In domains, there is an element for each 30 to 60 bytes.
	p.nodes = make([]node, 0, len(text)/40+4)
	p.attrs = make([]attr, 0, len(text)/40+4)
	if err := p.document(); err != nil {
		return nil, err
	}
	return &p.tree, nil
}

func (p *parser) fail(format string, args ...any) error {
	e := &SyntaxError{Problem: fmt.Sprintf(format, args...)}
	e.Line, e.Column = line(p.src, min(p.pos, len(p.src)))
	return e
}

func (p *parser) rest() string { return p.src[p.pos:] }

func (p *parser) document() error {
	p.pos += len(p.src) - len(strings.TrimPrefix(p.src, "\ufeff"))
	if rest := p.rest(); strings.HasPrefix(rest, "<?xml") && len(rest) > 5 && isSpace(rest[5]) {
		if err := p.declaration(); err != nil {
			return err
		}
	}
	for p.pos < len(p.src) {
		if err := p.characters(); err != nil {
			return err
		}
		if p.pos == len(p.src) {
			break
		}
		if err := p.markup(); err != nil {
			return err
		}
	}
	switch {
	case len(p.open) > 0:
		return p.fail("the document ends within <%s>", p.name(p.open[len(p.open)-1]))
	case len(p.nodes) == 0:
		return p.fail("the document has no element")
	}
	return nil
}

// characters takes the text up to the next "<".
func (p *parser) characters() error {
	text := p.rest()
	if i := strings.IndexByte(text, '<'); i >= 0 {
		text = text[:i]
	}
	if text == "" {
		return nil
	}
	if len(p.open) == 0 {
		if extra := strings.TrimLeft(text, " \t\n\r"); extra != "" {
			p.pos += len(text) - len(extra)
			return p.fail("text outside of the root element")
		}
		p.pos += len(text)
		return nil
	}
	if i := strings.Index(text, "]]>"); i >= 0 {
		p.pos += i
		return p.fail("]]> that ends no CDATA section")
	}
	if err := p.references(text); err != nil {
		return err
	}
	if strings.ContainsAny(text, "&\r") {
		p.nodes[p.open[len(p.open)-1]].odd = true
	}
	p.pos += len(text)
	return nil
}

// references checks those in a text that begins at pos.
func (p *parser) references(text string) error {
	for i := strings.IndexByte(text, '&'); i >= 0; {
		if _, _, problem := reference(text[i:]); problem != "" {
			p.pos += i
			return p.fail("%s", problem)
		}
		next := strings.IndexByte(text[i+1:], '&')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return nil
}

// markup takes what begins with "<".
func (p *parser) markup() error {
	rest := p.rest()
	switch {
	case strings.HasPrefix(rest, "</"):
		return p.endTag()
	case strings.HasPrefix(rest, "<!--"):
		return p.comment()
	case strings.HasPrefix(rest, "<?"):
		return p.instruction()
	case strings.HasPrefix(rest, "<![CDATA[") && len(p.open) > 0:
		p.odd()
		return p.skip("]]>", "CDATA section")
	case strings.HasPrefix(rest, "<!DOCTYPE"):
		return p.documentType()
	}
	return p.startTag()
}

// odd marks the element that pos is in.
func (p *parser) odd() {
	if len(p.open) > 0 {
		p.nodes[p.open[len(p.open)-1]].odd = true
	}
}

func (p *parser) skip(end, what string) error {
	i := strings.Index(p.rest(), end)
	if i < 0 {
		return p.fail("a %s that does not end", what)
	}
	p.pos += i + len(end)
	return nil
}

func (p *parser) comment() error {
	p.odd()
	i := strings.Index(p.rest()[4:], "--")
	switch {
	case i < 0:
		return p.fail("a comment that does not end")
	case !strings.HasPrefix(p.rest()[4+i:], "-->"):
		p.pos += 4 + i
		return p.fail("-- within a comment")
	}
	p.pos += 4 + i + 3
	return nil
}

func (p *parser) instruction() error {
	p.odd()
	begin := p.pos
	p.pos += 2
	name, err := p.takeName("a processing instruction")
	if err != nil {
		return err
	}
	if strings.EqualFold(p.cut(name), "xml") {
		p.pos = begin
		return p.fail("an XML declaration that is not at the begin")
	}
	if rest := p.rest(); !strings.HasPrefix(rest, "?>") && (rest == "" || !isSpace(rest[0])) {
		return p.fail("white space is missing in a processing instruction")
	}
	return p.skip("?>", "processing instruction")
}

// documentType takes one that declares nothing: libvirt writes none, and with
// declarations a text can mean anything.
func (p *parser) documentType() error {
	if p.doctype || len(p.nodes) > 0 {
		return p.fail("a document type that is not before the root element")
	}
	p.doctype = true
	p.pos += len("<!DOCTYPE")
	if !p.space() {
		return p.fail("white space is missing in a document type")
	}
	if _, err := p.takeName("a document type"); err != nil {
		return err
	}
	p.space()
	literals := 0
	switch rest := p.rest(); {
	case !isSpace(p.src[p.pos-1]):
	case strings.HasPrefix(rest, "SYSTEM"):
		literals = 1
	case strings.HasPrefix(rest, "PUBLIC"):
		literals = 2
	}
	if literals > 0 {
		p.pos += len("SYSTEM")
	}
	for ; literals > 0; literals-- {
		if err := p.literal(literals == 2); err != nil {
			return err
		}
	}
	p.space()
	switch rest := p.rest(); {
	case strings.HasPrefix(rest, "["):
		return p.fail("declarations in the document: they are not taken")
	case !strings.HasPrefix(rest, ">"):
		return p.fail("a document type that does not end")
	}
	p.pos++
	return nil
}

// literal takes a quoted string of a document type; public ones have few
// characters, section 2.3.
func (p *parser) literal(public bool) error {
	spaced := p.space()
	rest := p.rest()
	if !spaced || rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return p.fail("a document type without the place of its declarations in quotes")
	}
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 {
		return p.fail("a document type that does not end")
	}
	const allowed = " \r\nabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-'()+,./:=?;!*#@$_%"
	if text := rest[1 : 1+end]; public && strings.Trim(text, allowed) != "" {
		return p.fail("a document type whose public name has characters that XML does not allow there")
	}
	p.pos += end + 2
	return nil
}
