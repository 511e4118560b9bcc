package domainxml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of paths, for errors.Is.
var (
	ErrNotFound  = errors.New("domainxml: not found in the document")
	ErrAmbiguous = errors.New("domainxml: more than one thing is meant")
)

// maxPathText bounds paths: far above those that Find and Lint return.
const maxPathText = 64 << 10

// path is a location in the small part of XPath 1.0 that [Document] takes.
type path struct {
	text  string
	root  bool // begins at the root of the document, not at the domain
	steps []step
	attr  string // the path ends with /@attr
}

// step goes to children by name, "*" for all; the conditions hold one after the
// other.
type step struct {
	name  string
	conds []cond
}

// cond is [3], [@attr='v'], [child='v'] or [child/@attr='v'].
type cond struct {
	index int
	names []string
	attr  string
	value string
}

// parsePath reads a path such as devices/disk[target/@dev='vda']/driver/@cache.
func parsePath(text string) (*path, error) {
	if len(text) > maxPathText {
		return nil, fmt.Errorf("domainxml: a path of more than %d bytes", maxPathText)
	}
	p := &path{text: text}
	r := pathReader{rest: text}
	p.root = r.take("/")
	for {
		if r.take("@") {
			if p.attr = r.name(); p.attr == "" {
				return nil, r.fail(text, "the name of an attribute is missing")
			}
			break
		}
		s := step{name: "*"}
		if !r.take("*") {
			if s.name = r.name(); s.name == "" {
				return nil, r.fail(text, "the name of an element is missing")
			}
		}
		for r.take("[") {
			c, problem := r.cond()
			if problem != "" {
				return nil, r.fail(text, problem)
			}
			s.conds = append(s.conds, c)
		}
		p.steps = append(p.steps, s)
		if !r.take("/") {
			break
		}
	}
	if r.rest != "" {
		return nil, r.fail(text, "only names, [conditions] and a last @attribute may stand here")
	}
	if p.root && len(p.steps) == 0 {
		return nil, r.fail(text, "the name of the root element is missing")
	}
	return p, nil
}

type pathReader struct{ rest string }

func (r *pathReader) fail(text, problem string) error {
	return fmt.Errorf("domainxml: path %q, at %q: %s", text, r.rest, problem)
}

func (r *pathReader) take(s string) bool {
	rest, ok := strings.CutPrefix(r.rest, s)
	r.rest = rest
	return ok
}

func (r *pathReader) name() string {
	n := nameLength(r.rest)
	name := r.rest[:n]
	if strings.HasPrefix(name, ":") || strings.HasSuffix(name, ":") || strings.Count(name, ":") > 1 {
		return ""
	}
	r.rest = r.rest[n:]
	return name
}

// cond reads a condition behind its "[".
func (r *pathReader) cond() (c cond, problem string) {
	digits := r.rest[:len(r.rest)-len(strings.TrimLeft(r.rest, "0123456789"))]
	if digits != "" {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return c, "the first is [1]"
		}
		r.rest, c.index = r.rest[len(digits):], n
	} else if problem := r.equation(&c); problem != "" {
		return c, problem
	}
	if !r.take("]") {
		return c, "] is missing"
	}
	return c, ""
}

func (r *pathReader) equation(c *cond) (problem string) {
	for c.attr == "" {
		if r.take("@") {
			if c.attr = r.name(); c.attr == "" {
				return "the name of an attribute is missing"
			}
			break
		}
		name := r.name()
		if name == "" {
			return "a condition is a number or name='value'"
		}
		c.names = append(c.names, name)
		if !r.take("/") {
			break
		}
	}
	if !r.take("=") {
		return "= is missing"
	}
	if r.rest == "" || r.rest[0] != '\'' && r.rest[0] != '"' {
		return "a value in quotes is missing"
	}
	end := strings.IndexByte(r.rest[1:], r.rest[0])
	if end < 0 {
		return "the value does not end"
	}
	c.value, r.rest = r.rest[1:1+end], r.rest[end+2:]
	return ""
}

func ambiguous(p *path, n int) error {
	return fmt.Errorf("%w: path %q names %d elements; add a condition such as [1] or [@name='value']", ErrAmbiguous, p.text, n)
}

func errorNotFound(path string) error { return fmt.Errorf("%w: %q", ErrNotFound, path) }
