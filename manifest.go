package provision

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds of a manifest. The number of values is counted after aliases, so that
// a short text cannot stand for a huge one.
const (
	maxManifest = 4 << 20
	maxValues   = 1_000_000
	maxMistakes = 100
)

// ReadManifest reads Specs from YAML (or JSON, which is YAML too): one document
// or several. Keys that are unknown or repeated, values of the wrong type, and
// documents that are no mapping are errors with line and column, all reported
// at once as [ManifestError]. Merge keys ("<<") are refused. It does not
// validate the Specs; [Spec.Validate] and [Host.Plan] do.
func ReadManifest(r io.Reader) ([]Spec, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if len(data) > maxManifest {
		return nil, &ManifestError{Problem: fmt.Sprintf("has more than %d bytes", maxManifest)}
	}
	d := manifest{}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var specs []Spec
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(append(d.errs, syntaxError(err))...)
		}
		if isEmpty(&doc) {
			continue
		}
		var s Spec
		d.decode(doc.Content[0], reflect.ValueOf(&s).Elem(), "")
		specs = append(specs, s)
	}
	if len(d.errs) > 0 {
		return nil, errors.Join(d.errs...)
	}
	if len(specs) == 0 {
		return nil, &ManifestError{Line: 1, Column: 1, Problem: "the manifest is empty"}
	}
	return specs, nil
}

// isEmpty: a document of nothing but comments, as after a trailing "---".
func isEmpty(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" && doc.Content[0].Value == ""
}

// syntaxError takes the line out of yaml's text, which is the only place that
// has it.
func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &ManifestError{Problem: text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if num, msg, ok := strings.Cut(rest, ": "); ok {
			e.Line, _ = strconv.Atoi(num)
			e.Problem = msg
		}
	}
	return e
}

// plainTags say of a value what it is anyway.
var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map"}

// manifest decodes nodes into Go values, strictly.
type manifest struct {
	errs   []error
	values int
}

func (d *manifest) fail(n *yaml.Node, path, problem string, args ...any) {
	if len(d.errs) >= maxMistakes {
		return
	}
	d.errs = append(d.errs, &ManifestError{Line: n.Line, Column: n.Column, Path: path, Problem: fmt.Sprintf(problem, args...)})
}

func (d *manifest) decode(n *yaml.Node, v reflect.Value, path string) {
	if d.values++; d.values >= maxValues {
		if d.values == maxValues {
			d.fail(n, path, "the manifest has more than %d values", maxValues)
		}
		return
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 && !slices.Contains(plainTags, n.Tag) {
		d.fail(n, path, "has the tag %s, which is not supported: write plain values, and binary user data as %s…", clip(n.Tag), base64Prefix)
		return
	}
	_, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch kind := v.Kind(); {
	case isText || kind != reflect.Struct && kind != reflect.Slice && kind != reflect.Map:
		d.scalar(n, v, path)
	case n.Tag == "!!null":
		d.fail(n, path, "is empty: leave the key out for the default")
	case kind == reflect.Struct:
		d.object(n, v, path)
	case kind == reflect.Slice:
		d.list(n, v, path)
	default:
		d.dict(n, v, path)
	}
}

func (d *manifest) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, path, "is a %s; a single value is expected", kindName(n))
		return
	}
	if n.Tag == "!!null" {
		d.fail(n, path, "is empty: leave the key out for the default")
		return
	}
	if v.Kind() == reflect.String && n.Tag != "!!str" {
		// A name such as 1234 or true is a string to us, as it is written.
		v.SetString(n.Value)
		return
	}
	if s, ok := v.Addr().Interface().(*Switch); ok {
		var on bool
		if n.Decode(&on) != nil {
			d.fail(n, path, "%q is neither true nor false", clip(n.Value))
		} else if *s = Off; on {
			*s = On
		}
		return
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := t.UnmarshalText([]byte(n.Value)); err != nil {
			switch t.(type) {
			case *netip.Prefix:
				err = fmt.Errorf("%q is not an address with a prefix length; write it as 192.0.2.10/24", clip(n.Value))
			case *netip.Addr:
				err = fmt.Errorf("%q is not an address; write it as 192.0.2.1 or 2001:db8::1", clip(n.Value))
			}
			d.fail(n, path, "%v", err)
		}
		return
	}
	// yaml would cut 1.5 down to 1, and make a huge number of -1.5.
	cut := n.Tag == "!!float" && v.Kind() != reflect.Float64
	if cut || n.Decode(v.Addr().Interface()) != nil {
		d.fail(n, path, "%q is not %s", clip(n.Value), typeName(v.Type()))
	}
}

func (d *manifest) object(n *yaml.Node, v reflect.Value, path string) {
	known := map[string]int{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name != "-" {
			known[name] = i
		}
	}
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		i, ok := known[key.Value]
		if !ok {
			d.fail(key, at, "is not a known key; %s", suggest(key.Value, known))
			return
		}
		d.decode(value, v.Field(i), at)
	})
}

func (d *manifest) dict(n *yaml.Node, v reflect.Value, path string) {
	m := reflect.MakeMap(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, e, at)
		m.SetMapIndex(reflect.ValueOf(key.Value), e)
	})
	v.Set(m)
}

// pairs calls f for each key and value, and reports keys that stand twice.
func (d *manifest) pairs(n *yaml.Node, path string, f func(key, value *yaml.Node, at string)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "is a %s; a mapping of keys to values is expected", kindName(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := strings.TrimPrefix(path+"."+oneLine(key.Value), ".")
		switch line, dup := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			d.fail(key, path, "merge keys, aliases and compound keys are not supported: write the keys out")
		case dup:
			d.fail(key, at, "stands in line %d already", line)
		default:
			seen[key.Value] = key.Line
			f(key, n.Content[i+1], at)
		}
	}
}

func (d *manifest) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "is a %s; a list is expected", kindName(n))
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.decode(c, s.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(s)
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Uint64:
		return "a whole number"
	}
	return "a " + t.String()
}

// suggest names the known key that differs in case or spelling only, or all.
func suggest(key string, known map[string]int) string {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s))
	}
	names := make([]string, len(known))
	for name, i := range known {
		if plain(name) == plain(key) {
			return "write " + name
		}
		for i >= len(names) {
			names = append(names, "")
		}
		names[i] = name
	}
	return "known are " + strings.Join(strings.Fields(strings.Join(names, " ")), ", ")
}
