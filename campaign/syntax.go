package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/text"
)

// maxFile bounds a campaign file. The YAML parser refuses more than 10,000 levels by itself, and aliases are followed one
// step at a time and never copied, so the memory stays in proportion to the file.
const maxFile = 1 << 20 // octets

// A position is a line and a column, both from 1, the column in characters.
type position struct{ line, column int }

func positionOf(n *yaml.Node) position { return position{n.Line, n.Column} }

// decodeYAML reads the only document of a campaign file.
func decodeYAML(source []byte) (*yaml.Node, *syntaxFault) {
	if len(source) > maxFile {
		f := fault{problem: fmt.Sprintf("the file is larger than %d octets", maxFile), hint: "is it a campaign file?"}
		return nil, &syntaxFault{position{1, 1}, f}
	}
	if i := text.InvalidUTF8(source); i >= 0 {
		line, column := text.Position(source, i)
		return nil, &syntaxFault{position{line, column}, fault{problem: "the file is not valid UTF-8", hint: "save it in this encoding"}}
	}
	d := yaml.NewDecoder(bytes.NewReader(source))
	var document, second yaml.Node
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		f := fault{problem: "the campaign file is empty", hint: "mailblast init writes one to start from"}
		return nil, &syntaxFault{position{1, 1}, f}
	case err != nil:
		return nil, explainSyntax(source, err)
	}
	switch err := d.Decode(&second); {
	case errors.Is(err, io.EOF):
		return document.Content[0], nil
	case err != nil:
		return nil, explainSyntax(source, err)
	}
	f := fault{problem: "a second YAML document begins here", hint: "write one campaign a file"}
	return nil, &syntaxFault{positionOf(&second), f}
}

// A syntaxFault says why a file is not YAML that can be read any further.
type syntaxFault struct {
	at position
	fault
}

// syntaxHints say what to do, by a part of what the YAML parser says.
var syntaxHints = []struct{ problem, hint string }{
	{"mapping values are not allowed", "put a value with a colon in it into quotes, and check the indentation"},
	{"cannot start any token", "put a value that begins with this character into quotes"},
	{"tab character", "indent with spaces"},
	{"block sequence entries are not allowed", `standard input is written "-", in quotes`},
	{"did not find expected key", "check the indentation, and put a value that begins with a quotation mark, [ or { " +
		"into quotes as a whole"},
	{"unexpected end of stream", "a quotation mark is not closed"},
	{"expected ',' or", "a bracket is not closed"},
	{"could not find expected ':'", "write key: value, with a space after the colon"},
	{"unknown escape", `write \ as \\, or use single quotes`},
	{"unknown anchor", "put a value that begins with * into quotes"},
	{"control characters", "remove the invisible character"},
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// explainSyntax makes an error of the YAML parser a fault with its position and a hint.
func explainSyntax(source []byte, err error) *syntaxFault {
	match := syntaxLine.FindStringSubmatch(err.Error())
	if match == nil {
		match = []string{"", ""}
	}
	problem := strings.TrimPrefix(err.Error(), match[0])
	line := syntaxErrorLine(source, problem)
	if line == 0 {
		line, _ = strconv.Atoi(match[1])
	}
	f := fault{problem: text.QuoteControl(problem)}
	for _, h := range syntaxHints {
		if strings.Contains(problem, h.problem) {
			f.hint = h.hint
			break
		}
	}
	return &syntaxFault{position{max(line, 1), 1}, f}
}

// syntaxErrorLine finds the line of a syntax error, or returns 0 when the file is too long to search. The YAML parser names
// the line before, the line where the surrounding block began, or none. The true line is the first one from which on every
// longer beginning of the file has the same error: the line of a token out of place, or the line of the quotation mark or
// bracket that nothing closes.
func syntaxErrorLine(source []byte, problem string) int {
	const maxLines, maxSize = 400, 32 << 10
	lines := bytes.SplitAfter(source, []byte("\n"))
	if len(lines) > maxLines || len(source) > maxSize {
		return 0
	}
	end, first := len(source), len(lines)
	for i := len(lines) - 1; i >= 0; i-- {
		if !hasProblem(source[:end], problem) {
			break
		}
		first = i + 1
		end -= len(lines[i])
	}
	return first
}

func hasProblem(source []byte, problem string) bool {
	d := yaml.NewDecoder(bytes.NewReader(source))
	for {
		var n yaml.Node
		if err := d.Decode(&n); err != nil {
			return syntaxLine.ReplaceAllString(err.Error(), "") == problem
		}
	}
}
