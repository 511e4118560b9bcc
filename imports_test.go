package provision_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/token"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// allowed says what the files of a package that are no tests may import beside
// the standard library: other modules, and packages of ours.
var allowed = map[string]*regexp.Regexp{
	".":             regexp.MustCompile(`^(gopkg\.in/yaml\.v3|OURS/(internal/.*|tune))$`),
	"tune":          regexp.MustCompile(`^(gopkg\.in/yaml\.v3|OURS/internal/.*)$`),
	"domainxml":     regexp.MustCompile(`^(OURS/internal/.*|libvirt\.org/go/libvirtxml)$`),
	"kvm":           regexp.MustCompile(`^(OURS|OURS/(internal/.*|tune|domainxml)|github\.com/(digitalocean/go-libvirt.*|diskfs/.*|google/uuid|klauspost/.*|pkg/xattr)|libvirt\.org/go/.*|golang\.org/x/.*)$`),
	"lxc":           regexp.MustCompile(`^(OURS|OURS/(internal/.*|tune)|github\.com/(lxc/go-lxc|klauspost/.*|pkg/xattr)|golang\.org/x/.*)$`),
	"openvz":        regexp.MustCompile(`^(OURS|OURS/(internal/.*|tune)|github\.com/(klauspost/.*|pkg/xattr)|golang\.org/x/.*)$`),
	"provisiontest": regexp.MustCompile(`^(OURS|OURS/(internal/.*|tune)|github\.com/(stretchr/testify|google/go-cmp)/.*|go\.uber\.org/goleak)$`),
}

func TestImportRules(t *testing.T) {
	for _, s := range sources(t) {
		rule := allowed[strings.SplitN(s.dir, "/", 2)[0]]
		if s.dir == "." {
			rule = allowed["."]
		}
		if s.isTest() || !s.public() || s.ast.Name.Name == "main" {
			continue
		}
		require.NotNil(t, rule, "%s: a package that has no import rule yet", s.dir)
		for _, p := range s.imports() {
			first, _, _ := strings.Cut(p, "/")
			if p == "C" {
				require.Equal(t, "lxc", s.dir, "%s needs cgo", s.path)
				continue
			}
			if strings.Contains(first, ".") {
				require.Regexp(t, rule, strings.Replace(p, module, "OURS", 1), "%s imports %s", s.path, p)
			}
			if s.dir != "provisiontest" {
				require.NotContains(t, []string{"testing", "flag"}, p, s.path)
			}
		}
	}
}

// listed is what "go list -deps -json" says of a package.
type listed struct {
	ImportPath, Name string
	Standard         bool
	CgoFiles         []string
	Error            *struct{ Err string }
}

// What programs import needs neither cgo, lxc apart, nor anything for tests,
// also by way of others.
func TestDependencies(t *testing.T) {
	dirs := map[string]bool{}
	for _, s := range sources(t) {
		if s.public() && !s.isTest() && s.ast.Name.Name != "main" && s.dir != "provisiontest" && s.dir != "lxc" {
			dirs["./"+s.dir] = true
		}
	}
	args := []string{"list", "-deps", "-json=ImportPath,Name,Standard,CgoFiles,Error"}
	for dir := range dirs {
		args = append(args, dir)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	dec := json.NewDecoder(bytes.NewReader(out))
	for n := 0; ; n++ {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			require.Greater(t, n, 30)
			return
		} else {
			require.NoError(t, err)
		}
		require.Nil(t, p.Error, p.ImportPath)
		require.Empty(t, p.CgoFiles, p.ImportPath)
		require.NotEqual(t, "testing", p.ImportPath)
		require.NotRegexp(t, `testify|go-cmp|goleak|/testrig`, p.ImportPath)
	}
}

// Nothing in the library reads the environment, prints, or runs by itself; what
// a program sees is what it asked for.
func TestHabits(t *testing.T) {
	forbidden := regexp.MustCompile(`^(os\.(Getenv|Environ|LookupEnv|ExpandEnv|Exit)|fmt\.Print(|f|ln)|log\.(Print|Fatal|Panic)(|f|ln)|print|println|signal\.Notify)$`)
	ofTests := regexp.MustCompile(`^os\.(Getenv|Environ|LookupEnv|Exit)$`)
	for _, s := range sources(t) {
		require.LessOrEqual(t, strings.Count(s.text, "\n"), 500, "%s is too long: one noun per file", s.path)
		forTests := s.dir == "provisiontest" || strings.HasPrefix(s.dir, "internal/testrig") || s.dir == "internal/lxcrig"
		if s.isTest() || s.ast.Name.Name == "main" {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				require.False(t, n.Recv == nil && n.Name.Name == "init", "%s: init()", s.at(n))
			case *ast.CallExpr:
				f := called(n)
				require.False(t, forbidden.MatchString(f) && !(forTests && ofTests.MatchString(f)), "%s: %s", s.at(n), f)
			}
			return true
		})
		if forTests {
			continue
		}
		for _, d := range s.ast.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					requireConstant(t, s, spec.(*ast.ValueSpec))
				}
			}
		}
	}
}

// called names the function of a call: "os.Getenv", "println".
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if pkg, ok := f.X.(*ast.Ident); ok {
			return pkg.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// requireConstant accepts variables of a package that nobody writes to: errors,
// regular expressions, tables, and claims to implement an interface.
func requireConstant(t *testing.T, s source, v *ast.ValueSpec) {
	t.Helper()
	if slices.ContainsFunc(v.Names, func(n *ast.Ident) bool { return n.Name == "_" }) {
		return
	}
	require.NotEmpty(t, v.Values, "%s: a variable of the package that starts empty", s.at(v))
	for _, x := range v.Values {
		if u, ok := x.(*ast.UnaryExpr); ok {
			x = u.X
		}
		switch x := x.(type) {
		case *ast.CompositeLit, *ast.BasicLit, *ast.FuncLit:
		case *ast.CallExpr:
			require.Regexp(t, `^(\w+\.Must\w*|flag\.Bool|errors\.New|fmt\.Errorf|strings\.NewReplacer|\[\]byte|)$|Table$`, called(x), "%s: a variable of the package", s.at(v))
		default:
			t.Errorf("%s: a variable of the package", s.at(v))
		}
	}
}

func TestDocumented(t *testing.T) {
	packages := map[string]bool{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		packages[s.dir] = packages[s.dir] || s.ast.Doc != nil
		if !s.public() || s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no comment", s.at(d), name)
			}
		}
	}
	for dir, ok := range packages {
		require.True(t, ok, "package %s has no comment", dir)
	}
}

func undocumented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && !receiverExported(d) || !d.Name.IsExported() || d.Doc != nil {
			return nil
		}
		return []string{d.Name.Name}
	case *ast.GenDecl:
		var list []string
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					list = append(list, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						list = append(list, n.Name)
					}
				}
			}
		}
		return list
	}
	return nil
}

func receiverExported(d *ast.FuncDecl) bool {
	x := d.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	if generic, ok := x.(*ast.IndexExpr); ok {
		x = generic.X
	}
	id, ok := x.(*ast.Ident)
	return ok && id.IsExported()
}
