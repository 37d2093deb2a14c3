package message

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

// renderMarkdown turns Markdown (GitHub's flavour) into HTML. Template actions come through as they are, wherever they stand:
// in text, in the address of a link, in code. While goldmark works, a word of letters and digits stands for each action.
//
// Control actions alone on a line ({{ if .x }}, {{ end }}, {{ template "footer" . }}) stand between blocks and get no
// paragraph of their own: goldmark sees an HTML comment, which also ends a list or a paragraph above it. Between the rows of a
// table goldmark sees a row instead, which is taken out again.
//
// HTML in the Markdown stays, because the author wrote it. markup escapes what comes from the recipients.
func renderMarkdown(source string) (string, error) {
	a := hideActions(source)
	lines := strings.Split(a.source, "\n")
	lines = a.hideInTables(lines)
	for i, line := range lines {
		if content := strings.TrimSpace(line); a.isControlLine(content) {
			lines[i] = strings.Replace(line, content, "<!--"+content+"-->", 1)
		}
	}
	var out bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(strings.Join(lines, "\n")), &out); err != nil {
		return "", err
	}
	tokens := `((?:` + a.word + `[0-9]+z\s*)+)`
	result := regexp.MustCompile(`<tr>\n<td[^>]*><!--`+tokens+`--></td>\n(?:<td[^>]*></td>\n)*</tr>`).ReplaceAllString(out.String(), "$1")
	result = regexp.MustCompile(`(?:<!--|&lt;!--)`+tokens+`(?:-->|--&gt;)`).ReplaceAllString(result, "$1")
	result = regexp.MustCompile(`<`+a.word+`[0-9]+z>`).ReplaceAllStringFunc(result, a.autolink)
	return a.token.ReplaceAllStringFunc(result, a.action), nil
}

// hiddenActions are the template actions of a Markdown text, with a word in the place of each.
type hiddenActions struct {
	source  string // with the words
	word    string // begins each of them: word, the number of the action, z
	token   *regexp.Regexp
	actions []string
}

func hideActions(source string) *hiddenActions {
	a := &hiddenActions{word: "action"}
	for strings.Contains(source, a.word) {
		a.word += "x"
	}
	a.token = regexp.MustCompile(a.word + `[0-9]+z`)
	var marked strings.Builder
	for {
		start := strings.Index(source, "{{")
		if start < 0 {
			break
		}
		end := start + actionLength(source[start:])
		fmt.Fprintf(&marked, "%s%s%dz", source[:start], a.word, len(a.actions))
		a.actions = append(a.actions, source[start:end])
		source = source[end:]
	}
	marked.WriteString(source)
	a.source = marked.String()
	return a
}

// action is the action that a word stands for.
func (a *hiddenActions) action(token string) string {
	var n int
	fmt.Sscan(token[len(a.word):len(token)-1], &n)
	if n >= len(a.actions) {
		return token
	}
	return a.actions[n]
}

// isControlLine reports whether a line consists of control actions.
func (a *hiddenActions) isControlLine(content string) bool {
	if strings.Trim(a.token.ReplaceAllString(content, ""), " \t") != "" {
		return false
	}
	all := a.token.FindAllString(content, -1)
	for _, token := range all {
		if !isControl.MatchString(a.action(token)) {
			return false
		}
	}
	return len(all) > 0
}

// tableDelimiter matches the line below the head of a table (GitHub Flavored Markdown, section 4.10).
var tableDelimiter = regexp.MustCompile(`^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`)

// hideInTables makes rows of the control lines that begin and end between the rows of a table. Blank lines between them go,
// since they would end the table.
func (a *hiddenActions) hideInTables(lines []string) []string {
	var all []string
	for i := 0; i < len(lines); i++ {
		all = append(all, lines[i])
		if i == 0 || !tableDelimiter.MatchString(lines[i]) || !strings.Contains(lines[i-1], "|") {
			continue
		}
		end := a.tableEnd(lines, i+1)
		for i++; i < end; i++ {
			switch content := strings.TrimSpace(lines[i]); {
			case content == "":
			case a.isControlLine(content):
				all = append(all, "| <!--"+content+"--> |")
			default:
				all = append(all, lines[i])
			}
		}
		i--
	}
	return all
}

// tableEnd returns the end of a table whose rows begin at a line. What begins behind its last row, or ends what began before
// the table, does not belong to it.
func (a *hiddenActions) tableEnd(lines []string, from int) (end int) {
	depth := 0
	end = from
	for i := from; i < len(lines); i++ {
		content := strings.TrimSpace(lines[i])
		switch {
		case content == "" && depth > 0:
			continue
		case a.isControlLine(content):
			closed := false
			for _, token := range a.token.FindAllString(content, -1) {
				switch action := a.action(token); {
				case opensBlock.MatchString(action):
					depth++
				case closesBlock.MatchString(action):
					depth--
					closed = true
				}
			}
			if depth < 0 {
				return end
			}
			if !closed {
				continue
			}
		case !strings.Contains(content, "|"):
			return end
		}
		if depth == 0 {
			end = i + 1
		}
	}
	return end
}

var (
	opensBlock  = regexp.MustCompile(`^\{\{(?:- )?\s*(?:if|range|with|block|define)\b`)
	closesBlock = regexp.MustCompile(`^\{\{(?:- )?\s*end\b`)
)

// autolink makes a link of <{{ .url }}>, which goldmark takes for HTML (CommonMark 0.31, section 6.5).
func (a *hiddenActions) autolink(tag string) string {
	token := tag[1 : len(tag)-1]
	scheme := ""
	if action := a.action(token); strings.Contains(strings.ToLower(action), "mail") {
		scheme = "mailto:"
	}
	return fmt.Sprintf(`<a href="%s%s">%s</a>`, scheme, token, token)
}

// isControl matches an action that prints nothing by itself, or a whole template.
var isControl = regexp.MustCompile(`^\{\{(?:- )?\s*(?:(?:if|else|end|range|with|block|define|template|break|continue)\b|/\*|\$\w*\s*(?:,\s*\$\w+\s*)?:?=)`)

// actionLength returns the length of the well-formed action at the beginning of s.
func actionLength(s string) int {
	inner := strings.TrimLeft(strings.TrimPrefix(s[2:], "-"), " \t\n")
	if strings.HasPrefix(inner, "/*") {
		i := strings.Index(s, "*/")
		return i + strings.Index(s[i:], "}}") + 2
	}
	for i := 2; i < len(s); i++ {
		switch q := s[i]; q {
		case '"', '\'', '`':
			for i++; i < len(s) && s[i] != q; i++ {
				if s[i] == '\\' && q != '`' {
					i++
				}
			}
		case '}':
			if strings.HasPrefix(s[i:], "}}") {
				return i + 2
			}
		}
	}
	return len(s)
}

// markdownShell is the page around the Markdown of a campaign without a partial called layout.
const markdownShell = `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
</head>
<body style="margin: 0 auto; max-width: 40em; padding: 1em; font-family: sans-serif; line-height: 1.5">
{{ template "content" . }}</body>
</html>
`
