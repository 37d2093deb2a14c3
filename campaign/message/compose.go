package message

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"mailblast/campaign/list/address"
	"mailblast/campaign/mail"
	"mailblast/campaign/text"
)

// A Recipient is whom a message is composed for.
type Recipient struct {
	Address   address.Address
	Values    []string // by column; missing ones are empty
	MessageID string   // without angle brackets
	Date      time.Time
}

// A Composer makes the message of one recipient after the other. It owns the buffers for that, so each goroutine needs its
// own.
type Composer struct {
	m          *Compiled
	data       map[string]string
	text, html body
	converter  textConverter
	value      fieldValue
	scratch    []byte // a field's value, for linear templates
	utf8       bool   // an address in the header needs SMTPUTF8
	out        []byte
	content    [2][]byte
}

// Composer returns a new Composer.
func (m *Compiled) Composer() *Composer {
	return &Composer{
		m:         m,
		data:      maps.Clone(m.emptyRow),
		text:      body{known: m.segments, rounds: roundCounter{marks: m.marks}},
		html:      body{known: m.segments, rounds: roundCounter{marks: m.marks}},
		value:     fieldValue{rounds: roundCounter{marks: m.marks}},
		converter: textConverter{placeholder: m.placeholder, skeletons: map[string][]textPiece{}, shaping: map[string][]int{}},
	}
}

// Compose makes the message of one recipient (RFC 5322): CRLF line ends, no line over 998 octets, not dot-stuffed. Its
// content is valid until the next call and must not be changed; the attachments, which are its last chunk, are the same
// memory for all recipients. An error names the template and the position in it, and concerns this recipient only.
//
// The header fields come in this order: From, To, Subject, Date, Message-ID, Reply-To, those of the campaign file,
// MIME-Version, Content-Type, Content-Transfer-Encoding. All recipients get the same number of them. The server that
// delivers the message writes the Return-Path (RFC 5321 section 4.4).
func (c *Composer) Compose(r Recipient) (mail.Message, error) {
	if err := checkEnvelope(r); err != nil {
		return mail.Message{}, err
	}
	to := r.Address.String()
	c.fill(r.Values, to)
	if err := c.render(); err != nil {
		return mail.Message{}, err
	}
	if err := c.assemble(r, to); err != nil {
		return mail.Message{}, err
	}
	m := mail.Message{From: c.m.returnPath.String(), To: to, UTF8: r.Address.UTF8 || c.m.returnPath.UTF8 || c.utf8}
	c.content = [2][]byte{c.out, c.m.tree.tail}
	m.Content = c.content[:]
	const worthAChunk = 1024 // octets; less, such as the closing boundaries, is copied
	if len(c.m.tree.tail) < worthAChunk {
		c.out = append(c.out, c.m.tree.tail...)
		c.content[0] = c.out
		m.Content = c.content[:1]
	}
	for _, chunk := range m.Content {
		m.Size += len(chunk)
	}
	return m, nil
}

// assemble writes everything before the attachments into out: the header and the rendered parts.
func (c *Composer) assemble(r Recipient, to string) (err error) {
	m := c.m
	c.utf8 = m.utf8
	out := append(c.out[:0], m.from...)
	out = append(append(append(out, "To: "...), to...), crlf...)
	if out, err = c.appendField(out, &m.subject); err != nil {
		return err
	}
	out = append(out, "Date: "...)
	out = r.Date.AppendFormat(out, time.RFC1123Z)
	out = append(out, "\r\nMessage-ID: <"...)
	out = append(out, r.MessageID...)
	out = append(out, ">\r\n"...)
	out = append(out, m.replyTo...)
	for i := range m.headers {
		if out, err = c.appendField(out, &m.headers[i]); err != nil {
			return err
		}
	}
	out = append(out, "MIME-Version: 1.0\r\n"...)
	out = c.appendBody(append(out, m.tree.text...), &c.text)
	if m.html != nil {
		out = c.appendBody(append(out, m.tree.html...), &c.html)
	}
	c.out = out
	return nil
}

// checkEnvelope refuses what would break out of the fields To and Message-ID. Both come from our own parser or the queue, so
// it should never find anything.
func checkEnvelope(r Recipient) error {
	const longest = 900 // octets, so that the line stays under 998
	for _, s := range []string{r.Address.Local, r.Address.Domain, r.MessageID} {
		if s == "" || len(s) > longest || !isClean(s) || strings.ContainsAny(s, "\n\t <>") {
			return fmt.Errorf("compose: %s is not part of an address or a message id", text.Quoted(s))
		}
	}
	return nil
}

// fill puts the recipient's values where the templates find them.
func (c *Composer) fill(values []string, to string) {
	for _, f := range c.m.fields {
		value := ""
		if f.column < len(values) {
			value = values[f.column]
		}
		if !isClean(value) {
			value = string(appendClean(nil, value))
		}
		c.data[f.name] = value
	}
	c.data["email"] = to // as in the envelope, so that links with the address find the recipient again
}

func (c *Composer) render() error {
	m := c.m
	if m.html != nil {
		c.html.reset()
		if err := c.execute(&c.html, m.html, m.linearHTML); err != nil {
			return err
		}
	}
	if m.text == nil {
		return c.converter.convert(&c.text, &c.html)
	}
	c.text.reset()
	return c.execute(&c.text, m.text, m.linearText)
}

// execute writes a template, by its steps if it is linear.
func (c *Composer) execute(w io.Writer, template interface{ Execute(io.Writer, any) error }, direct linear) error {
	if direct != nil {
		return direct.execute(w, c.data, &c.scratch)
	}
	return executionError(template.Execute(w, c.data))
}

// appendBody appends a part in the encoding that it needs, after the rest of its header. As 7bit a part could contain a
// boundary that somebody put there; as quoted-printable it cannot.
func (c *Composer) appendBody(out []byte, b *body) []byte {
	const name7bit, nameQP = "7bit\r\n\r\n", "quoted-printable\r\n\r\n"
	if b.isPlain() {
		start := len(out)
		plain := b.appendPlain(append(out, name7bit...))
		if !bytes.Contains(plain[start:], []byte(c.m.tree.boundary)) {
			return plain
		}
		out = plain[:start]
	}
	return b.appendQuoted(append(out, nameQP...))
}
