package domainxml

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNoDomain: a document has no domain at its root or directly below it.
var ErrNoDomain = errors.New("domainxml: the document has no domain at its root or directly below")

// Document is a libvirt document with a domain in it, made by [Parse]. It is the text that was
// parsed, and edits replace parts of that text: whatever no edit names stays as
// it is, byte for byte, also what this package knows nothing of.
//
// A Document may be read from several goroutines at once, but not while it is
// changed. The zero value has no text and no domain: what asks for one of it is
// [ErrNoDomain].
//
// # Paths
//
// Paths are the part of XPath 1.0 that one needs: names of elements, "*" for any,
// conditions in brackets, and a last @attribute. Names are compared as they are
// written, with their prefix.
//
//	vcpu
//	vcpu/@current
//	devices/disk[target/@dev='vda']/driver/@cache
//	devices/interface[2]/mac/@address
//	cpu/feature[@name='vmx'][@policy='require']
//	/domainsnapshot/inactiveDomain/name
//
// They begin at the domain, or with a slash at the root of the document. In a
// snapshot that has an inactive domain too, the changes by name and relative paths
// are about the first.
type Document struct {
	tree
	domain id
}

// Parse reads a document with a domain at its root, or directly below it: the
// XML of a domain of any driver, of a snapshot with the domain it is of, or
// libvirt's own status of a running one.
//
// Anything else is an error: [ErrNoDomain], or a [*SyntaxError] where the text is no well-formed
// XML 1.0 in UTF-8. Documents with declarations of their own are refused, and so
// are those of more than [MaxDocument] bytes, 16,384 elements, 256 levels, or 256
// attributes on an element.
func Parse(text []byte) (*Document, error) {
	t, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	return newDocument(t)
}

func newDocument(t *tree) (*Document, error) {
	d := &Document{tree: *t}
	if t.name(0) == "domain" {
		d.mark()
		return d, nil
	}
	list := d.domains()
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: its root is %s", ErrNoDomain, t.name(0))
	}
	d.domain = list[0]
	d.mark()
	return d, nil
}

// valid is ErrNoDomain for the zero Document.
func (d *Document) valid() error {
	if len(d.nodes) == 0 {
		return ErrNoDomain
	}
	return nil
}

// orEmpty is the Document itself, or for the zero one a domain with nothing in it.
func (d *Document) orEmpty() *Document {
	if d.valid() == nil {
		return d
	}
	return &Document{tree: tree{src: "<domain/>", nodes: []node{{name: span{1, 7}, outer: span{0, 9}, inner: span{9, 9}}}}}
}

// Bytes returns the text.
func (d *Document) Bytes() []byte { return []byte(d.src) }

// String returns the text.
func (d *Document) String() string { return d.src }

// domains returns those of the document: a snapshot has two when the guest was
// running, which may differ.
func (d *Document) domains() []id {
	if d.name(0) == "domain" {
		return []id{0}
	}
	return slices.Concat(d.children(0, "domain"), d.children(0, "inactiveDomain"))
}

// Get returns the value of an attribute or the text of an element, without the
// text of elements in it: that of the first where the path names several. The
// error is [ErrNotFound] if it names none, or that the path is not one.
func (d *Document) Get(path string) (string, error) {
	if err := d.valid(); err != nil {
		return "", err
	}
	p, err := parsePath(path)
	if err != nil {
		return "", err
	}
	for _, n := range d.finder().elements(p) {
		if p.attr == "" {
			return d.own(n), nil
		}
		if v, ok := d.literal(n, p.attr); ok {
			return v, nil
		}
	}
	return "", errorNotFound(path)
}

// Find returns a path for each element or attribute that path names, in the
// order of the document. Each begins at the root and names one thing only.
func (d *Document) Find(path string) ([]string, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	p, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	var list []string
	names := d.naming()
	for _, n := range d.finder().elements(p) {
		if p.attr == "" {
			list = append(list, names.path(n))
		} else if d.findAttr(n, p.attr) >= 0 {
			list = append(list, names.path(n)+"/@"+p.attr)
		}
	}
	return list, nil
}

// Element returns the text of the element that a path names, tags included.
func (d *Document) Element(path string) (string, error) {
	if err := d.valid(); err != nil {
		return "", err
	}
	p, err := parsePath(path)
	if err != nil {
		return "", err
	}
	if p.attr != "" {
		return "", errorNotFound(path)
	}
	n, err := d.finder().only(p)
	if err != nil {
		return "", err
	}
	return d.cut(d.nodes[n].outer), nil
}
