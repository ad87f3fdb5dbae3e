// Package securesocket_test holds the product to its own architecture: which room may import which, and the few
// habits that a compiler does not check. ARCHITECTURE.md draws the arrows; the tables below are the same drawing,
// with the reason that a failing build prints.
//
// The sources are parsed rather than listed by the go command, so that a failure names the file and line, and so
// that files for other platforms are judged too.
package securesocket_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const (
	module   = "securesocket"
	grpc     = "google.golang.org/grpc"
	protobuf = "google.golang.org/protobuf"
	maxLines = 600
)

// arrow limits what the packages of one room import outside their tests. Never is followed through our own packages:
// a package in between hides nothing. Only, where set, lists all of our own packages that may be imported directly.
type arrow struct {
	room  string
	never []string
	only  []string
	why   string
}

var arrows = []arrow{
	{room: "gen", only: []string{"gen"},
		why: "generated code is the wire contract and nothing else; it must compile alone"},
	{room: "tlsengine", never: own("gen", "session", "server", "client", "cmd", grpc),
		why: "the engine does one handshake and judges one chain; it knows no session, no ID and no RPC"},
	{room: "session", never: own("gen", "server", "client", "cmd", grpc, protobuf),
		why: "a session is testable without a wire; the server translates"},
	{room: "server", never: own("client", "cmd"),
		why: "server and client meet only in gen"},
	{room: "client", never: own("server", "session", "tlsengine", "cmd"),
		why: "a caller's program must not carry the service; an embedded one is made in cmd or in servertest"},
	{room: "cmd/securesocketd", only: []string{"cmd", "gen", "server", "session", "tlsengine"},
		why: "the service is wiring over server and session; it is not its own caller"},
	{room: "cmd/securesocket", only: []string{"cmd", "client", "gen", "server", "session"},
		why: "the command line is a caller like any other; server and session are for the embedded service alone"},
}

// flagPackages read flags or files of configuration.
var flagPackages = []string{"flag", "github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/knadh/koanf"}

// processCalls end the process or read its environment.
var processCalls = []string{
	"os.Exit", "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "log.Fatal", "log.Fatalf", "log.Fatalln",
}

// longFiles names each file that may pass maxLines, with the reason why splitting it by subject would hurt.
var longFiles = map[string]string{}

// heavy are modules that a room must not bring along even through somebody else's package.
var heavy = map[string][]string{
	"tlsengine": {grpc},
	"session":   {grpc, protobuf},
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, v := range check(os.DirFS("."), longFiles) {
		t.Error(v)
	}
}

func TestRoomsCarryNothingHeavy(t *testing.T) {
	t.Parallel()
	// Read for the test cache alone: a dependency that changes must run this again.
	_, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	for room, modules := range heavy {
		if files, _ := fs.Glob(os.DirFS(room), "*.go"); len(files) == 0 {
			t.Logf("%s: no package yet", room)
			continue
		}
		out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "./"+room).Output()
		require.NoError(t, err, "go list -deps ./%s", room)
		for dep := range strings.FieldsSeq(string(out)) {
			if under(dep, modules...) {
				t.Errorf("%s: carries %s (go list -deps ./%s): whoever imports the room would pay for it; "+
					"move the part that needs it into a package below the room", room, dep, room)
			}
		}
	}
}

// TestRulesCatch breaks each rule once in a made-up tree: a rule that cannot fail guards nothing.
func TestRulesCatch(t *testing.T) {
	t.Parallel()
	const tls = `import "crypto/tls"; `
	tests := []struct {
		rule, path, source string
		more               map[string]string
	}{
		{rule: "arrow", path: "gen/v1/a.go", source: `import "securesocket/session"`},
		{rule: "arrow", path: "tlsengine/a.go", source: `import "google.golang.org/grpc/codes"`},
		{rule: "arrow", path: "session/a_windows.go", source: `import "google.golang.org/protobuf/proto"`},
		{rule: "arrow", path: "server/servertest/a.go", source: `import "securesocket/client"`},
		{rule: "arrow", path: "client/a.go", source: `import "securesocket/tlsengine"`},
		{rule: "arrow", path: "cmd/securesocketd/a.go", source: `import "securesocket/client"`},
		{rule: "arrow", path: "cmd/securesocket/a.go", source: `import "securesocket/tlsengine"`},
		{rule: "arrow", path: "internal/x/a.go", source: `import "securesocket/server"`,
			more: map[string]string{"client/b.go": `import "securesocket/internal/x"`}},
		{rule: "kit", path: "server/a.go", source: `import "securesocket/tlsengine/tlstest"`},
		{rule: "kit", path: "session/a.go", source: `import "securesocket/tlsengine/tlstest/hostile"`},
		{rule: "flags", path: "server/a.go", source: `import _ "github.com/spf13/cobra"`},
		{rule: "process", path: "session/a.go", source: `import o "os"; func f() { o.Exit(1) }`},
		{rule: "skip-verify", path: "cmd/securesocket/demo.go", source: tls + `var c = tls.Config{InsecureSkipVerify: true}`},
		{rule: "skip-verify", path: "tlsengine/a.go", source: `func f() {}`},
		{rule: "skip-verify", path: "tlsengine/b.go", source: tls + `func g(c *tls.Config) { c.InsecureSkipVerify = true }`,
			more: map[string]string{"tlsengine/a.go": tls + `func f(c *tls.Config) { c.InsecureSkipVerify = true }`}},
		{rule: "lines", path: "session/a_test.go", source: strings.Repeat("\n", maxLines)},
		{rule: "doc", path: "session/a.go", source: "-"},
		{rule: "parse", path: "session/a.go", source: `func {`},
	}
	for _, tc := range tests {
		t.Run(tc.rule+" "+tc.path, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{}
			add := func(name, source string) {
				text := "// Package p is made up.\npackage p; " + source
				if source == "-" {
					text = "package p"
				}
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			add(tc.path, tc.source)
			for name, source := range tc.more {
				add(name, source)
			}
			var rules []string
			for _, v := range check(tree, nil) {
				if v.path == tc.path {
					rules = append(rules, v.rule)
				}
			}
			require.Contains(t, rules, tc.rule)
		})
	}

	t.Run("what is allowed", func(t *testing.T) {
		t.Parallel()
		const doc = "// Package p is made up.\npackage p; "
		const skip = `import "crypto/tls"; func f(c *tls.Config) { c.InsecureSkipVerify = true }`
		tree := fstest.MapFS{}
		for name, source := range map[string]string{
			"client/a_test.go":         `import ("flag"; "os"; "securesocket/server/servertest"); var _ = os.Getenv("CI")`,
			"server/servertest/kit.go": `import "securesocket/tlsengine/tlstest"`,
			"server/servertest/x/k.go": `import "securesocket/tlsengine/tlstest"`,
			"tlsengine/a.go":           skip,
			"tlsengine/tlstest/kit.go": skip,
			"cmd/securesocket/main.go": `import ("flag"; "os"; "securesocket/server"); func main() { os.Exit(1) }`,
			"gen/v1/long.go":           strings.Repeat("\n", 2*maxLines),
			"session/long.go":          strings.Repeat("\n", maxLines),
		} {
			tree[name] = &fstest.MapFile{Data: []byte(doc + source)}
		}
		require.Empty(t, check(tree, map[string]string{"session/long.go": "made up"}))
	})
}

// violation is one broken rule, where it is broken and why the rule is there.
type violation struct {
	path string
	line int
	rule string
	why  string
}

func (v violation) String() string {
	return fmt.Sprintf("%s:%d: [%s] %s", v.path, v.line, v.rule, v.why)
}

// isKit says of a folder whether its package is made for tests, by the convention of its name (servertest, tlstest) or of
// one that it is in.
func isKit(dir string) bool {
	return slices.ContainsFunc(strings.Split(dir, "/"), func(name string) bool { return strings.HasSuffix(name, "test") })
}

// source is one Go file.
type source struct {
	path, dir string
	test, kit bool
	lines     int
	file      *ast.File
	fset      *token.FileSet
}

func (s *source) at(pos token.Pos, rule, format string, args ...any) violation {
	return violation{s.path, s.fset.Position(pos).Line, rule, fmt.Sprintf(format, args...)}
}

// imports yields each imported path with its position.
func (s *source) imports(yield func(string, token.Pos) bool) {
	for _, spec := range s.file.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil && !yield(name, spec.Pos()) {
			return
		}
	}
}

func check(fsys fs.FS, long map[string]string) []violation {
	sources, found := load(fsys)
	found = append(found, checkArrows(sources)...)
	found = append(found, checkSkipVerify(sources)...)
	documented, first := map[string]bool{}, map[string]*source{}
	for _, s := range sources {
		if under(s.dir, "gen") {
			continue
		}
		if s.lines > maxLines && long[s.path] == "" {
			found = append(found, violation{s.path, s.lines, "lines", fmt.Sprintf(
				"%d lines; a file holds one concept in at most %d: split it by subject, or give a reason in longFiles", s.lines, maxLines)})
		}
		if s.test {
			continue
		}
		found = append(found, checkProcess(s)...)
		if first[s.dir] == nil {
			first[s.dir] = s
		}
		documented[s.dir] = documented[s.dir] || strings.TrimSpace(s.file.Doc.Text()) != ""
	}
	for dir, s := range first {
		if !documented[dir] {
			found = append(found, s.at(s.file.Package, "doc",
				"no file of package %s has a package comment: say what it does, what it does not, concurrency, errors", dir))
		}
	}
	slices.SortFunc(found, func(a, b violation) int { return strings.Compare(a.String(), b.String()) })
	return found
}

// load parses every Go file of the main module, generated ones and tests included.
func load(fsys fs.FS) (sources []*source, found []violation) {
	fset := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case d.IsDir() && name != ".":
			_, nested := fs.Stat(fsys, path.Join(name, "go.mod"))
			if nested == nil || base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules" {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			found = append(found, violation{name, 1, "parse", err.Error()})
			return nil
		}
		dir := path.Dir(name)
		sources = append(sources, &source{
			path: name, dir: dir, file: file, fset: fset,
			test:  strings.HasSuffix(name, "_test.go"),
			kit:   isKit(dir),
			lines: strings.Count(strings.TrimSuffix(string(text), "\n"), "\n") + 1,
		})
		return nil
	})
	if err != nil {
		found = append(found, violation{".", 1, "parse", err.Error()})
	}
	return sources, found
}

func checkArrows(sources []*source) (found []violation) {
	packages := map[string][]*source{} // by folder, without tests
	for _, s := range sources {
		if s.test {
			continue
		}
		packages[s.dir] = append(packages[s.dir], s)
		for name, pos := range s.imports {
			if local, ours := strings.CutPrefix(name, module+"/"); ours && isKit(local) && !s.kit {
				found = append(found, s.at(pos, "kit", "imports %s: test kits are for tests and for each other", name))
			}
		}
	}
	for _, a := range arrows {
		reached := map[string]bool{}
		for dir := range packages {
			if under(dir, a.room) {
				found = append(found, follow(packages, dir, dir, a, reached)...)
			}
		}
	}
	return found
}

// follow checks the imports of the package in dir, and those of our packages below it, against a. Each package is
// visited once for a room; from names the package of the room that led there.
func follow(packages map[string][]*source, from, dir string, a arrow, reached map[string]bool) (found []violation) {
	if reached[dir] {
		return nil
	}
	reached[dir] = true
	for _, s := range packages[dir] {
		for name, pos := range s.imports {
			local, ours := strings.CutPrefix(name, module+"/")
			switch {
			case under(name, a.never...):
				found = append(found, s.at(pos, "arrow", "%s must not reach %s (from %s): %s", a.room, name, from, a.why))
			case ours && a.only != nil && !under(local, a.only...):
				found = append(found, s.at(pos, "arrow", "%s may import only %s of ours, not %s: %s",
					a.room, strings.Join(a.only, ", "), local, a.why))
			case ours && a.only == nil:
				found = append(found, follow(packages, from, local, a, reached)...)
			}
		}
	}
	return found
}

// checkProcess keeps flags, configuration, the environment and the exit in cmd.
func checkProcess(s *source) (found []violation) {
	if under(s.dir, "cmd") {
		return nil
	}
	for name, pos := range s.imports {
		if under(name, flagPackages...) {
			found = append(found, s.at(pos, "flags", "imports %s: only cmd reads flags and configuration; take a Config", name))
		}
	}
	if s.kit {
		return found
	}
	names := map[string]string{} // the file's name for a package -> its path
	for _, spec := range s.file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if spec.Name != nil {
			names[spec.Name.Name] = name
		} else {
			names[path.Base(name)] = name
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(processCalls, names[id.Name]+"."+sel.Sel.Name) {
				found = append(found, s.at(n.Pos(), "process", "%s.%s: only cmd exits and reads the environment; return an error, take a Config",
					names[id.Name], sel.Sel.Name))
			}
		}
		return true
	})
	return found
}

// checkSkipVerify allows InsecureSkipVerify in one function of tlsengine: the one that puts our validation in the
// place of crypto/tls's. A second place would be a second decision on whom to trust.
func checkSkipVerify(sources []*source) (found []violation) {
	var engine *source
	var holder string
	for _, s := range sources {
		if s.test || s.kit {
			continue
		}
		if s.dir == "tlsengine" && engine == nil {
			engine = s
		}
		for _, decl := range s.file.Decls {
			function := "no function"
			if f, ok := decl.(*ast.FuncDecl); ok {
				function = f.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); !ok || id.Name != "InsecureSkipVerify" {
					return true
				}
				here := fmt.Sprintf("%s (%s)", s.path, function)
				switch {
				case !under(s.dir, "tlsengine"):
					found = append(found, s.at(n.Pos(), "skip-verify", "InsecureSkipVerify: only tlsengine may replace verification"))
				case holder != "" && holder != here:
					found = append(found, s.at(n.Pos(), "skip-verify", "InsecureSkipVerify: %s has it already, and one function may", holder))
				default:
					holder = here
				}
				return true
			})
		}
	}
	if engine != nil && holder == "" {
		found = append(found, engine.at(engine.file.Package, "skip-verify",
			"no function of tlsengine mentions InsecureSkipVerify: crypto/tls would end a handshake before our report is made"))
	}
	return found
}

// own turns the names of rooms into import paths; a path with a dot in it stays as it is.
func own(names ...string) []string {
	for i, name := range names {
		if !strings.Contains(name, ".") {
			names[i] = module + "/" + name
		}
	}
	return names
}

// under reports whether name is one of the paths or lies below one.
func under(name string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}
