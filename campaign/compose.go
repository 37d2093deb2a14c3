package campaign

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"mailblast/campaign/text"
)

// A Recipient is whom a message is composed for.
type Recipient struct {
	Address   Address
	Values    []string // by column; missing ones are empty
	MessageID string   // without angle brackets
	Date      time.Time
}

// A Composer fills the parts of one recipient after the other into a message. It owns the buffers for that, so each
// goroutine needs its own.
type Composer struct {
	m          *Message
	data       map[string]string
	text, html body
	maker      textMaker
	value      fieldValue
	scratch    []byte // a field's value, for straight templates
	out        []byte
	content    [2][]byte
}

// Composer returns a new one.
func (m *Message) Composer() *Composer {
	return &Composer{
		m:     m,
		data:  maps.Clone(m.blank),
		text:  body{known: m.known, rounds: roundCounter{marks: m.marks}},
		html:  body{known: m.known, rounds: roundCounter{marks: m.marks}},
		value: fieldValue{rounds: roundCounter{marks: m.marks}},
		maker: textMaker{word: m.word, slow: m.markupOut, skeletons: map[string][]textPiece{}},
	}
}

// Compose makes the message of one recipient (RFC 5322): CRLF line ends, no line over 998 octets, not dot-stuffed. The
// message is the chunks one after the other; what comes after the recipient's own chunk, the attachments, is the same
// memory for all. The chunks are valid until the next call and must not be changed. An error names the template and the
// place, and concerns this recipient only.
//
// The header fields come in this order: From, To, Subject, Date, Message-ID, Reply-To, those of the campaign file,
// MIME-Version, Content-Type, Content-Transfer-Encoding. Their number is the same for all recipients. A Return-Path is for
// the server that delivers to write (RFC 5321 section 4.4).
func (c *Composer) Compose(r Recipient) (content [][]byte, err error) {
	m := c.m
	if err := checkEnvelope(r); err != nil {
		return nil, err
	}
	c.fill(r)
	if err := c.render(); err != nil {
		return nil, err
	}

	out := append(c.out[:0], m.from...)
	out = append(out, "To: "...)
	out = append(out, r.Address.Local...)
	out = append(out, '@')
	out = append(out, r.Address.Domain...)
	out = append(out, "\r\n"...)
	if out, err = c.appendField(out, &m.subject); err != nil {
		return nil, err
	}
	out = append(out, "Date: "...)
	out = r.Date.AppendFormat(out, time.RFC1123Z)
	out = append(out, "\r\nMessage-ID: <"...)
	out = append(out, r.MessageID...)
	out = append(out, ">\r\n"...)
	out = append(out, m.replyTo...)
	for i := range m.headers {
		if out, err = c.appendField(out, &m.headers[i]); err != nil {
			return nil, err
		}
	}
	out = append(out, "MIME-Version: 1.0\r\n"...)
	out = c.appendBody(append(out, m.tree.text...), &c.text)
	if m.html != nil {
		out = c.appendBody(append(out, m.tree.html...), &c.html)
	}
	const worthAChunk = 1024 // a few closing boundaries are sooner copied
	if len(m.tree.tail) < worthAChunk {
		c.out = append(out, m.tree.tail...)
		c.content[0] = c.out
		return c.content[:1], nil
	}
	c.out = out
	c.content = [2][]byte{out, m.tree.tail}
	return c.content[:], nil
}

// checkEnvelope refuses what would break out of the fields To and Message-ID. It comes from ParseAddress and from the
// queue, so nothing of that kind is expected.
func checkEnvelope(r Recipient) error {
	const longest = 900 // octets, for the line to stay under 998
	for _, s := range []string{r.Address.Local, r.Address.Domain, r.MessageID} {
		if s == "" || len(s) > longest || !isClean(s) || strings.ContainsAny(s, "\n\t <>") {
			return fmt.Errorf("compose: %s is not part of an address or a message id", text.Quoted(s))
		}
	}
	return nil
}

// fill puts the recipient's row where the templates find it.
func (c *Composer) fill(r Recipient) {
	for _, f := range c.m.fields {
		value := ""
		if f.column < len(r.Values) {
			value = r.Values[f.column]
		}
		if !isClean(value) {
			value = string(appendClean(nil, value))
		}
		c.data[f.name] = value
	}
	// As it is in the envelope, so that links with it find the recipient again.
	c.data["email"] = r.Address.String()
}

func (c *Composer) render() error {
	m := c.m
	if m.html != nil {
		c.html.reset()
		if err := c.execute(&c.html, m.html, m.htmlSteps); err != nil {
			return err
		}
	}
	if m.text == nil {
		return c.maker.make(&c.text, &c.html)
	}
	c.text.reset()
	return c.execute(&c.text, m.text, m.textSteps)
}

// execute writes a template, straight where it is.
func (c *Composer) execute(w io.Writer, template interface{ Execute(io.Writer, any) error }, steps straight) error {
	if steps != nil {
		return steps.execute(w, c.data, &c.scratch)
	}
	return executionError(template.Execute(w, c.data))
}

func (c *Composer) appendField(out []byte, f *headerField) ([]byte, error) {
	if f.template == nil {
		return append(out, f.fixed...), nil
	}
	c.value.Reset()
	c.value.rounds.reset()
	if err := c.execute(&c.value, f.template, f.steps); err != nil {
		return out, fmt.Errorf("header %s: %w", f.name, err)
	}
	return appendHeader(out, f.name, c.value.String()), nil
}

// A fieldValue is the rendered value of a header field. It ends the execution of a template that prints too much.
type fieldValue struct {
	bytes.Buffer
	rounds roundCounter
}

func (v *fieldValue) Write(p []byte) (int, error) {
	if ok, err := v.rounds.isMark(p); ok {
		return 0, err
	}
	const most = 16 << 10 // octets; servers refuse longer header fields
	if v.Len()+len(p) > most {
		return 0, v.rounds.fault(fmt.Sprintf("it is longer than %d octets", most))
	}
	return v.Buffer.Write(p)
}

// appendBody appends a part in the encoding it needs, with the rest of its header. In 7bit its text could hold a
// boundary, when somebody put it there; in quoted-printable it cannot.
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
