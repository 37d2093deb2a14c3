// Package header writes the header fields of a message (RFC 5322), and the parameters of its parts that hold file names.
//
// A field without a grammar, such as Subject, is any text (header.go): ASCII is folded (fold.go), and everything else goes
// into encoded-words (words.go). A field with a grammar (syntax.go) is read into a Form: a scanner cuts the value into
// mailboxes, URLs or identifiers (scan.go), and each is checked and written as its kind asks (form.go, url.go).
//
// What comes from the row of a recipient is a hole in the value while it is read, so that it never becomes structure: in a
// name it is a part of the name, in a URL it is escaped for its place. What cannot stand where it is put is an error; no
// value is ever replaced by another.
package header

import (
	"mailblast/campaign/text"
)

const (
	foldAt  = 78  // columns, RFC 5322 section 2.1.1
	maxLine = 998 // octets without CRLF, in the same section
	crlf    = "\r\n"
)

// Append appends one header field with an unstructured value. Every value makes exactly one field: control characters
// and line ends become spaces, and the white space around it goes. ASCII is folded at its white space. A value that is not
// ASCII, looks like an encoded-word, or cannot be folded is written in encoded-words (RFC 2047).
func Append(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':')
	value = text.OneLine(value)
	if len(name)+2+len(value) <= foldAt && text.IsASCII(value) && !looksEncoded(value) {
		if value != "" {
			dst = append(append(dst, ' '), value...)
		}
		return append(dst, crlf...)
	}
	if text.IsASCII(value) && !looksEncoded(value) {
		if folded, _, ok := appendFolded(dst, value, len(name)+1, true); ok {
			return append(folded, crlf...)
		}
	}
	dst, _ = appendWords(dst, value, len(name)+1)
	return append(dst, crlf...)
}

// AppendMailbox appends a header field with one mailbox (RFC 5322 section 3.4).
// The display name may be empty, and anything may stand in it; the address is one that was parsed.
func AppendMailbox(dst []byte, name, display, address string) []byte {
	w := writer{dst: append(append(dst, name...), ':'), column: len(name) + 1, first: true}
	w.mailbox(text.OneLine(display), address)
	dst, _ = w.end() // the parts are short enough: the parser has looked at the address, and phrase splits the name
	return dst
}
