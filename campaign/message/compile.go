// Package message makes the mail of each recipient from the templates of a campaign.
//
// Compile does once what is the same for all recipients. It reads the files (template.go), turns Markdown into HTML
// (markdown.go), checks every field and function against the columns of the list (fields.go), bounds the loops
// (rounds.go), gives each action in the HTML the escaper for its place (the package markup), encodes all static text
// beforehand (encode.go) and lays out the MIME tree with the attachments (mime.go).
//
// Compose fills in one recipient. It executes the templates, most of them as a plain list of texts and fields (linear.go),
// makes the text part from the HTML if the campaign has none (textpart.go), and writes the header fields (headerfield.go,
// the package header) and the parts, each in the encoding that it needs.
package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
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
	Columns []string                          // of the CSV, in order, as its header writes them; the column of addresses included
	Read    func(path string) ([]byte, error) // reads a file of the campaign from disk or from the queue's snapshot
}

// Compiled is a campaign's message before it has a recipient: templates parsed and checked, MIME tree laid out, attachments
// encoded. It does not change any more, so several goroutines may use it, each with a Composer of its own.
type Compiled struct {
	returnPath    address.Address // of the envelope
	from, replyTo []byte          // whole header fields
	utf8          bool            // one that is the same for all has an address that needs SMTPUTF8
	subject       headerField
	headers       []headerField

	text                   *texttemplate.Template // nil: the text part is made from the HTML
	html                   *texttemplate.Template // nil: there is only text
	linearText, linearHTML linear                 // the same templates, if they are linear; else nil
	segments               map[*byte]*segment     // by the first octet of their text in the parse trees
	marks                  marks
	tree                   mimeTree
	fields                 []field
	emptyRow               map[string]string // every field, without a value

	warnings    finding.Findings
	placeholder string // begins the words that stand for values while HTML becomes text; occurs in no template
}

// A field is a name in the templates and the column that it stands for.
type field struct {
	name   string
	column int
}

// Compile reads and checks everything that a campaign sends. It reports all faults at once, as finding.Findings: fields that
// no column has, the one of order_by included, unknown functions and templates, templates that call themselves, files that
// cannot be read, cid: references without a file, and actions in places of the HTML where no value can stand.
//
// A file under partials: is a template called like the file without its extension; .html and .md are for the HTML part,
// .txt for the text part. The partial called layout is the page around the Markdown, which goes where the layout says
// {{ template "content" . }}; without such a partial a plain page is used. Without text: the text part is made from the
// HTML.
func Compile(src Source) (*Compiled, error) {
	columns, err := list.FieldNames(src.Columns)
	if err != nil {
		return nil, err
	}
	f := src.File
	m := &Compiled{segments: map[*byte]*segment{}, marks: marks{}, emptyRow: map[string]string{}, returnPath: f.ReturnPath}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		m.fields = append(m.fields, field{name, columns[name]})
		m.emptyRow[name] = ""
	}
	c := &compiler{
		file: f, read: src.Read, hash: sha256.New(), sources: map[string]string{}, slipped: map[string]bool{}, marks: m.marks,
		fields: slices.Sorted(maps.Keys(columns)), columns: list.NameColumns(src.Columns, text.Quoted),
	}
	c.written = list.NameColumns(src.Columns, c.nameColumn)
	fmt.Fprintf(c.hash, "%q %q %q %q ", f.Name, f.From, f.Subject, f.Headers)

	htmlSet, textSet := newTemplateSet(), newTemplateSet()
	page := c.loadPage(htmlSet)
	if f.Text != "" {
		c.loadTemplate(textSet, f.Text, f.Text, formatText)
	}
	c.loadPartials(f.Partials, htmlSet, textSet)
	c.check(htmlSet, page)
	c.checkLayout(htmlSet, page)
	c.check(textSet, f.Text)
	c.checkOrder()
	c.compileHeaders(m)
	attachments := c.attachments()
	inline := c.readInline()
	c.compileParts(m, htmlSet, page, textSet, inline)
	inline.reportUnused(c)
	if len(c.findings) > 0 {
		return nil, c.sortedFindings()
	}
	m.tree = layOut(c.sum()[:32], m.html != nil, inline.attachments, attachments)
	m.placeholder = "mb" + c.sum()[:12] + "n"
	c.warnings.Sort()
	m.warnings = c.warnings
	return m, nil
}

// sum returns the hash of all that was read so far, in hexadecimal.
func (c *compiler) sum() string { return hex.EncodeToString(c.hash.Sum(nil)) }

// compileParts makes the templates executable and encodes their texts beforehand.
func (c *compiler) compileParts(m *Compiled, htmlSet *templateSet, page string, textSet *templateSet, inline *inlineFiles) {
	if m.html = c.htmlTemplate(htmlSet, page, inline); m.html != nil {
		htmlSet.encodeTexts(m.segments)
		m.linearHTML = htmlSet.linearize(page, m.emptyRow, c.escapers)
	}
	if c.file.Text != "" && textSet.trees[c.file.Text] != nil {
		m.text = c.textTemplate(textSet, c.file.Text)
		textSet.encodeTexts(m.segments)
		m.linearText = textSet.linearize(c.file.Text, m.emptyRow, nil)
	}
}

// loadPage loads the template that the HTML part begins with and returns its name, or "" if there is no HTML.
func (c *compiler) loadPage(set *templateSet) (entry string) {
	f := c.file
	const content, layout = "content", "layout"
	switch {
	case f.HTML != "":
		c.loadTemplate(set, f.HTML, f.HTML, formatHTML)
		return f.HTML
	case f.Markdown == "":
		return ""
	}
	c.loadTemplate(set, content, f.Markdown, formatMarkdown)
	if slices.ContainsFunc(f.Partials, isLayout) {
		return layout
	}
	title := ""
	if !strings.Contains(f.Subject, "{{") {
		title = html.EscapeString(f.Subject)
	}
	shell, _ := c.parse(layout, "built-in layout", fmt.Sprintf(markdownShell, title))
	c.add(set, layout, "built-in layout", shell, shell)
	return layout
}

func isLayout(file string) bool {
	ext := path.Ext(file)
	return strings.TrimSuffix(path.Base(file), ext) == "layout" && !strings.EqualFold(ext, ".txt")
}

// checkLayout reports a layout that leaves the Markdown out.
func (c *compiler) checkLayout(set *templateSet, entry string) {
	if c.file.Markdown == "" || set.written[entry] == nil {
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
		c.report(finding.Finding{File: set.written[entry].ParseName, Message: "does not say where the Markdown goes", Hint: `write {{ template "content" . }} there`})
	}
}

// checkOrder reports an order_by that names no field.
func (c *compiler) checkOrder() {
	field := c.file.OrderBy.Field
	if field == "" || slices.Contains(c.fields, field) {
		return
	}
	f := c.file.At("order_by", fmt.Sprintf("order_by: there is no column %s", text.Quoted(field)))
	f.Hint = strings.TrimSpace(finding.DidYouMean(field, c.fields) + " columns: " + c.columns)
	c.report(f)
}

// sortedFindings returns the findings by file and position, each once.
func (c *compiler) sortedFindings() finding.Findings {
	c.findings.Sort()
	return slices.Compact(c.findings)
}
