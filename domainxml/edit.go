package domainxml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrConflict: edits of one call contradict each other.
var ErrConflict = errors.New("domainxml: the edits contradict each other")

// Op says what an [Edit] does.
type Op string

// Values of [Op].
const (
	OpSet    Op = "set"    // give an attribute or the text of an element this value
	OpAdd    Op = "add"    // put a new element into one that is there
	OpRemove Op = "remove" // take an element or attribute away
)

// Edit is one change of a [Document], as plain data.
type Edit struct {
	Op    Op     `json:"op"`
	Path  string `json:"path"`            // see Document
	Value string `json:"value,omitempty"` // of set: the text; of add: the element as XML
}

// Set gives an attribute, or the text of an element, a value. What is missing of
// the path is made, with attributes as its conditions have them:
//
//	Set("cputune/vcpupin[@vcpu='0']/@cpuset", "2")
//
// Nothing is made for other conditions: there, a wrong path is an error.
func Set(path, value string) Edit { return Edit{Op: OpSet, Path: path, Value: value} }

// Add puts an element, written as XML, behind the last one of its name in the
// element that path names, or else behind all others. What is missing of the path
// is made as by [Set].
func Add(path, xml string) Edit { return Edit{Op: OpAdd, Path: path, Value: xml} }

// Remove takes an element or attribute away, with its line where it has one to
// itself.
func Remove(path string) Edit { return Edit{Op: OpRemove, Path: path} }

// Apply makes all of the edits or, with an error, none. Their paths are those of
// the document as it is before the call, and each must name one element only. An
// edit that changes nothing leaves the text as it is.
//
// The error is [ErrNotFound] if something to be changed or removed is not there,
// [ErrAmbiguous] if a path leads to several elements, and [ErrConflict] if two
// edits want different things of one place. A prefix that no xmlns declares is an
// error: libvirt drops such elements without a word.
func (d *Document) Apply(edits ...Edit) error { return d.apply(nil, edits) }

// apply is Apply that removes elements, too: by their numbers, since finding each
// of many by its path takes the square of them.
func (d *Document) apply(removed []id, edits []Edit) error {
	if err := d.valid(); err != nil {
		return err
	}
	c := d.changes()
	for _, n := range removed {
		c.mark(n).removed = true
	}
	for _, e := range edits {
		if err := c.edit(e); err != nil {
			return err
		}
	}
	return c.commit()
}

// commit makes the changes.
func (c *changes) commit() error {
	text, err := c.text()
	if err != nil || text == c.src {
		return err
	}
	t, err := parse(text)
	if err != nil {
		return err
	}
	before := c.undeclared()
	for prefix := range t.undeclared() {
		if _, ok := before[prefix]; !ok {
			return fmt.Errorf("domainxml: the prefix %q is not declared; give an element an attribute xmlns:%s", prefix, prefix)
		}
	}
	after, err := newDocument(t)
	if err != nil {
		return err
	}
	*c.Document = *after
	return nil
}

// changes gathers what is to be done with each element.
type changes struct {
	*finder
	marks map[id]*mark
}

func (d *Document) changes() *changes {
	return &changes{finder: d.finder(), marks: map[id]*mark{}}
}

// mark is what happens to an element that is there.
type mark struct {
	removed bool
	attrs   []attrChange
	text    *string
	added   []*element
}

type attrChange struct {
	name, value string
	removed     bool
}

func (c *changes) mark(n id) *mark {
	if c.marks[n] == nil {
		c.marks[n] = &mark{}
	}
	return c.marks[n]
}

func (c *changes) edit(e Edit) error {
	p, err := parsePath(e.Path)
	if err != nil {
		return err
	}
	switch e.Op {
	case OpSet:
		if err := carried(e.Value); err != nil {
			return fmt.Errorf("domainxml: %q: %w", p.text, err)
		}
		return c.set(p, e.Value)
	case OpAdd:
		return c.add(p, e.Value)
	case OpRemove:
		return c.remove(p)
	}
	return fmt.Errorf("domainxml: an edit with the operation %q", e.Op)
}

// walk goes as far as the path is there, to one element; rest is to be made.
func (c *changes) walk(p *path) (n id, rest []step, err error) {
	list, steps := c.start(p)
	for i := range steps {
		next := c.next(list, &steps[i])
		if len(next) == 0 && len(list) > 0 {
			if len(list) > 1 {
				return 0, nil, ambiguous(p, len(list))
			}
			return list[0], steps[i:], nil
		}
		list = next
	}
	switch len(list) {
	case 0:
		return 0, nil, errorNotFound(p.text)
	case 1:
		return list[0], nil, nil
	}
	return 0, nil, ambiguous(p, len(list))
}

func (c *changes) set(p *path, value string) error {
	n, rest, err := c.walk(p)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return c.create(p, n, rest, value)
	case p.attr != "":
		return c.mark(n).change(p, attrChange{name: p.attr, value: value})
	}
	m := c.mark(n)
	if c.nodes[n].first != 0 || len(m.added) > 0 {
		return mixed(p)
	}
	if m.text != nil && *m.text != value {
		return conflict(p)
	}
	m.text = &value
	return nil
}

func mixed(p *path) error {
	return fmt.Errorf("domainxml: %q has elements in it, and gets no text", p.text)
}

func conflict(p *path) error { return fmt.Errorf("%w: at %q", ErrConflict, p.text) }

func (m *mark) change(p *path, a attrChange) error {
	for _, b := range m.attrs {
		if b.name == a.name && b != a {
			return conflict(p)
		}
	}
	if !slices.Contains(m.attrs, a) {
		m.attrs = append(m.attrs, a)
	}
	return nil
}

func (c *changes) create(p *path, parent id, rest []step, value string) error {
	e, err := c.ensure(p, parent, rest)
	switch {
	case err != nil:
		return err
	case p.attr != "":
		return e.setAttr(p, p.attr, value)
	case len(e.children) > 0:
		return mixed(p)
	case e.isSet && e.text != value:
		return conflict(p)
	}
	e.text, e.isSet = value, true
	return nil
}

// ensure makes what is missing of a path, or finds what another edit makes.
func (c *changes) ensure(p *path, parent id, rest []step) (*element, error) {
	if err := c.takesElements(p, parent); err != nil {
		return nil, err
	}
	top := element{children: c.mark(parent).added}
	e := &top
	for i := range rest {
		var err error
		if e, err = e.ensure(p, &rest[i]); err != nil {
			return nil, err
		}
	}
	c.mark(parent).added = top.children
	return e, nil
}

// takesElements refuses to mix elements with text.
func (c *changes) takesElements(p *path, n id) error {
	m := c.marks[n]
	if m != nil && m.text != nil || c.nodes[n].first == 0 && strings.Trim(c.own(n), " \t\r\n") != "" {
		return fmt.Errorf("domainxml: %s: <%s> has text in it, and takes no elements", p.text, c.name(n))
	}
	return nil
}

func (c *changes) add(p *path, xml string) error {
	if p.attr != "" {
		return fmt.Errorf("domainxml: path %q names an attribute; elements are added to elements", p.text)
	}
	xml = strings.Trim(xml, " \t\r\n")
	raw, err := parse(xml)
	if err != nil {
		return fmt.Errorf("domainxml: the element to add: %v", err) // its lines are not those of the document
	}
	if raw.nodes[0].outer != (span{0, int32(len(xml))}) {
		return errors.New("domainxml: the element to add: only one element may stand there")
	}
	return c.put(p, &element{name: raw.name(0), raw: raw})
}

// put adds an element to the one that a path leads to.
func (c *changes) put(p *path, child *element) error {
	n, rest, err := c.walk(p)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		e, err := c.ensure(p, n, rest)
		if err == nil && e.isSet {
			err = conflict(p)
		}
		if err != nil {
			return err
		}
		e.children = append(e.children, child)
		return nil
	}
	if err := c.takesElements(p, n); err != nil {
		return err
	}
	c.mark(n).added = append(c.mark(n).added, child)
	return nil
}

func (c *changes) remove(p *path) error {
	n, err := c.only(p)
	if err != nil {
		return err
	}
	if p.attr != "" {
		if c.findAttr(n, p.attr) < 0 {
			return errorNotFound(p.text)
		}
		return c.mark(n).change(p, attrChange{name: p.attr, removed: true})
	}
	if n == 0 || n == c.domain {
		return fmt.Errorf("domainxml: %s: a document has a domain", p.text)
	}
	c.mark(n).removed = true
	return nil
}
