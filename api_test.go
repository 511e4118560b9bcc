package provision_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/golden"
)

// The exported API is what testdata/api.txt says: a change of it is a line in
// the diff that a reader of the change sees.
func TestAPI(t *testing.T) {
	var lines []string
	for _, s := range sources(t) {
		if !s.public() || s.isTest() || s.ast.Name.Name == "main" {
			continue
		}
		a := api{source: s, t: t}
		for _, d := range s.ast.Decls {
			a.decl(d)
		}
		lines = append(lines, a.lines...)
	}
	slices.Sort(lines)
	golden.Check(t, "api.txt", strings.Join(slices.Compact(lines), "\n")+"\n")
}

// api renders the exported declarations of one file, a line each.
type api struct {
	source
	t     *testing.T
	lines []string
}

func (a *api) add(form string, args ...any) {
	pkg := a.ast.Name.Name
	a.lines = append(a.lines, "pkg "+pkg+", "+fmt.Sprintf(form, args...))
}

// text is a node in one line.
func (a *api) text(n any) string {
	var b bytes.Buffer
	require.NoError(a.t, format.Node(&b, a.fset, n))
	return strings.Join(strings.Fields(b.String()), " ")
}

func (a *api) decl(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		a.function(d)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				a.typ(s)
			case *ast.ValueSpec:
				a.value(d.Tok, s)
			}
		}
	}
}

func (a *api) function(d *ast.FuncDecl) {
	if !d.Name.IsExported() {
		return
	}
	signature := strings.TrimPrefix(a.text(d.Type), "func")
	if d.Recv == nil {
		a.add("func %s%s", d.Name.Name, signature)
		return
	}
	recv := a.text(d.Recv.List[0].Type)
	if ast.IsExported(strings.TrimPrefix(recv, "*")) {
		a.add("method (%s) %s%s", recv, d.Name.Name, signature)
	}
}

func (a *api) value(tok token.Token, s *ast.ValueSpec) {
	for i, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		line := tok.String() + " " + name.Name
		if s.Type != nil {
			line += " " + a.text(s.Type)
		}
		if tok == token.CONST && i < len(s.Values) {
			line += " = " + a.text(s.Values[i])
		}
		a.add("%s", line)
	}
}

func (a *api) typ(s *ast.TypeSpec) {
	if !s.Name.IsExported() {
		return
	}
	name := s.Name.Name
	if s.TypeParams != nil {
		name += "[…]"
	}
	var members *ast.FieldList
	kind := ""
	switch t := s.Type.(type) {
	case *ast.StructType:
		members, kind = t.Fields, "struct"
	case *ast.InterfaceType:
		members, kind = t.Methods, "interface"
	default:
		if s.Assign.IsValid() {
			kind = "= "
		}
		a.add("type %s %s%s", name, kind, a.text(t))
		return
	}
	a.add("type %s %s", name, kind)
	for _, f := range members.List {
		text := a.text(f.Type)
		if kind == "interface" {
			text = strings.TrimPrefix(text, "func")
		}
		for _, n := range f.Names {
			if n.IsExported() && kind == "struct" {
				a.add("type %s struct, %s %s", name, n.Name, text)
			} else if n.IsExported() {
				a.add("type %s interface, %s%s", name, n.Name, text)
			}
		}
		if f.Names == nil {
			a.add("type %s %s, embeds %s", name, kind, text)
		}
	}
}
