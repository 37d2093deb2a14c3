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
// paragraph of their own: goldmark sees an HTML comment, which also ends a list or a paragraph above it.
//
// HTML in the Markdown stays, because the author wrote it. markup escapes what comes from the recipients.
func renderMarkdown(source string) (string, error) {
	word := "action"
	for strings.Contains(source, word) {
		word += "x"
	}
	var marked strings.Builder
	var actions []string
	token := func(i int) string { return fmt.Sprintf("%s%dz", word, i) }
	for {
		start := strings.Index(source, "{{")
		if start < 0 {
			break
		}
		end := start + actionLength(source[start:])
		marked.WriteString(source[:start])
		marked.WriteString(token(len(actions)))
		actions = append(actions, source[start:end])
		source = source[end:]
	}
	marked.WriteString(source)

	lines := strings.Split(marked.String(), "\n")
	alone := regexp.MustCompile(`^(` + word + `[0-9]+z\s*)+$`)
	number := regexp.MustCompile(word + `([0-9]+)z`)
	for i, line := range lines {
		content := strings.TrimSpace(line)
		if !alone.MatchString(content) {
			continue
		}
		control := true
		for _, t := range number.FindAllStringSubmatch(content, -1) {
			var n int
			fmt.Sscan(t[1], &n)
			control = control && isControl.MatchString(actions[n])
		}
		if control {
			lines[i] = strings.Replace(line, content, "<!--"+content+"-->", 1)
		}
	}

	var out bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(strings.Join(lines, "\n")), &out); err != nil {
		return "", err
	}
	comments := regexp.MustCompile(`(?:<!--|&lt;!--)((?:` + word + `[0-9]+z\s*)+)(?:-->|--&gt;)`)
	result := comments.ReplaceAllString(out.String(), "$1")
	return number.ReplaceAllStringFunc(result, func(t string) string {
		var n int
		fmt.Sscan(t[len(word):len(t)-1], &n)
		if n >= len(actions) {
			return t
		}
		return actions[n]
	}), nil
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
