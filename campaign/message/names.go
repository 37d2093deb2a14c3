package message

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"mailblast/campaign/list"
	"mailblast/campaign/text"
)

// The names of fields are words of any script, and text/template takes only letters and digits after a dot: not the vowel signs
// of नाम, not the ² of größe_m², and no digit at the beginning. So the compiler writes letters of the same length in their place
// before it parses a template (hideNames), and the names back into the tree (showNames). Every position stays the same.

// isWordRune accepts what the name of a field is made of.
func isWordRune(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// isLexable reports whether text/template reads a name after a dot as one field.
func isLexable(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || i == 0 && '0' <= r && r <= '9' {
			return false
		}
	}
	return name != ""
}

// isNumber matches a name that is a number behind a dot: {{ .5 }} is a half, whatever the columns are.
var isNumber = regexp.MustCompile(`^[0-9][0-9_]*(?:[eEpP][0-9_]*)?i?$`)

// canFollowDot reports whether a template can take a field by its name and a dot.
func canFollowDot(name string) bool {
	return isLexable(name) || name != "" && strings.IndexFunc(name, func(r rune) bool { return !isWordRune(r) }) < 0 && !isNumber.MatchString(name)
}

// reference returns what a template writes for a field: its name after a dot, the easier one of two, or a call of index. row
// is "" where the dot is the row, and "$" elsewhere.
func (c *compiler) reference(row, name string) string {
	if snake := list.SnakeCase(name); !isLexable(name) && canFollowDot(snake) && slices.Contains(c.fields, snake) {
		name = snake
	}
	if canFollowDot(name) {
		return row + "." + name
	}
	if row == "" {
		row = "."
	}
	return "index " + row + " " + strconv.Quote(name)
}

// write returns the whole action that writes a field.
func (c *compiler) write(row, name string) string { return "{{ " + c.reference(row, name) + " }}" }

// nameColumn names a column for a hint, and says how a template takes it if its own name cannot follow a dot.
func (c *compiler) nameColumn(name string) string {
	const most = 80 // octets; nobody copies longer ones from a hint
	named := text.Quoted(name)
	if !isLexable(name) && len(name) <= most {
		named += " as " + c.reference("", name)
	}
	return named
}

// hideNames replaces the names of fields that text/template could not read, and returns what they were by what they are now.
func (c *compiler) hideNames(template string) (string, map[string]string) {
	was, stands := map[string]string{}, map[string]string{}
	var hidden []byte
	eachAction(template, func(a action) {
		for i := 0; i < len(a.code); i++ {
			if a.code[i] != '.' {
				continue
			}
			name := wordAt(a.code[i+1:])
			if isLexable(name) || !canFollowDot(name) || !slices.Contains(c.fields, norm.NFC.String(name)) {
				continue
			}
			if stands[name] == "" {
				stands[name] = standIn([]rune(name), func(s string) bool { return was[s] != "" || strings.Contains(template, s) })
			}
			if hidden == nil {
				hidden = []byte(template)
			}
			was[stands[name]] = norm.NFC.String(name)
			copy(hidden[a.start+i+1:], stands[name])
		}
	})
	if hidden == nil {
		return template, nil
	}
	return string(hidden), was
}

// wordAt returns the word that s begins with.
func wordAt(s string) string {
	if end := strings.IndexFunc(s, func(r rune) bool { return !isWordRune(r) }); end >= 0 {
		return s[:end]
	}
	return s
}

// standIns are ranges of letters, by their length in UTF-8, of scripts that few templates hold.
var standIns = [...]struct {
	first rune
	count int
}{1: {'A', 26}, 2: {'\u0250', 80}, 3: {'\ua000', 1000}, 4: {'\U00010400', 80}}

// standIn returns letters that are no longer in UTF-8 than a name, and that are not taken. It returns "" if there are none.
func standIn(name []rune, taken func(string) bool) string {
	for n := range 5000 {
		var b strings.Builder
		rest := n
		for _, r := range name {
			letters := standIns[utf8.RuneLen(r)]
			b.WriteRune(letters.first + rune(rest%letters.count))
			rest /= letters.count
		}
		if s := b.String(); !taken(s) {
			return s
		}
	}
	return ""
}

// showNames puts the names that hideNames has hidden into a tree.
func showNames(tree *parse.Tree, was map[string]string) {
	show := func(names []string) {
		for i, name := range names {
			if known, ok := was[name]; ok {
				names[i] = known
			}
		}
	}
	eachOperand(tree.Root, func(n parse.Node) {
		switch n := n.(type) {
		case *parse.FieldNode:
			show(n.Ident)
		case *parse.VariableNode:
			show(n.Ident[1:])
		case *parse.ChainNode:
			show(n.Field)
		}
	})
}

// eachOperand calls f with the operands of all pipelines of a tree.
func eachOperand(root parse.Node, f func(parse.Node)) {
	var operand func(n parse.Node)
	pipe := func(p *parse.PipeNode) {
		if p == nil {
			return
		}
		for _, cmd := range p.Cmds {
			for _, arg := range cmd.Args {
				operand(arg)
			}
		}
	}
	operand = func(n parse.Node) {
		f(n)
		switch n := n.(type) {
		case *parse.PipeNode:
			pipe(n)
		case *parse.ChainNode:
			operand(n.Node)
		}
	}
	eachNode(root, func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ActionNode:
			pipe(n.Pipe)
		case *parse.IfNode:
			pipe(n.Pipe)
		case *parse.WithNode:
			pipe(n.Pipe)
		case *parse.RangeNode:
			pipe(n.Pipe)
		case *parse.TemplateNode:
			pipe(n.Pipe)
		}
	})
}
