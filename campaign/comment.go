package campaign

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/text"
)

// uncut reads a value of free text, after it has looked for a comment that may be a part of it.
func uncut(p *parser, read func(string, *yaml.Node)) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		p.checkComment(path, n)
		read(path, n)
	}
}

// checkComment reports a text without quotation marks that ends at a #: for YAML, a # after a space begins a comment, and
// subject: Sale #1 is Sale. A # that stands between words like a part of the text is an error. Where it could be a comment just
// as well, there is a warning, and a comment that stands apart is one.
func (p *parser) checkComment(path string, n *yaml.Node) {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	comment, _, _ := strings.Cut(n.LineComment, "\n")
	if n.Kind != yaml.ScalarNode || n.Style&quoted != 0 || comment == "" || n.Value == "" {
		return
	}
	apart, word := p.standsApart(n.Line, comment), len(comment) > 1 && !strings.ContainsAny(comment[1:2], " \t#")
	if apart && !word {
		return
	}
	message := fmt.Sprintf("%s: %s ends before the #, with which YAML begins a comment", path, text.Quoted(n.Value))
	hint := fmt.Sprintf("if %s belongs to it, write '%s'", text.Quoted(comment), strings.ReplaceAll(n.Value+" "+comment, "'", "''"))
	if word && !apart {
		p.report(positionOf(n), message, hint+"; a comment has a space behind its #")
		return
	}
	f := p.file.At(path, message)
	f.Hint = hint + "; if it is a comment, put quotation marks around the text before it"
	p.file.Warnings = append(p.file.Warnings, f)
}

// standsApart reports whether more than one space stands before a comment, which is in that line, or in one of those below in
// which the text goes on.
func (p *parser) standsApart(line int, comment string) bool {
	for i, l := range bytes.Split(p.source, []byte("\n")) {
		if i < line-1 {
			continue
		}
		if before, _, found := bytes.Cut(l, []byte(comment)); found {
			return bytes.HasSuffix(before, []byte("  ")) || bytes.HasSuffix(before, []byte("\t"))
		}
	}
	return false
}
