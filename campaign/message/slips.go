package message

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A slipFinder looks for what people, editors and the templates of other programs put into actions, and what text/template
// refuses in words that help nobody: &quot; for a quotation mark, a no-break space, {{ .First-Name }}, {{#if …}}. It replaces
// each by something of the same length that can be parsed, so that every other fault of the template is found as well.
type slipFinder struct {
	compiler *compiler
	file     string
	mended   []byte
	declared map[string]bool // variables, with their $
	open     openBlocks      // around the action
	found    bool
}

// catchSlips reports the slips in the actions of a template, and returns the template without them.
func (c *compiler) catchSlips(file, template string) string {
	if !strings.Contains(template, "{{") {
		return template
	}
	s := &slipFinder{compiler: c, file: file, mended: []byte(template), declared: map[string]bool{}}
	eachAction(template, func(a action) {
		if !strings.Contains(a.code, ":=") {
			return
		}
		for _, d := range declaration.FindAllStringSubmatch(a.code, -1) {
			s.declared[d[1]], s.declared[d[2]] = true, true
		}
	})
	eachAction(template, func(a action) {
		if !isPlain(a.code) {
			s.foreignBlock(&a)
			s.characters(&a)
			s.operators(&a)
			s.names(&a)
		}
		s.open.follow(a)
	})
	if !s.found {
		return template
	}
	c.slipped[file] = true
	return string(s.mended)
}

var declaration = regexp.MustCompile(`(\$[\pL\pN_]+)\s*(?:,\s*(\$[\pL\pN_]+)\s*)?:=`)

// isPlain reports that an action has nothing in it that could be a slip, as most have not: only words, text constants, and the
// marks of pipelines. What is wrong with its words is found by the checker.
func isPlain(code string) bool {
	before := ' '
	for _, r := range code {
		switch {
		case unicode.IsLetter(r) || r == '_':
			if '0' <= before && before <= '9' || before == '"' || before == '\'' || before == '`' { // perhaps 2nd_name, or Ada's name
				return false
			}
		case '0' <= r && r <= '9':
			if before == '.' {
				return false
			}
		case !strings.ContainsRune(" \t\n.|(),\"'`\x00", r):
			return false
		}
		before = r
	}
	return true
}

// report reports a slip at an octet of the action's code.
func (s *slipFinder) report(a *action, at int, message, hint string) {
	s.found = true
	s.compiler.reportAt(s.file, a.start+at, message, hint)
}

// replace writes over a part of the action, and fills up with spaces.
func (s *slipFinder) replace(a *action, from, to int, with string) {
	part := s.mended[a.start+from : a.start+to]
	for i := copy(part, with); i < len(part); i++ {
		part[i] = ' '
	}
	a.text = string(s.mended[a.start:a.end()])
	a.code, _ = scanAction(a.text)
}

// blocks are what other programs write for {{ if }} and the like, by the mark that begins it.
var blocks = map[byte]string{
	'#': `as in {{ if .city }} … {{ end }}, or {{ range split ";" .items }} … {{ end }}`,
	'^': "as in {{ if not .city }} … {{ end }}",
	'/': "a block ends with {{ end }}",
	'>': `as in {{ template "footer" . }}, with the file under partials:`,
	'!': "a comment is {{/* … */}}",
	'%': "as in {{ if .city }} … {{ end }}",
	'&': "as in {{ .city }}",
	'{': "two braces are enough, as in {{ .city }}",
	'@': "as in {{ .city }}",
}

// foreignBlock reports an action in the language of another program.
func (s *slipFinder) foreignBlock(a *action) {
	at := len(a.code) - len(strings.TrimLeft(a.code, " \t\n"))
	if at == len(a.code) || blocks[a.code[at]] == "" || entity.FindStringIndex(a.code[at:]) != nil && a.code[at] == '&' {
		return
	}
	mark := a.code[at]
	hint := blocks[mark]
	word := strings.Trim(a.code[at+1:], " \t\n{}&")
	if name := s.compiler.guessForeign(word); name != "" && strings.IndexByte("{&@", mark) >= 0 {
		hint = "write " + s.compiler.write(s.open.row(), name)
	} else if strings.HasPrefix(a.code[at:], "/*") {
		hint = "a comment has no space behind the braces: {{/* … */}}"
	}
	s.report(a, at, fmt.Sprintf("%q begins no action", mark), hint)
	s.replace(a, 0, len(a.code), " .")
}

var (
	entity = regexp.MustCompile(`&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);`)
	tag    = regexp.MustCompile(`</?[a-zA-Z][^<>]*>|<!--|-->`)
)

// characters reports what an editor of HTML or of texts has put into an action.
func (s *slipFinder) characters(a *action) {
	for at := entity.FindStringIndex(a.code); at != nil; at = entity.FindStringIndex(a.code) {
		written, with := a.code[at[0]:at[1]], ""
		hint := "write the character itself"
		switch written {
		case "&quot;", "&#34;", "&ldquo;", "&rdquo;", "&bdquo;":
			with, hint = `"`, `write "`
		case "&nbsp;", "&#160;", "&#xA0;", "&#xa0;":
			hint = "write an ordinary space"
		}
		s.report(a, at[0], written+" stands inside an action", hint)
		s.replaceAll(a, written, with)
	}
	for at := tag.FindStringIndex(a.code); at != nil; at = tag.FindStringIndex(a.code) {
		s.report(a, at[0], fmt.Sprintf("%q stands inside an action", a.code[at[0]:at[1]]), "put it before the {{ or behind the }}")
		s.replace(a, at[0], at[1], "")
	}
	for {
		at := strings.IndexFunc(a.code, isForeign)
		if at < 0 {
			return
		}
		r, n := utf8.DecodeRuneInString(a.code[at:])
		with, message, hint := "", fmt.Sprintf("%q (%U) stands inside an action", r, r), "remove it"
		switch {
		case strings.ContainsRune(quotes, r):
			with, hint = `"`, `write the straight "`
		case strings.ContainsRune("‘’‚‛′", r):
			hint = `a text stands between straight ", and a name holds no such mark`
		case unicode.IsSpace(r):
			message, hint = fmt.Sprintf("a space that is none for a template (%U) stands inside an action", r), "write an ordinary space"
			if r == '\u00a0' {
				message = "a no-break space (U+00A0) stands inside an action"
			}
		}
		s.report(a, at, message, hint)
		s.replaceAll(a, a.code[at:at+n], with)
		for i := strings.IndexAny(a.code, quotes); with != "" && i >= 0; i = strings.IndexAny(a.code, quotes) {
			_, n := utf8.DecodeRuneInString(a.code[i:])
			s.replace(a, i, i+n, with)
		}
	}
}

// quotes are what word processors make of a straight quotation mark.
const quotes = "“”„‟«»″＂"

// replaceAll replaces every occurrence of a part that was reported once.
func (s *slipFinder) replaceAll(a *action, part, with string) {
	for at := strings.Index(a.code, part); at >= 0; at = strings.Index(a.code, part) {
		s.replace(a, at, at+len(part), with)
	}
}

// isForeign accepts characters outside ASCII that no name holds.
func isForeign(r rune) bool { return r >= utf8.RuneSelf && !isWordRune(r) }

// operator matches an operator of other languages. Its groups tell which one.
var operator = regexp.MustCompile(`==|!=|&&|\|\||<=|>=|<|>|!`)

// spoken are the functions for operators.
var spoken = map[string]string{
	"==": `eq .city "Rome"`, "!=": `ne .city "Rome"`, "&&": "and .city .items", "||": "or .city .items", "!": "not .city",
	"<": "lt (len .city) 5", ">": "gt (len .city) 5", "<=": "le (len .city) 5", ">=": "ge (len .city) 5",
}

// assigned matches what stands before the = of an assignment.
var assigned = regexp.MustCompile(`\$[\pL\pN_]*\s*$`)

// colon matches the colon of Liquid before the arguments of a function.
var colon = regexp.MustCompile(`[\pL\pN_]\s*(:)(?:[^=]|$)`)

// operators reports operators, which templates write as functions in front.
func (s *slipFinder) operators(a *action) {
	for at := operator.FindStringIndex(a.code); at != nil; at = operator.FindStringIndex(a.code) {
		op := a.code[at[0]:at[1]]
		s.report(a, at[0], fmt.Sprintf("there is no operator %s", op), "a function stands in its place, as in "+spoken[op])
		s.replaceAll(a, op, "")
	}
	for at, c := range a.code {
		if c == '=' && !strings.HasSuffix(a.code[:at], ":") && !assigned.MatchString(a.code[:at]) {
			s.report(a, at, "= compares nothing", "a function stands in its place, as in "+spoken["=="])
			s.replace(a, at, at+1, "")
			break
		}
	}
	for at := colon.FindStringSubmatchIndex(a.code); at != nil; at = colon.FindStringSubmatchIndex(a.code) {
		s.report(a, at[2], "a colon stands inside an action", `what a function works with follows it after a space, as in {{ .city | default "Rome" }}`)
		s.replace(a, at[2], at[3], "")
	}
}

var (
	keyword  = regexp.MustCompile(`^\s*(?:(?:else\s+)?(?:if|with|range)|else|end|block|define|template|break|continue)\b`)
	variable = regexp.MustCompile(`\$[\pL_][\pL\pN_]*`)
	// hyphened matches words that a hyphen joins, which a template takes for a name and a negative number.
	hyphened = regexp.MustCompile(`[.$]*[\pL_][\pL\pN\pM_]*(?:-[\pL\pN\pM_]+)+`)
	dotted   = regexp.MustCompile(`\.[\pL\pN\pM_]+`)
)

// names reports names of fields that cannot be parsed.
func (s *slipFinder) names(a *action) {
	begin := 0
	if at := keyword.FindStringIndex(a.code); at != nil {
		begin = at[1]
	}
	for from := begin; from <= len(a.code); {
		to := len(a.code)
		if pipe := strings.IndexByte(a.code[from:], '|'); pipe >= 0 {
			to = from + pipe
		}
		s.phrase(a, from, to)
		from = to + 1
	}
	for _, at := range hyphened.FindAllStringIndex(a.code, -1) {
		written := a.code[at[0]:at[1]]
		name := strings.TrimLeft(written, ".$")
		if before, _ := utf8.DecodeLastRuneInString(a.code[:at[0]]); name == written && isWordRune(before) {
			continue // the exponent of a number
		}
		if guess := s.compiler.guess(name); guess != "" {
			s.field(a, at[0], at[1], guess)
			continue
		}
		s.report(a, at[0], fmt.Sprintf("unknown field %q", name), s.compiler.suggest(name))
		s.replace(a, at[0], at[1], ".")
	}
	for _, at := range variable.FindAllStringIndex(a.code, -1) {
		name := a.code[at[0]:at[1]]
		if guess := s.compiler.guess(name[1:]); guess != "" && !s.declared[name] {
			s.field(a, at[0], at[1], guess)
		}
	}
	for _, at := range dotted.FindAllStringIndex(a.code, -1) {
		name := a.code[at[0]+1 : at[1]]
		if isLexable(name) || isNumber.MatchString(name) || slices.Contains(s.compiler.fields, norm.NFC.String(name)) {
			continue
		}
		s.report(a, at[0], fmt.Sprintf("unknown field %q", name), s.compiler.suggest(name))
		s.replace(a, at[0], at[1], ".")
	}
}

// phrase reports a whole operand that is the name of a field for a person, but not for a template. Words that can be parsed are
// left to the checker.
func (s *slipFinder) phrase(a *action, from, to int) {
	written := a.code[from:to]
	from += len(written) - len(strings.TrimLeft(written, " \t\n"))
	written = strings.TrimSpace(written)
	name := strings.TrimLeft(written, ".$")
	first := wordAt(name)
	if first == "" || name == written && isFunction(first) || strings.ContainsRune(name, 0) || strings.IndexFunc(name, isUnusual) < 0 && isLexable(first) {
		return
	}
	parsed := parse.New("")
	parsed.Mode = parse.SkipFuncCheck
	if _, err := parsed.Parse("{{ $x := 0 }}{{ "+hide(written)+" }}", "", "", map[string]*parse.Tree{}); err == nil && !strings.Contains(written, "(") {
		return
	}
	if guess := s.compiler.guess(name); guess != "" && !slices.Contains(s.compiler.fields, norm.NFC.String(first)) {
		s.field(a, from, from+len(written), guess)
	}
}

// isUnusual accepts what stands in no operand that can be parsed.
func isUnusual(r rune) bool {
	return r != ' ' && r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// hide makes the words of a phrase ones that can be parsed, whatever their letters.
func hide(written string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && isWordRune(r) {
			return 'x'
		}
		return r
	}, written)
}

// field reports something that stands for a field, and puts the dot in its place.
func (s *slipFinder) field(a *action, from, to int, name string) {
	written := a.code[from:to]
	s.report(a, from, fmt.Sprintf("%q is no field", written), mendField(written, s.compiler.write(s.open.row(), name)))
	s.replace(a, from, to, ".")
}

// openBlocks are the keywords of the blocks around a place in a template.
type openBlocks []string

// follow keeps account of the blocks that begin and end.
func (o *openBlocks) follow(a action) {
	switch word := wordAt(strings.TrimLeft(a.code, " \t\n")); word {
	case "end":
		*o = (*o)[:max(0, len(*o)-1)]
	case "if", "with", "range", "block", "define":
		*o = append(*o, word)
	}
}

// row returns how a template reaches the fields of the row in the place at hand.
func (o openBlocks) row() string {
	for _, word := range slices.Backward(o) {
		switch word {
		case "with", "range":
			return "$"
		case "define", "block":
			return ""
		}
	}
	return ""
}
