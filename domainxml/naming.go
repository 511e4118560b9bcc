package domainxml

import (
	"strconv"
	"strings"
)

// keys are what names an element among its siblings better than its number.
var keys = map[string]cond{
	"disk":       {names: []string{"target"}, attr: "dev"},
	"filesystem": {names: []string{"target"}, attr: "dir"},
	"interface":  {names: []string{"mac"}, attr: "address"},
	"graphics":   {attr: "type"},
	"feature":    {attr: "name"},
	"timer":      {attr: "name"},
	"vcpupin":    {attr: "vcpu"},
	"iothread":   {attr: "id"},
	"parameter":  {attr: "name"},
}

// maxKey bounds the keys that stand in paths.
const maxKey = 128

// maxKeyed bounds the paths to which keys are added: behind longer ones there are
// numbers.
const maxKeyed = 1024

// naming finds the paths of elements. It looks at each family of siblings once,
// so that all paths of a document take one pass over it.
type naming struct {
	*tree
	conds map[id]string // by element, where it has siblings of its name
	paths map[id]string // of parents
}

func (t *tree) naming() *naming {
	return &naming{tree: t, conds: map[id]string{}, paths: map[id]string{}}
}

// path returns the path from the root to an element, which names it alone.
func (m *naming) path(n id) string {
	if n == 0 {
		return "/" + m.name(0)
	}
	parent := m.nodes[n].parent
	above, ok := m.paths[parent]
	if !ok {
		above = m.path(parent)
		m.paths[parent] = above
		m.family(parent)
	}
	return above + "/" + m.name(n) + m.conds[n]
}

// family finds what tells each child from its siblings of the same name: nothing
// if there are none, its key, or its number.
func (m *naming) family(parent id) {
	type group struct {
		members []id
		keys    map[string]int
	}
	groups := map[string]*group{}
	for c := m.nodes[parent].first; c != 0; c = m.nodes[c].next {
		g := groups[m.name(c)]
		if g == nil {
			g = &group{keys: map[string]int{}}
			groups[m.name(c)] = g
		}
		g.members = append(g.members, c)
		for _, key := range m.allKeys(c) {
			g.keys[key]++
		}
	}
	for _, g := range groups {
		if len(g.members) == 1 {
			continue
		}
		for i, c := range g.members {
			if key := m.key(c); key != "" && g.keys[key] == 1 {
				m.conds[c] = key
			} else {
				m.conds[c] = "[" + strconv.Itoa(i+1) + "]"
			}
		}
	}
}

// key is the condition that names the element by its key, or "".
func (m *naming) key(n id) string {
	key, ok := keys[m.name(n)]
	if !ok {
		return ""
	}
	for v := range m.values(n, &key) {
		key.value = v
		break
	}
	if len(key.value) > maxKey || len(m.paths[m.nodes[n].parent]) > maxKeyed {
		return ""
	}
	return key.String()
}

// allKeys are all conditions of that kind that hold of the element: with two
// targets, there are two.
func (m *naming) allKeys(n id) []string {
	key, ok := keys[m.name(n)]
	if !ok {
		return nil
	}
	var list []string
	for v := range m.values(n, &key) {
		if key.value = v; len(v) <= maxKey {
			list = append(list, key.String())
		}
	}
	return list
}

// String is the condition as a path has it; XPath 1.0 has no form for a value
// with both quotes in it.
func (c *cond) String() string {
	quote := "'"
	if strings.Contains(c.value, quote) {
		quote = `"`
	}
	if c.value == "" || strings.Contains(c.value, quote) {
		return ""
	}
	return "[" + c.left() + "=" + quote + c.value + quote + "]"
}

// left is what stands before the "=".
func (c *cond) left() string {
	at := strings.Join(c.names, "/")
	if c.attr != "" {
		at = strings.TrimPrefix(at+"/@"+c.attr, "/")
	}
	return at
}
