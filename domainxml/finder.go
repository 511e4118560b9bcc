package domainxml

// finder goes along paths. It remembers families of siblings and what they are
// called by, so that many paths in one document take a pass for each family and
// not for each path.
type finder struct {
	*Document
	families map[family][]id
	called   map[calling]map[string][]id
}

// family are children of one name, "*" for all.
type family struct {
	parent id
	name   string
}

// calling is a family by the values of an attribute or element.
type calling struct {
	family
	by string
}

func (d *Document) finder() *finder {
	return &finder{Document: d, families: map[family][]id{}, called: map[calling]map[string][]id{}}
}

// elements returns all elements that the steps of a path lead to.
func (f *finder) elements(p *path) []id {
	list, steps := f.start(p)
	for i := range steps {
		list = f.next(list, &steps[i])
	}
	return list
}

// only returns the one element that the steps of a path lead to.
func (f *finder) only(p *path) (id, error) {
	list := f.elements(p)
	switch {
	case len(list) == 0:
		return 0, errorNotFound(p.text)
	case len(list) > 1:
		return 0, ambiguous(p, len(list))
	}
	return list[0], nil
}

// start returns where a path begins, and the steps that are left.
func (f *finder) start(p *path) ([]id, []step) {
	if !p.root {
		return []id{f.domain}, p.steps
	}
	first := &p.steps[0]
	if first.name != "*" && first.name != f.name(0) {
		return nil, nil
	}
	list := []id{0}
	for i := range first.conds {
		list = f.filter(list, &first.conds[i])
	}
	return list, p.steps[1:]
}

// next returns the children of elements that a step goes to.
func (f *finder) next(list []id, s *step) []id {
	if len(list) == 1 {
		return f.from(list[0], s)
	}
	var next []id
	for _, n := range list {
		next = append(next, f.from(n, s)...)
	}
	return next
}

func (f *finder) from(n id, s *step) []id {
	key := family{n, s.name}
	list, ok := f.families[key]
	if !ok {
		for c := f.nodes[n].first; c != 0; c = f.nodes[c].next {
			if s.name == "*" || f.name(c) == s.name {
				list = append(list, c)
			}
		}
		f.families[key] = list
	}
	for i := range s.conds {
		if c := &s.conds[i]; i == 0 && c.index == 0 && len(list) > fewSiblings {
			list = f.call(key, list, c)[c.value]
		} else {
			list = f.filter(list, c)
		}
	}
	return list
}

// fewSiblings are looked through each time.
const fewSiblings = 16

// call sorts a family by what its members have for a condition.
func (f *finder) call(key family, list []id, c *cond) map[string][]id {
	by := calling{key, c.left()}
	if called, ok := f.called[by]; ok {
		return called
	}
	called := map[string][]id{}
	for _, n := range list {
		for v := range f.values(n, c) {
			if same := called[v]; len(same) == 0 || same[len(same)-1] != n {
				called[v] = append(same, n)
			}
		}
	}
	f.called[by] = called
	return called
}

func (f *finder) filter(list []id, c *cond) []id {
	if c.index > 0 {
		return list[min(c.index-1, len(list)):min(c.index, len(list))]
	}
	var kept []id
	for _, n := range list {
		for v := range f.values(n, c) {
			if v == c.value {
				kept = append(kept, n)
				break
			}
		}
	}
	return kept
}

// values walks what an element has on the left side of a condition.
func (t *tree) values(n id, c *cond) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		at := []id{n}
		for _, name := range c.names {
			var next []id
			for _, e := range at {
				for child := t.nodes[e].first; child != 0; child = t.nodes[child].next {
					if t.name(child) == name {
						next = append(next, child)
					}
				}
			}
			at = next
		}
		for _, e := range at {
			if c.attr == "" {
				if !yield(t.own(e)) {
					return
				}
			} else if v, ok := t.literal(e, c.attr); ok && !yield(v) {
				return
			}
		}
	}
}
