// Package message makes the mail of each recipient from the templates of a campaign.
//
// Compile does once what is the same for all recipients. It reads the files (template.go), turns Markdown into HTML
// (markdown.go), checks every field and function against the columns of the list (fields.go), bounds the loops
// (rounds.go), encodes all static text beforehand (encode.go) and lays out the MIME tree with the attachments (mime.go).
//
// Compose fills in one recipient: it executes the templates, most of them as a plain list of texts and fields (linear.go),
// makes the text part from the HTML where the campaign has none (textpart.go), and writes the header (header.go) and the
// parts in the encoding that each needs.
package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	htmltemplate "html/template"
	"maps"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	"mailblast/campaign"
	"mailblast/campaign/finding"
	"mailblast/campaign/list"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// A Source is what a message is compiled from.
type Source struct {
	File    *campaign.File
	Columns []string                          // of the CSV, in order, as written in its header; the email column included
	Read    func(path string) ([]byte, error) // a file of the campaign, from disk or from the queue's snapshot
}

// A Compiled is a compiled campaign: templates parsed and checked, MIME tree laid out, attachments encoded. It does not
// change any more and may be used by several goroutines, each with a Composer of its own.
type Compiled struct {
	returnPath    address.Address // of the envelope
	from, replyTo []byte          // whole header fields
	subject       headerField
	headers       []headerField

	text                 *texttemplate.Template // nil: the text is made from the HTML
	html                 *htmltemplate.Template // nil: there is only text
	textSteps, htmlSteps linear                 // the same, where they are linear; else nil
	known                map[*byte]*segment
	marks                marks
	tree                 mimeTree
	fields               []field
	blank                map[string]string // a row of empty fields

	word      string // stands for values in HTML that becomes text
	markupOut bool   // html/template writes markup that is in no tree of ours
}

// A headerField has a value for all recipients (fixed) or a template.
type headerField struct {
	name     string
	fixed    []byte // the whole field
	template *texttemplate.Template
	steps    linear // the same, where it is linear; else nil
}

// A field is a name in the templates and the column that it stands for.
type field struct {
	name   string
	column int
}

// Compile reads and checks everything that a campaign sends. It reports all it finds at once, as finding.Findings: fields that
// no column has, also the one of order_by, unknown functions and templates, templates that call themselves, files that cannot be read, and cid:
// references without a file. Errors of the contexts in which html/template sees the actions come when there are no others.
//
// A file under partials: is a template called like the file without its extension; .html and .md are for the HTML part, .txt
// for the text part. Around Markdown goes the partial called layout, where {{ template "content" . }} stands, or a plain
// page. Without text: the text part is made from the HTML.
func Compile(src Source) (*Compiled, error) {
	columns, err := list.FieldNames(src.Columns)
	if err != nil {
		return nil, err
	}
	f := src.File
	m := &Compiled{known: map[*byte]*segment{}, marks: marks{}, blank: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		m.fields = append(m.fields, field{name, columns[name]})
		m.blank[name] = ""
	}
	l := &compiler{file: f, read: src.Read, hash: sha256.New(), sources: map[string]string{}, marks: m.marks}
	fmt.Fprintf(l.hash, "%q %q %q %q ", f.Name, f.From, f.Subject, f.Headers)

	html, text := newTemplateSet(), newTemplateSet()
	entry := l.page(html)
	if f.Text != "" {
		l.load(text, f.Text, f.Text, formatText)
	}
	l.partials(f.Partials, html, text)

	check := func(set *templateSet, entry string) {
		c := &checker{compiler: l, trees: set.written, fields: slices.Sorted(maps.Keys(columns)), shown: list.NameColumns(src.Columns)}
		c.check(entry)
	}
	check(html, entry)
	l.checkLayout(html, entry)
	check(text, f.Text)
	m.subject = l.header("Subject", "subject", f.Subject, m.blank, check)
	for _, h := range f.Headers {
		m.headers = append(m.headers, l.header(h.Name, "headers."+h.Name, h.Value, m.blank, check))
	}

	l.order(columns, list.NameColumns(src.Columns))

	var attachments []attachment
	for _, file := range f.Attachments {
		if content, ok := l.content(file); ok {
			attachments = append(attachments, newAttachment(file, content))
		}
	}
	sum := func() string { return hex.EncodeToString(l.hash.Sum(nil)) }
	inline := l.inlineFiles(html, sum)
	if len(l.findings) > 0 {
		return nil, l.sorted()
	}

	if entry != "" {
		if m.html = l.htmlTemplate(html, entry, m.blank); m.html == nil {
			return nil, l.sorted()
		}
		html.segments(m.known)
		m.htmlSteps = html.linear(entry, m.blank)
		m.markupOut = html.hasDerived()
	}
	if f.Text != "" {
		m.text = l.textTemplate(text, f.Text)
		text.segments(m.known)
		m.textSteps = text.linear(f.Text, m.blank)
	}
	m.returnPath = f.ReturnPath
	m.from = appendMailbox(nil, "From", f.From)
	if f.ReplyTo != (campaign.Mailbox{}) {
		m.replyTo = appendMailbox(nil, "Reply-To", f.ReplyTo)
	}
	m.tree = layOut(sum()[:32], m.html != nil, inline, attachments)
	m.word = "mb" + sum()[:12] + "n"
	return m, nil
}

// page loads what the HTML part begins with and returns the name of that template.
func (l *compiler) page(set *templateSet) (entry string) {
	f := l.file
	const content, layout = "content", "layout"
	switch {
	case f.HTML != "":
		l.load(set, f.HTML, f.HTML, formatHTML)
		return f.HTML
	case f.Markdown == "":
		return ""
	}
	l.load(set, content, f.Markdown, formatMarkdown)
	if slices.ContainsFunc(f.Partials, isLayout) {
		return layout
	}
	title := ""
	if !strings.Contains(f.Subject, "{{") {
		title = htmltemplate.HTMLEscapeString(f.Subject)
	}
	shell, _ := l.parse(layout, "built-in layout", fmt.Sprintf(markdownShell, title))
	l.add(set, layout, "built-in layout", shell, shell)
	return layout
}

func isLayout(file string) bool {
	ext := path.Ext(file)
	return strings.TrimSuffix(path.Base(file), ext) == "layout" && !strings.EqualFold(ext, ".txt")
}

// checkLayout finds a layout that leaves the Markdown out.
func (l *compiler) checkLayout(set *templateSet, entry string) {
	if l.file.Markdown == "" || set.written[entry] == nil {
		return
	}
	used := false
	for _, tree := range set.written {
		eachNode(tree.Root, func(n parse.Node) {
			call, ok := n.(*parse.TemplateNode)
			used = used || ok && call.Name == "content"
		})
	}
	if !used {
		l.find(finding.Finding{File: set.written[entry].ParseName, Message: "does not say where the Markdown goes", Hint: `write {{ template "content" . }} there`})
	}
}

// header compiles the value of a header field. label is its key in the campaign file.
func (l *compiler) header(name, label, value string, fields map[string]string, check func(*templateSet, string)) headerField {
	trees, ok := l.parse(label, label, value)
	if !ok {
		return headerField{}
	}
	set := newTemplateSet()
	l.add(set, label, label, trees, trees)
	check(set, label)
	static := true
	eachNode(set.trees[label].Root, func(n parse.Node) {
		static = static && (n.Type() == parse.NodeText || n.Type() == parse.NodeList)
	})
	if static {
		return headerField{name: name, fixed: appendHeader(nil, name, set.trees[label].Root.String())}
	}
	return headerField{name: name, template: l.textTemplate(set, label), steps: set.linear(label, fields)}
}

// sorted are the findings by file and place, each once.
func (l *compiler) sorted() finding.Findings {
	l.findings.Sort()
	return slices.Compact(l.findings)
}

// hasDerived reports whether html/template made copies of templates for other contexts than plain HTML. It keeps them to
// itself, so their texts are not among our segments.
func (s *templateSet) hasDerived() bool {
	derived := false
	for _, tree := range s.trees {
		eachNode(tree.Root, func(n parse.Node) {
			if call, ok := n.(*parse.TemplateNode); ok && strings.Contains(call.Name, "$htmltemplate_") {
				derived = true
			}
		})
	}
	return derived
}

// order finds an order by what is no field.
func (l *compiler) order(columns map[string]int, shown string) {
	o := l.file.OrderBy
	if _, ok := columns[o.Field]; ok || o.Field == "" {
		return
	}
	f := l.file.At("order_by", fmt.Sprintf("order_by: there is no column %s", text.Quoted(o.Field)))
	f.Hint = strings.TrimSpace(finding.DidYouMean(o.Field, slices.Sorted(maps.Keys(columns))) + " columns: " + shown)
	l.find(f)
}
