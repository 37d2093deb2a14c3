package message

import (
	"bytes"
	"fmt"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	"mailblast/campaign"
	"mailblast/campaign/message/header"
	"mailblast/campaign/text"
)

// A headerField has a value for all recipients (fixed) or a template.
type headerField struct {
	name     string
	fixed    []byte // the whole field
	template *texttemplate.Template
	linear   linear // the same template, if it is linear; else nil

	// Of a field with a grammar:
	texts map[*byte]bool // the first octets of the template's own texts; nil for any other field
	form  *header.Form   // of a linear template, read once; else nil
	holes []string       // of a linear template, the recipient's field in each hole
}

// compileHeaders compiles the header fields.
func (c *compiler) compileHeaders(m *Compiled) {
	f := c.file
	m.from = header.AppendMailbox(nil, "From", f.From.Name, f.From.Address.String())
	if f.ReplyTo != (campaign.Mailbox{}) {
		m.replyTo = header.AppendMailbox(nil, "Reply-To", f.ReplyTo.Name, f.ReplyTo.Address.String())
	}
	m.subject = c.compileHeader("Subject", "subject", f.Subject, m.emptyRow)
	for _, h := range f.Headers {
		m.headers = append(m.headers, c.compileHeader(h.Name, "headers."+h.Name, h.Value, m.emptyRow))
	}
	m.utf8 = !text.IsASCII(m.from) || !text.IsASCII(m.replyTo)
	for _, h := range m.headers {
		m.utf8 = m.utf8 || !text.IsASCII(h.fixed)
	}
}

// compileHeader compiles the value of a header field. label is its key in the campaign file.
func (c *compiler) compileHeader(name, label, value string, fields map[string]string) headerField {
	c.warnLeftovers(label, value, formatText)
	trees, ok := c.parse(label, label, c.catchSlips(label, value))
	if !ok {
		return headerField{}
	}
	set := newTemplateSet()
	c.add(set, label, label, trees, trees)
	c.check(set, label)
	h := headerField{name: name}
	static := true
	eachNode(set.trees[label].Root, func(n parse.Node) {
		static = static && (n.Type() == parse.NodeText || n.Type() == parse.NodeList)
	})
	if static {
		var err error
		if h.fixed, err = h.append(nil, set.trees[label].Root.String()); err != nil {
			c.reportValue(label, err)
		}
		return h
	}
	h.template, h.linear = c.textTemplate(set, label), set.linearize(label, fields, nil)
	if header.Structured(name) {
		h.texts = map[*byte]bool{}
		set.eachText(func(_ *parse.Tree, node *parse.TextNode) {
			if len(node.Text) > 0 {
				h.texts[&node.Text[0]] = true
			}
		})
		c.readForm(&h, label)
	}
	return h
}

// readForm reads the form of a linear template, which is the same for all recipients, and reports what is wrong with it.
func (c *compiler) readForm(h *headerField, label string) {
	if h.linear == nil {
		return
	}
	var value strings.Builder
	for _, s := range h.linear {
		if s.field != "" {
			h.holes = append(h.holes, s.field)
			value.WriteByte(header.Hole)
		}
		value.WriteString(text.Unbroken(string(s.text)))
	}
	var err error
	if h.form, err = header.Read(h.name, value.String()); err != nil {
		c.reportValue(label, err)
	}
}

// reportValue reports what is wrong with the value of a header field.
func (c *compiler) reportValue(label string, err error) {
	f := c.file.At(label, label+": "+err.Error())
	if fault, ok := err.(*header.Fault); ok {
		f = c.file.At(label, label+": "+fault.Problem)
		f.Hint = fault.Hint
	}
	c.report(f)
}

// append appends the field with a value that is the same for all recipients.
func (h *headerField) append(dst []byte, value string) ([]byte, error) {
	if !header.Structured(h.name) {
		return header.Append(dst, h.name, value), nil
	}
	form, err := header.Read(h.name, text.OneLine(value))
	if err != nil {
		return dst, err
	}
	return form.Append(dst, nil, nil)
}

// appendField appends a header field of the message for the current row.
func (c *Composer) appendField(out []byte, h *headerField) ([]byte, error) {
	if h.template == nil {
		return append(out, h.fixed...), nil
	}
	c.value.reset(h.texts)
	err := c.execute(&c.value, h.template, h.linear)
	if err == nil && h.texts == nil {
		return header.Append(out, h.name, c.value.String()), nil
	}
	form := h.form
	if err == nil && form == nil {
		form, err = header.Read(h.name, c.value.String())
	}
	start := len(out)
	if err == nil {
		out, err = form.Append(out, c.value.holes, h.holes)
	}
	if err != nil {
		return out, fmt.Errorf("header %s: %w", h.name, err)
	}
	c.utf8 = c.utf8 || !text.IsASCII(out[start:])
	return out, nil
}

// A fieldValue is the rendered value of a header field. It stops a template that prints too much. Of a field with a grammar
// it keeps apart what the template says and what comes from the row: in the value there is a hole in the place of each
// text that is none of the template's own.
type fieldValue struct {
	bytes.Buffer
	texts  map[*byte]bool // nil: everything goes into the value
	holes  []string
	size   int
	rounds roundCounter
}

func (v *fieldValue) reset(texts map[*byte]bool) {
	v.Reset()
	v.texts, v.holes, v.size = texts, v.holes[:0], 0
	v.rounds.reset()
}

func (v *fieldValue) Write(p []byte) (int, error) {
	if ok, err := v.rounds.isMark(p); ok {
		return 0, err
	}
	const most = 16 << 10 // octets; servers refuse longer header fields
	if v.size += len(p); v.size > most {
		return 0, v.rounds.fault(fmt.Sprintf("it is longer than %d octets", most))
	}
	switch {
	case v.texts == nil:
		return v.Buffer.Write(p)
	case len(p) > 0 && v.texts[&p[0]]:
		v.WriteString(text.Unbroken(string(p)))
		return len(p), nil
	}
	v.holes = append(v.holes, text.Unbroken(string(p)))
	return len(p), v.WriteByte(header.Hole)
}
