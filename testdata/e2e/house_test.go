package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "mailblast/"
	root   = "../.."
)

// pending is what does not keep the rules of the house yet. A line that is no longer needed fails the test, too.
var pending = []string{}

// leaves are the packages that every room may import. They import nothing of ours.
var leaves = []string{"campaign/mail", "campaign/text"}

// rooms says what each package may import of ours besides the leaves. "campaign/..." is campaign and all that is below
// it.
var rooms = map[string][]string{
	"":                           {"cmd"},
	"cmd":                        {"cmd/...", "campaign/...", "store/...", "sender/..."},
	"cmd/plan":                   {"campaign/...", "store/...", "sender/..."},
	"campaign":                   {"campaign/finding", "campaign/list/address"},
	"campaign/finding":           {},
	"campaign/list":              {"campaign/finding", "campaign/list/address"},
	"campaign/list/address":      {},
	"campaign/mail":              {},
	"campaign/message":           {"campaign", "campaign/finding", "campaign/list", "campaign/list/address", "campaign/message/..."},
	"campaign/message/header":    {"campaign/list/address"},
	"campaign/message/markup":    {},
	"campaign/message/plaintext": {},
	"campaign/text":              {},
	"store":                      {},
	"store/sqlite":               {"store"},
	"store/storetest":            {"store"},
	"sender":                     {"store", "sender/..."},
	"sender/pace":                {"store"},
	"sender/reply":               {},
	"sender/sink":                {"sender/reply"},
	"sender/smtp":                {"sender/reply"},
}

// Drivers, and the interface to them, are known to the rooms of their databases only.
var (
	drivers   = []string{"database/sql", "database/sql/driver", "github.com/mattn/go-sqlite3"}
	databases = []string{"store/sqlite"}
)

const (
	maxFile = 400 // lines, outside tests
	maxFunc = 60  // lines between the braces, but for those of tables
)

// The house is as it was planned: who imports whom, and how long files and functions are.
func TestHouse(t *testing.T) {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	checkImports(t, report)
	checkSources(t, report)
	slices.Sort(found)
	for _, f := range slices.Compact(found) {
		if !slices.Contains(pending, f) {
			t.Error(f)
		}
	}
	for _, p := range pending {
		if !slices.Contains(found, p) {
			t.Errorf("no longer pending: %s", p)
		}
	}
}

// checkImports holds the import graph against the rooms.
func checkImports(t *testing.T, report func(string, ...any)) {
	t.Helper()
	seen := map[string]bool{}
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...") {
		words := strings.Fields(line)
		room := strings.TrimPrefix(words[0]+"/", module)
		room = strings.TrimSuffix(room, "/")
		seen[room] = true
		may, known := rooms[room]
		if !known {
			report("%s is a new room: rooms is to say what it may import", room)
		}
		for _, imported := range words[1:] {
			name, ours := strings.CutPrefix(imported, module)
			switch {
			case imported == "html/template" && strings.HasPrefix(room, "campaign"): // it replaces values by ZgotmplZ
				report("%s imports %s", room, imported)
			case slices.Contains(drivers, imported) && !slices.Contains(databases, room):
				report("%s imports %s", room, imported)
			case ours && !slices.Contains(leaves, name) && !slices.ContainsFunc(may, func(pattern string) bool { return matches(pattern, name) }):
				report("%s imports %s", room, name)
			}
		}
	}
	for room := range rooms {
		if !seen[room] {
			report("there is no room %s", room)
		}
	}
	for _, imported := range goList(t, "-deps", module+"sender") {
		if strings.Contains(imported, "sqlite") {
			report("sender depends on %s", imported)
		}
	}
}

// matches tells whether a package is what a pattern names.
func matches(pattern, name string) bool {
	below, all := strings.CutSuffix(pattern, "/...")
	return name == below || all && strings.HasPrefix(name, below+"/")
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %q: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// checkSources reads every file.
func checkSources(t *testing.T, report func(string, ...any)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && file != root:
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(file) != ".go":
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if path.Dir(name) == "." && name != "main.go" {
			report("%s is in the root", name)
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		source, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		checkSource(name, files, source, report)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkSource(name string, files *token.FileSet, source *ast.File, report func(string, ...any)) {
	if files.File(source.FileStart).LineCount() > maxFile {
		report("%s is too long", name)
	}
	met := map[string]bool{}
	for _, i := range source.Imports {
		imported, _ := strconv.Unquote(i.Path.Value)
		if room, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(leaves, room) {
			if room, _, _ = strings.Cut(room, "/"); room != "cmd" {
				met[room] = true
			}
		}
	}
	if strings.HasPrefix(name, "cmd/") && !strings.HasPrefix(name, "cmd/plan/") && len(met) > 1 {
		report("%s imports two rooms", name)
	}
	for _, d := range source.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && bodyLines(files, f.Body) > maxFunc {
			report("%s: %s is too long", name, f.Name.Name)
		}
	}
}

// bodyLines counts the lines of a function's body, where a literal is one line and the lines of the functions in it.
func bodyLines(files *token.FileSet, body *ast.BlockStmt) int {
	span := func(n ast.Node) int { return files.Position(n.End()).Line - files.Position(n.Pos()).Line }
	lines := span(body) - 1
	var literals func(n ast.Node) bool
	literals = func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		lines -= span(literal)
		ast.Inspect(literal, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncLit)
			if ok {
				lines += span(f)
				ast.Inspect(f.Body, literals)
			}
			return !ok
		})
		return false
	}
	ast.Inspect(body, literals)
	return lines
}
