package header

import (
	"mime"
	"strings"
	"unicode/utf8"

	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// Hole stands in the value of a header field for a text that comes from the recipient's row. It occurs in no UTF-8.
const Hole = 0xff

// A pattern is a text with holes.
type pattern struct {
	text  string
	first int // the number of its first Hole
}

// isHole reports whether the pattern is a Hole and nothing else.
func (p pattern) isHole() bool { return len(p.text) == 1 && p.text[0] == Hole }

// count returns the number of holes.
func (p pattern) count() int {
	n := 0
	for i := range len(p.text) {
		if p.text[i] == Hole {
			n++
		}
	}
	return n
}

// each calls f with the texts and the holes of the pattern, in order. Of a Hole f gets the number.
func (p pattern) each(f func(s string, Hole int)) {
	number, rest := p.first, p.text
	for {
		i := strings.IndexByte(rest, Hole)
		if i < 0 {
			f(rest, -1)
			return
		}
		f(rest[:i], -1)
		f("", number)
		number, rest = number+1, rest[i+1:]
	}
}

// fill returns the text with the values in its holes.
func (p pattern) fill(values []string) string {
	if p.count() == 0 {
		return p.text
	}
	var b strings.Builder
	p.each(func(s string, Hole int) {
		if Hole >= 0 {
			s = values[Hole]
		}
		b.WriteString(s)
	})
	return b.String()
}

// A Fault says what is wrong with the value of a header field, worded as the rest of a sentence that begins with the
// name of the field.
type Fault struct{ Problem, Hint string }

func (f *Fault) Error() string {
	if f.Hint != "" {
		return f.Problem + " (" + f.Hint + ")"
	}
	return f.Problem
}

// An item is one mailbox, one URL or one identifier of a header field.
type item struct {
	outside   pattern // what stands outside of the angle brackets, as it is written
	phrase    pattern // the same without quotation marks and backslashes
	loose     byte    // a character of the phrase that must stand in quotes, and does not; 0: there is none
	bracketed bool
	inside    pattern // between the angle brackets
	places    []place // of the holes in a URL
	settled   bool    // of a URL with holes: no value can make it wrong
	ready     string  // of an item whose address has no holes: the address
	comment   pattern
	commented bool
}

// An itemScanner cuts a value into its items. What is quoted, in angle brackets or in a comment is cut by the template's own
// characters only; holes are never looked into.
type itemScanner struct {
	syntax  syntax
	rest    string
	holes   int // so many are behind
	items   []item
	item    item
	outside []byte
	phrase  []byte
}

func scanItems(syntax syntax, value string) ([]item, error) {
	s := &itemScanner{syntax: syntax, rest: value}
	commas := syntax == mailboxes || syntax == oneMailbox || syntax == urls || syntax == oneURL
	comments := syntax == urls || syntax == oneURL
	for s.rest != "" {
		var err error
		switch c := s.rest[0]; {
		case c == ',' && commas, c == ' ' && syntax == identifiers:
			s.rest = s.rest[1:]
			err = s.finish()
		case c == '<':
			err = s.brackets()
		case c == '"' && !comments:
			err = s.quotes()
		case c == '(' && comments:
			err = s.parentheses()
		default:
			err = s.plain()
		}
		if err != nil {
			return nil, err
		}
	}
	return s.items, s.finish()
}

// finish ends an item. Between two commas there may be nothing.
func (s *itemScanner) finish() error {
	it := &s.item
	it.outside.text = strings.Trim(string(s.outside), " ")
	it.phrase.text = strings.Trim(string(s.phrase), " ")
	switch {
	case it.bracketed || it.outside.text != "":
		s.items = append(s.items, *it)
	case it.commented:
		return &Fault{Problem: "has a comment without anything before it"}
	}
	s.item = item{outside: pattern{first: s.holes}, phrase: pattern{first: s.holes}}
	s.outside, s.phrase = s.outside[:0], s.phrase[:0]
	return nil
}

// brackets reads <…>.
func (s *itemScanner) brackets() error {
	if s.item.bracketed {
		if s.syntax != identifiers {
			return &Fault{Problem: "has two pairs of < and > side by side", Hint: "a comma stands between two"}
		}
		if err := s.finish(); err != nil {
			return err
		}
	}
	end := strings.IndexByte(s.rest, '>')
	if end < 0 || strings.IndexByte(s.rest[1:end], '<') >= 0 {
		return &Fault{Problem: "has a < without its >"}
	}
	s.item.bracketed = true
	s.item.inside = pattern{strings.Trim(s.rest[1:end], " "), s.holes}
	s.holes += s.item.inside.count()
	s.rest = s.rest[end+1:]
	return nil
}

// quotes reads a quoted-string.
func (s *itemScanner) quotes() error {
	if err := s.notBehind(); err != nil {
		return err
	}
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.outside = append(s.outside, s.rest[:i+1]...)
			s.rest = s.rest[i+1:]
			return nil
		case Hole:
			s.holes++
		case '\\':
			if i++; i == len(s.rest) {
				continue
			}
			if s.rest[i] == Hole {
				s.holes++
			}
		}
		s.phrase = append(s.phrase, s.rest[i])
	}
	return &Fault{Problem: "has a quotation mark without its second one"}
}

// parentheses reads a comment, which may hold others.
func (s *itemScanner) parentheses() error {
	if s.item.commented {
		return &Fault{Problem: "has two comments side by side"}
	}
	var content []byte
	s.item.commented, s.item.comment.first = true, s.holes
	for i, depth := 1, 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				s.item.comment.text = string(content)
				s.rest = s.rest[i+1:]
				return nil
			}
		case '\\':
			if i+1 < len(s.rest) {
				i++
			}
		}
		if s.rest[i] == Hole {
			s.holes++
		}
		content = append(content, s.rest[i])
	}
	return &Fault{Problem: "has a ( without its )"}
}

// plain reads one octet outside of everything.
func (s *itemScanner) plain() error {
	c := s.rest[0]
	if c == '>' {
		return &Fault{Problem: "has a > without its <"}
	}
	if c != ' ' {
		if err := s.notBehind(); err != nil {
			return err
		}
	}
	s.rest = s.rest[1:]
	s.outside = append(s.outside, c)
	switch {
	case c == ' ':
		if n := len(s.phrase); n == 0 || s.phrase[n-1] == ' ' {
			return nil
		}
	case c == Hole:
		s.holes++
	case c < utf8.RuneSelf && c != '.' && !address.IsAtext(c) && s.item.loose == 0:
		s.item.loose = c
	}
	s.phrase = append(s.phrase, c)
	return nil
}

// notBehind refuses what follows the angle brackets of an item.
func (s *itemScanner) notBehind() error {
	if s.item.bracketed || s.item.commented {
		return &Fault{Problem: "has something behind its > or ) that does not belong there", Hint: "a comma stands between two"}
	}
	return nil
}

// decodeWords decodes the encoded-words in the template's own text of a phrase or comment.
func (p pattern) decodeWords() pattern {
	if !strings.Contains(p.text, "=?") {
		return p
	}
	var b strings.Builder
	p.each(func(s string, number int) {
		if number >= 0 {
			b.WriteByte(Hole)
			return
		}
		decoder := mime.WordDecoder{}
		if decoded, err := decoder.DecodeHeader(s); err == nil {
			s = decoded
		}
		b.WriteString(text.Unbroken(s))
	})
	return pattern{b.String(), p.first}
}
