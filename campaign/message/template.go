package message

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	htmltemplate "html/template"
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
	"mailblast/campaign/text"
)

// maxTemplate bounds a template file, in octets. The parser's memory grows with how deep a template is nested.
const maxTemplate = 2 << 20

// A templateSet is the templates that can call each other: those of the HTML part or those of the text part.
type templateSet struct {
	trees   map[string]*parse.Tree // by template name, as they are executed
	written map[string]*parse.Tree // as they were written, for the places of findings
}

func newTemplateSet() *templateSet {
	return &templateSet{trees: map[string]*parse.Tree{}, written: map[string]*parse.Tree{}}
}

// A compiler reads and parses the files of a campaign and collects what is wrong with them.
type compiler struct {
	file     *campaign.File
	read     func(path string) ([]byte, error)
	hash     hash.Hash         // of all that is read
	sources  map[string]string // what stands in each template file, by the name it has in error messages
	marks    marks
	findings finding.Findings
}

func (l *compiler) find(f finding.Finding) { l.findings = append(l.findings, f) }

// findAt adds a finding at an octet of a template file.
func (l *compiler) findAt(file string, offset int, message, hint string) {
	l.find(l.findingAt(file, offset, message, hint))
}

// findingAt is a finding at an octet of a template file. A template that is no file is a value in the campaign file, and
// called by its key.
func (l *compiler) findingAt(file string, offset int, message, hint string) finding.Finding {
	f := finding.Finding{File: file, Message: message, Hint: hint}
	source, isFile := l.sources[file]
	if !isFile {
		f = l.file.At(file, file+": "+message)
		f.Hint = hint
	} else if offset >= 0 && offset <= len(source) {
		f.Line, f.Column = text.Place([]byte(source), offset)
	}
	return f
}

// content reads a file that the campaign file names.
func (l *compiler) content(file string) ([]byte, bool) {
	content, err := l.read(file)
	if err != nil {
		key := l.keyOf(file)
		f := l.file.At(key, key+": "+text.QuoteControl(err.Error()))
		f.Hint = "paths are relative to the campaign file"
		l.find(f)
		return nil, false
	}
	fmt.Fprintf(l.hash, "%q %d ", file, len(content))
	l.hash.Write(content)
	return content, true
}

// keyOf is the key of the campaign file under which a path stands.
func (l *compiler) keyOf(path string) string {
	for _, ref := range l.file.Files() {
		if ref.Path == path {
			return ref.Key
		}
	}
	return ""
}

// text reads a template file: UTF-8, with LF for all kinds of line ends.
func (l *compiler) text(file string) (string, bool) {
	content, ok := l.content(file)
	if !ok {
		return "", false
	}
	if len(content) > maxTemplate {
		l.find(finding.Finding{File: file, Message: fmt.Sprintf("is larger than %d octets", maxTemplate),
			Hint: "pictures go into inline: and are referred to as cid:name"})
		return "", false
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	source := bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	l.sources[file] = string(source)
	if i := text.InvalidUTF8(source); i >= 0 {
		line, column := text.Place(source, i)
		l.find(finding.Finding{File: file, Line: line, Column: column, Message: "is not UTF-8", Hint: "save it as UTF-8"})
		return "", false
	}
	return string(source), true
}

// parse parses one source and returns the templates it defines by name; its own is called name. Functions are looked at
// later, so that all unknown ones are found at once.
func (l *compiler) parse(name, file, text string) (map[string]*parse.Tree, bool) {
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", trees); err != nil {
		f := finding.Finding{File: file, Message: strings.TrimPrefix(err.Error(), "template: ")}
		if rest, ok := strings.CutPrefix(f.Message, name+":"); ok {
			if number, message, ok := strings.Cut(rest, ": "); ok {
				f.Line, _ = strconv.Atoi(number)
				f.Column, f.Message = 1, strings.TrimPrefix(message, "template: ")
			}
		}
		if _, isFile := l.sources[file]; !isFile {
			f = l.file.At(file, file+": "+f.Message)
		}
		l.find(f)
		return nil, false
	}
	for _, t := range trees {
		t.ParseName = file // for the place in the errors of an execution
	}
	return trees, true
}

// add puts the templates of one file into a set. Two of the same name are an error: which of them would be used
// depended on the order.
func (l *compiler) add(set *templateSet, name, file string, written, run map[string]*parse.Tree) {
	for _, n := range slices.Sorted(maps.Keys(written)) {
		if old := set.written[n]; old != nil && !parse.IsEmptyTree(old.Root) && !parse.IsEmptyTree(written[n].Root) {
			l.find(finding.Finding{File: file, Message: fmt.Sprintf("there is already a template %q, in %s", n, text.QuoteControl(old.ParseName)),
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

// asHTML is added to the name of a Markdown file where a place in the HTML is meant that was made of it.
const asHTML = ", as HTML"

// A format is what a template file is written in.
type format int

const (
	formatText format = iota
	formatHTML
	formatMarkdown
)

// load reads a file into a set under a name. Markdown becomes HTML on the way.
func (l *compiler) load(set *templateSet, name, file string, format format) {
	text, ok := l.text(file)
	if !ok {
		return
	}
	written, ok := l.parse(name, file, text)
	if !ok {
		return
	}
	if format == formatText {
		l.add(set, name, file, written, written)
		return
	}
	page, label := text, file
	if format == formatMarkdown {
		var err error
		if page, err = renderMarkdown(text); err != nil {
			l.find(finding.Finding{File: file, Message: "cannot be rendered: " + err.Error()})
			return
		}
		label += asHTML
		l.sources[label] = page
	}
	run, ok := l.parse(name, label, hideConditionals(page))
	if !ok {
		f := &l.findings[len(l.findings)-1]
		*f = finding.Finding{File: file, Message: "its actions do not fit the HTML that it becomes: " + f.Message,
			Hint: "an {{ if }} and its {{ end }} belong into the same block, or each on a line of its own"}
		return
	}
	l.add(set, name, file, written, run)
}

// partials loads each file into the set that its extension names, as a template called like the file without it.
func (l *compiler) partials(files []string, html, text *templateSet) {
	for _, file := range files {
		ext := path.Ext(file)
		name := strings.TrimSuffix(path.Base(file), ext)
		switch strings.ToLower(ext) {
		case ".html", ".htm":
			l.load(html, name, file, formatHTML)
		case ".md", ".markdown":
			l.load(html, name, file, formatMarkdown)
		case ".txt":
			l.load(text, name, file, formatText)
		default:
			l.find(finding.Finding{File: file, Message: fmt.Sprintf("a partial cannot have the extension %q", ext),
				Hint: ".html and .md are for the HTML part, .txt for the text part"})
		}
	}
}

// htmlTemplate makes the set executable. The escaper runs at once, so that its errors are found now and the texts in the
// trees have the form in which they will be written.
func (l *compiler) htmlTemplate(set *templateSet, entry string, data map[string]string) *htmltemplate.Template {
	l.mark(set)
	root := htmltemplate.New("").Funcs(functions()).Option("missingkey=error")
	root.Funcs(htmltemplate.FuncMap{conditionalFunc: conditionalComment})
	for _, name := range slices.Sorted(maps.Keys(set.trees)) {
		if _, err := root.AddParseTree(name, set.trees[name]); err != nil {
			l.find(finding.Finding{File: set.trees[name].ParseName, Message: err.Error()})
			return nil
		}
	}
	t := root.Lookup(entry) // it is there: all files were read and parsed
	// What else goes wrong with a row of empty fields says nothing about real ones.
	err := t.Execute(&body{rounds: roundCounter{marks: l.marks}}, data)
	if e := (*htmltemplate.Error)(nil); errors.As(err, &e) {
		l.findEscape(set, e)
		return nil
	}
	set.showConditionals()
	return t
}

// findEscape adds what html/template found while looking at the contexts of the actions.
func (l *compiler) findEscape(set *templateSet, e *htmltemplate.Error) {
	name, _, _ := strings.Cut(e.Name, "$htmltemplate_")
	message, _, _ := strings.Cut(e.Description, ": {state") // what follows is its inner state, of use to nobody
	f := finding.Finding{File: e.Name, Line: e.Line, Column: 1, Message: message,
		Hint: "html/template must see where in the HTML each action stands"}
	if tree := set.trees[name]; tree != nil {
		f.File = tree.ParseName
	}
	if e.Node != nil {
		l.findAt(f.File, int(e.Node.Position()), f.Message, f.Hint)
		return
	}
	l.find(f)
}

// textTemplate makes the set executable.
func (l *compiler) textTemplate(set *templateSet, entry string) *texttemplate.Template {
	l.mark(set)
	root := texttemplate.New("").Funcs(functions()).Option("missingkey=error")
	for _, name := range slices.Sorted(maps.Keys(set.trees)) {
		if _, err := root.AddParseTree(name, set.trees[name]); err != nil {
			l.find(finding.Finding{File: set.trees[name].ParseName, Message: err.Error()})
			return nil
		}
	}
	return root.Lookup(entry)
}

// texts calls f with every text node of the set's templates.
func (s *templateSet) texts(f func(tree *parse.Tree, node *parse.TextNode)) {
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		tree := s.trees[name]
		eachNode(tree.Root, func(n parse.Node) {
			if text, ok := n.(*parse.TextNode); ok {
				f(tree, text)
			}
		})
	}
}

// segments encodes every text of the set beforehand.
func (s *templateSet) segments(known map[*byte]*segment) {
	s.texts(func(_ *parse.Tree, node *parse.TextNode) {
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

// executionError puts the error of a template's execution into the form file:line:column: message. text/template counts
// columns from 0.
func executionError(err error) error {
	if f := (finding.Finding{}); err == nil || errors.As(err, &f) {
		return err
	}
	message := strings.TrimPrefix(err.Error(), "template: ")
	if at := executionPlace.FindStringSubmatchIndex(message); at != nil {
		column, _ := strconv.Atoi(message[at[2]:at[3]])
		message = message[:at[2]] + strconv.Itoa(column+1) + message[at[3]:]
	}
	return errors.New(message)
}

var executionPlace = regexp.MustCompile(`^[^\n]*?:\d+:(\d+): executing `)
