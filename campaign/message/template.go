package message

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	"mailblast/campaign"
	"mailblast/campaign/finding"
	"mailblast/campaign/message/markup"
	"mailblast/campaign/text"
)

// maxTemplate bounds a template file, in octets. The parser's memory grows with how deep a template is nested.
const maxTemplate = 2 << 20

// A templateSet is the templates that can call each other: those of the HTML part, those of the text part, or one header
// field's.
type templateSet struct {
	trees   map[string]*parse.Tree // by name, as they are executed
	written map[string]*parse.Tree // as they were written, for the positions of findings
}

func newTemplateSet() *templateSet {
	return &templateSet{trees: map[string]*parse.Tree{}, written: map[string]*parse.Tree{}}
}

// A compiler reads and parses the files of a campaign and collects what is wrong with them.
type compiler struct {
	file     *campaign.File
	read     func(path string) ([]byte, error)
	hash     hash.Hash         // of all that was read
	sources  map[string]string // the text of each template file, by its name in findings
	marks    marks
	fields   []string                             // the names of all fields
	columns  string                               // the columns of the list, for hints
	written  string                               // the same, with the way in which a template takes those whose name cannot follow a dot
	escapers []func(value string) (string, error) // of the actions in the HTML, by the number in their call
	squashed map[string]string                    // see squashedFields
	slipped  map[string]bool                      // the templates, by their names in findings, in whose actions slips were reported
	warnings finding.Findings
	findings finding.Findings
}

func (c *compiler) report(f finding.Finding) { c.findings = append(c.findings, f) }

// reportAt reports a fault at an octet of a template file.
func (c *compiler) reportAt(file string, offset int, message, hint string) {
	c.report(c.findingAt(file, offset, message, hint))
}

// findingAt returns a finding at an octet of a template file. A template that is no file is a value in the campaign file,
// and is called by its key.
func (c *compiler) findingAt(file string, offset int, message, hint string) finding.Finding {
	f := finding.Finding{File: file, Message: message, Hint: hint}
	source, isFile := c.sources[file]
	if !isFile {
		f = c.file.At(file, file+": "+message)
		f.Hint = hint
	} else if offset >= 0 && offset <= len(source) {
		f.Line, f.Column = text.Position([]byte(source), offset)
	}
	return f
}

// readFile reads a file that the campaign file names.
func (c *compiler) readFile(file string) ([]byte, bool) {
	content, err := c.read(file)
	if err != nil {
		key := c.keyOf(file)
		f := c.file.At(key, key+": "+text.QuoteControl(err.Error()))
		f.Hint = "paths are relative to the campaign file"
		c.report(f)
		return nil, false
	}
	fmt.Fprintf(c.hash, "%q %d ", file, len(content))
	c.hash.Write(content)
	return content, true
}

// keyOf returns the key of the campaign file at which a path stands.
func (c *compiler) keyOf(path string) string {
	for _, ref := range c.file.Files() {
		if ref.Path == path {
			return ref.Key
		}
	}
	return ""
}

// readTemplate reads a template file as UTF-8, and turns all line ends into LF.
func (c *compiler) readTemplate(file string) (string, bool) {
	content, ok := c.readFile(file)
	if !ok {
		return "", false
	}
	if len(content) > maxTemplate {
		c.report(finding.Finding{File: file, Message: fmt.Sprintf("is larger than %d octets", maxTemplate),
			Hint: "pictures go into inline: and are referred to as cid:name"})
		return "", false
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	source := bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	c.sources[file] = string(source)
	if i := text.InvalidUTF8(source); i >= 0 {
		line, column := text.Position(source, i)
		c.report(finding.Finding{File: file, Line: line, Column: column, Message: "is not UTF-8", Hint: "save it as UTF-8"})
		return "", false
	}
	return string(source), true
}

// parse parses one source, called name, and returns the templates that it defines, by name. The checker looks at the
// functions later, so that all unknown ones are reported at once.
func (c *compiler) parse(name, file, text string) (map[string]*parse.Tree, bool) {
	text, names := c.hideNames(text)
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", trees); err != nil && c.slipped[file] {
		return nil, false // the error may be due to a slip that is reported
	} else if err != nil {
		f := finding.Finding{File: file, Message: strings.TrimPrefix(err.Error(), "template: ")}
		if rest, ok := strings.CutPrefix(f.Message, name+":"); ok {
			if number, message, ok := strings.Cut(rest, ": "); ok {
				f.Line, _ = strconv.Atoi(number)
				f.Column, f.Message = 1, strings.TrimPrefix(message, "template: ")
			}
		}
		if _, isFile := c.sources[file]; !isFile {
			f = c.file.At(file, file+": "+f.Message)
		}
		c.report(f)
		return nil, false
	}
	for _, t := range trees {
		t.ParseName = file // for the position in errors of the execution
		showNames(t, names)
	}
	return trees, true
}

// add puts the templates of one file into a set. Two of the same name are an error, because their order would decide which
// of them is used.
func (c *compiler) add(set *templateSet, name, file string, written, run map[string]*parse.Tree) {
	for _, n := range slices.Sorted(maps.Keys(written)) {
		if old := set.written[n]; old != nil && !parse.IsEmptyTree(old.Root) && !parse.IsEmptyTree(written[n].Root) {
			c.report(finding.Finding{File: file, Message: fmt.Sprintf("there is already a template %q, in %s", n, text.QuoteControl(old.ParseName)),
				Hint: "rename one of them"})
			return
		}
	}
	for n, t := range written {
		if old := set.written[n]; old == nil || parse.IsEmptyTree(old.Root) || n == name {
			set.written[n] = t
		}
	}
	for n, t := range run {
		if old := set.trees[n]; old == nil || parse.IsEmptyTree(old.Root) || n == name {
			set.trees[n] = t
		}
	}
}

// asHTML follows the name of a Markdown file when a finding is about the HTML that was made of it.
const asHTML = ", as HTML"

// A format is the language of a template file.
type format int

const (
	formatText format = iota
	formatHTML
	formatMarkdown
)

// loadTemplate reads a file into a set under a name. It turns Markdown into HTML.
func (c *compiler) loadTemplate(set *templateSet, name, file string, format format) {
	text, ok := c.readTemplate(file)
	if !ok {
		return
	}
	c.warnLeftovers(file, text, format)
	text = c.catchSlips(file, text)
	written, ok := c.parse(name, file, text)
	if !ok {
		return
	}
	if format == formatText {
		c.add(set, name, file, written, written)
		return
	}
	page, label := text, file
	if format == formatMarkdown {
		var err error
		if page, err = renderMarkdown(text); err != nil {
			c.report(finding.Finding{File: file, Message: "cannot be rendered: " + err.Error()})
			return
		}
		label += asHTML
		c.sources[label] = page
	}
	run, ok := c.parse(name, label, page)
	if !ok {
		f := &c.findings[len(c.findings)-1]
		*f = finding.Finding{File: file, Message: "its actions do not fit the HTML that it becomes: " + f.Message,
			Hint: "an {{ if }} and its {{ end }} belong into the same block, or each on a line of its own"}
		return
	}
	c.add(set, name, file, written, run)
}

// loadPartials loads each file into the set that its extension names, as a template called like the file without it.
func (c *compiler) loadPartials(files []string, html, text *templateSet) {
	for _, file := range files {
		ext := path.Ext(file)
		name := strings.TrimSuffix(path.Base(file), ext)
		switch strings.ToLower(ext) {
		case ".html", ".htm":
			c.loadTemplate(html, name, file, formatHTML)
		case ".md", ".markdown":
			c.loadTemplate(html, name, file, formatMarkdown)
		case ".txt":
			c.loadTemplate(text, name, file, formatText)
		default:
			c.report(finding.Finding{File: file, Message: fmt.Sprintf("a partial cannot have the extension %q", ext),
				Hint: ".html and .md are for the HTML part, .txt for the text part"})
		}
	}
}

// htmlTemplate escapes the actions of the set for the places where they stand, completes the references to inline files,
// and makes the set executable. It returns nil if there is no such template or a finding was reported.
func (c *compiler) htmlTemplate(set *templateSet, entry string, inline *inlineFiles) *texttemplate.Template {
	if set.trees[entry] == nil {
		return nil
	}
	before := len(c.findings)
	c.addEscapers(markup.Escape(markup.Set{
		Trees:     set.trees,
		Report:    func(file string, offset int, message, hint string) { c.reportMarkup(file, offset, message, hint) },
		Reference: func(file string, offset int, name string) string { return inline.refer(c, file, offset, name) },
	}, entry))
	if len(c.findings) > before {
		return nil
	}
	return c.textTemplate(set, entry)
}

// reportMarkup adds a finding at an octet of a template file, or of the HTML that was made of one.
func (c *compiler) reportMarkup(file string, offset int, message, hint string) {
	if markdown, ok := strings.CutSuffix(file, asHTML); ok && hint == "" {
		hint = "the place is in the HTML that " + markdown + " becomes"
	}
	c.reportAt(file, offset, message, hint)
}

// addEscapers keeps escapers for the execution. Their errors tell the place of the action and the value.
func (c *compiler) addEscapers(escapers []markup.Escaper) {
	for _, e := range escapers {
		c.escapers = append(c.escapers, func(value string) (string, error) {
			escaped, err := e.Escape(value)
			if err != nil {
				f := c.findingAt(e.File, e.Offset, fmt.Sprintf("{{ %s }}: %s %v", e.Action, text.Quoted(value), err), "mend the value, or write that part into the template")
				return "", f
			}
			return escaped, nil
		})
	}
}

// escape calls an escaper from a template, with what text/template would print of the value.
func (c *compiler) escape(number int, value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		s = fmt.Sprint(value)
	}
	return c.escapers[number](s)
}

// textTemplate makes the set executable.
func (c *compiler) textTemplate(set *templateSet, entry string) *texttemplate.Template {
	c.addMarks(set)
	root := texttemplate.New("").Funcs(functions()).Funcs(texttemplate.FuncMap{markup.Func: c.escape}).Option("missingkey=error")
	for _, name := range slices.Sorted(maps.Keys(set.trees)) {
		if _, err := root.AddParseTree(name, set.trees[name]); err != nil {
			c.report(finding.Finding{File: set.trees[name].ParseName, Message: err.Error()})
			return nil
		}
	}
	return root.Lookup(entry)
}

// eachText calls f with every text node of the set's templates.
func (s *templateSet) eachText(f func(tree *parse.Tree, node *parse.TextNode)) {
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		tree := s.trees[name]
		eachNode(tree.Root, func(n parse.Node) {
			if text, ok := n.(*parse.TextNode); ok {
				f(tree, text)
			}
		})
	}
}

// encodeTexts encodes every text of the set beforehand.
func (s *templateSet) encodeTexts(known map[*byte]*segment) {
	s.eachText(func(_ *parse.Tree, node *parse.TextNode) {
		if len(node.Text) > 0 {
			seg := newSegment(node.Text)
			seg.id = len(known)
			known[&node.Text[0]] = seg
		}
	})
}

// eachNode calls f with the node and all nodes of its lists, in order.
func eachNode(n parse.Node, f func(parse.Node)) {
	f(n)
	switch n := n.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			eachNode(child, f)
		}
	case *parse.IfNode:
		eachBranch(&n.BranchNode, f)
	case *parse.WithNode:
		eachBranch(&n.BranchNode, f)
	case *parse.RangeNode:
		eachBranch(&n.BranchNode, f)
	}
}

func eachBranch(n *parse.BranchNode, f func(parse.Node)) {
	eachNode(n.List, f)
	if n.ElseList != nil {
		eachNode(n.ElseList, f)
	}
}

// executionError brings the error of an execution into the form file:line:column: message. text/template counts columns from
// 0.
func executionError(err error) error {
	if f := (finding.Finding{}); errors.As(err, &f) {
		return f
	} else if err == nil {
		return nil
	}
	message := strings.TrimPrefix(err.Error(), "template: ")
	if at := executionPlace.FindStringSubmatchIndex(message); at != nil {
		column, _ := strconv.Atoi(message[at[2]:at[3]])
		message = message[:at[2]] + strconv.Itoa(column+1) + message[at[3]:]
	}
	return errors.New(message)
}

var executionPlace = regexp.MustCompile(`^[^\n]*?:\d+:(\d+): executing `)
