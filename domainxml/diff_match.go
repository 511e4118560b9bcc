package domainxml

import (
	"hash/maphash"
	"strconv"
	"strings"
)

// matchKeys are what names elements among those of their name, beside the keys of
// paths.
var matchKeys = map[string]cond{
	"channel":       {names: []string{"target"}, attr: "name"},
	"seclabel":      {attr: "model"},
	"entry":         {attr: "name"},
	"cell":          {attr: "id"},
	"vcpu":          {attr: "id"},
	"iothreadpin":   {attr: "iothread"},
	"vcpusched":     {attr: "vcpus"},
	"iothreadsched": {attr: "iothreads"},
	"audio":         {attr: "id"},
	"page":          {attr: "size"},
	"property":      {attr: "name"},
}

// ordered are the elements whose order means something.
var ordered = map[string]bool{"boot": true, "arg": true, "initarg": true}

// matchKey names an element that is the place-th of its name, or is "".
func (s *side) matchKey(n id, place map[string]int) string {
	name := s.local(n)
	switch {
	case name == "controller":
		kind, index := s.get(n, "type"), s.get(n, "index")
		if index == "" {
			index = strconv.Itoa(place[kind])
		}
		place[kind]++
		return kind + " " + index
	case name == "input":
		return s.get(n, "type") + " " + s.get(n, "bus")
	case name == "interface":
		return strings.ToLower(s.deep(n, "address", "mac"))
	}
	key, ok := keys[name]
	if !ok {
		key = matchKeys[name]
	}
	if key.attr == "" {
		return ""
	}
	return s.deep(n, key.attr, key.names...)
}

// family is the name that a child has whatever its prefix.
func (s *side) family(n id) string { return s.local(n) + " " + s.ns[n] }

// families groups children, without those that only a running domain has.
func (s *side) families(parent id) map[string][]id {
	groups := map[string][]id{}
	for n := s.nodes[parent].first; n != 0; n = s.nodes[n].next {
		if s.name(n) == "alias" && !strings.HasPrefix(s.get(n, "name"), "ua-") {
			continue
		}
		f := s.family(n)
		groups[f] = append(groups[f], n)
	}
	return groups
}

// pairs finds for children of x those of y that are the same thing.
func (c *comparer) pairs(x, y id) map[id]id {
	pairs := map[id]id{}
	others := c.b.families(y)
	for f, list := range c.a.families(x) {
		if other := others[f]; len(other) > 0 {
			c.pair(pairs, list, other)
		}
	}
	return pairs
}

// pair goes by keys first, then by equality, then by order.
func (c *comparer) pair(pairs map[id]id, as, bs []id) {
	name := c.a.local(as[0])
	if ordered[name] {
		byOrder(pairs, as, bs)
		return
	}
	as, bs, akeys, bkeys := c.byKey(pairs, as, bs)
	sums := map[uint64][]id{}
	for _, m := range bs {
		sums[c.b.sums[m]] = append(sums[c.b.sums[m]], m)
	}
	taken := map[id]bool{}
	var left []id
	for _, n := range as {
		if equal := sums[c.a.sums[n]]; len(equal) > 0 {
			pairs[n], sums[c.a.sums[n]] = equal[0], equal[1:]
			taken[equal[0]] = true
		} else {
			left = append(left, n)
		}
	}
	// What has a name of its own on both sides, and not the same, are two things.
	var nameless, others, free []id
	for _, m := range bs {
		if !taken[m] {
			free = append(free, m)
		}
	}
	for _, n := range left {
		if akeys[n] == "" {
			nameless = append(nameless, n)
		}
	}
	for _, m := range free {
		if bkeys[m] == "" {
			others = append(others, m)
		}
	}
	if len(others) == len(free) {
		nameless = left
	} else if len(nameless) == len(left) {
		others = free
	}
	byOrder(pairs, nameless, others)
}

func byOrder(pairs map[id]id, as, bs []id) {
	for i, n := range as[:min(len(as), len(bs))] {
		pairs[n] = bs[i]
	}
}

// byKey pairs what has the same key, in order where several have, and returns the
// rest with all keys.
func (c *comparer) byKey(pairs map[id]id, as, bs []id) (arest, brest []id, akeys, bkeys map[id]string) {
	akeys, bkeys = c.a.keysOf(as), c.b.keysOf(bs)
	waiting := map[string][]id{}
	for _, n := range as {
		waiting[akeys[n]] = append(waiting[akeys[n]], n)
	}
	for _, m := range bs {
		key := bkeys[m]
		if same := waiting[key]; key != "" && len(same) > 0 {
			pairs[same[0]], waiting[key] = m, same[1:]
		} else {
			brest = append(brest, m)
		}
	}
	for _, n := range as {
		if pairs[n] == 0 {
			arest = append(arest, n)
		}
	}
	return arest, brest, akeys, bkeys
}

func (s *side) keysOf(list []id) map[id]string {
	place := map[string]int{}
	found := map[id]string{}
	for _, n := range list {
		found[n] = s.matchKey(n, place)
	}
	return found
}

// checksums returns one for each element: what is equal but for order has the same.
// They only help to find pairs.
func (s *side) checksums(seed maphash.Seed) []uint64 {
	sums := make([]uint64, len(s.nodes))
	for n := id(len(s.nodes) - 1); n >= 0; n-- {
		if name := s.name(n); name == "alias" || name == "address" {
			continue
		}
		sum := maphash.String(seed, s.local(n)+" "+strings.TrimSpace(s.own(n)))
		for a := range s.values(n) {
			sum += maphash.String(seed, a.name+"="+a.value)
		}
		for c := s.nodes[n].first; c != 0; c = s.nodes[c].next {
			sum += 31 * sums[c]
		}
		sums[n] = sum
	}
	return sums
}
