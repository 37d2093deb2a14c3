package message

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"mailblast/campaign"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

const (
	foldAt  = 78 // columns, RFC 5322 section 2.1.1
	maxWord = 75 // of an encoded-word, RFC 2047 section 2
)

// appendHeader appends one header field with an unstructured value. Every value makes exactly one field: control characters
// and line ends become spaces, and the white space around it goes. ASCII is folded at its white space. A value that is not
// ASCII, looks like an encoded-word, or cannot be folded is written in encoded-words (RFC 2047).
func appendHeader(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':')
	value = text.OneLine(value)
	if len(name)+2+len(value) <= foldAt && text.IsASCII(value) && !looksEncoded(value) {
		if value != "" {
			dst = append(append(dst, ' '), value...)
		}
		return append(dst, crlf...)
	}
	if text.IsASCII(value) && !looksEncoded(value) {
		if folded, ok := appendFolded(dst, value, len(name)+1); ok {
			return append(folded, crlf...)
		}
	}
	dst, _ = appendWords(dst, value, len(name)+1)
	return append(dst, crlf...)
}

// appendMailbox appends a header field with one mailbox (RFC 5322 section 3.4).
func appendMailbox(dst []byte, name string, m campaign.Mailbox) []byte {
	dst = append(append(dst, name...), ':')
	display := text.OneLine(m.Name)
	column := len(name) + 1
	if display == "" {
		return append(append(append(dst, ' '), m.Address.String()...), crlf...)
	}
	const longest = 60 // leaves room for the field's name; longer names are folded as encoded-words
	if text.IsASCII(display) && !looksEncoded(display) && len(display) <= longest {
		if !isPhrase(display) {
			display = text.QuotedString(display)
		}
		dst = append(append(dst, ' '), display...)
		column += 1 + len(display)
	} else {
		dst, column = appendWords(dst, display, column)
	}
	address := "<" + m.Address.String() + ">"
	if column+1+len(address) > foldAt {
		dst = append(dst, crlf...)
	}
	return append(append(append(dst, ' '), address...), crlf...)
}

// isPhrase reports whether a display name is atoms and single spaces, so that it needs no quotes.
func isPhrase(s string) bool {
	for i := 0; i < len(s); i++ {
		if !address.IsAtext(s[i]) && (s[i] != ' ' || s[i-1] == ' ') {
			return false
		}
	}
	return true
}

// looksEncoded reports whether a mail reader could take a part of s for an encoded-word.
func looksEncoded(s string) bool {
	_, rest, ok := strings.Cut(s, "=?")
	return ok && strings.Contains(rest, "?=")
}

// appendFolded appends ASCII, folded before white space where the line would pass 78 columns. It returns false if a line
// would be longer than is allowed at all.
func appendFolded(dst []byte, value string, column int) ([]byte, bool) {
	for first := true; value != ""; first = false {
		end := len(value) - len(strings.TrimLeft(value, " "))
		space := max(end, 1)
		if i := strings.IndexByte(value[end:], ' '); i >= 0 {
			end += i
		} else {
			end = len(value)
		}
		word := value[len(value)-len(strings.TrimLeft(value, " ")) : end]
		value = value[end:]
		fits := space+len(word) <= foldAt
		if (!first || fits) && column+space+len(word) > foldAt {
			dst, column = append(dst, crlf...), 0
		}
		if column += space + len(word); column > maxLine {
			return nil, false
		}
		dst = append(dst, strings.Repeat(" ", space)...)
		dst = append(dst, word...)
	}
	return dst, true
}

const (
	wordB   = "=?utf-8?b?"
	wordQ   = "=?utf-8?q?"
	wordEnd = "?="
)

// appendWords appends value as encoded-words, one on each line, none of which splits a character (RFC 2047 section 5). It
// uses the characters that are allowed in a display name as well. It returns the column after the last word.
func appendWords(dst []byte, value string, column int) ([]byte, int) {
	quoted := 0
	for i := 0; i < len(value); i++ {
		quoted += widthQ(value[i])
	}
	asQ := quoted <= base64.StdEncoding.EncodedLen(len(value))
	room := min(maxWord, foldAt-column-1) - len(wordQ) - len(wordEnd)
	if room < 12 { // after a long name there is no room for a character of four octets: fold first
		dst, column = append(dst, crlf...), 0
		room = maxWord - len(wordQ) - len(wordEnd)
	}
	for {
		end, width := 0, 0
		for end < len(value) {
			_, n := utf8.DecodeRuneInString(value[end:])
			w := base64.StdEncoding.EncodedLen(end + n)
			if asQ {
				w = width
				for i := end; i < end+n; i++ {
					w += widthQ(value[i])
				}
			}
			if w > room {
				break
			}
			end, width = end+n, w
		}
		dst = append(dst, ' ')
		if asQ {
			dst = appendQ(append(dst, wordQ...), value[:end])
		} else {
			dst = base64.StdEncoding.AppendEncode(append(dst, wordB...), []byte(value[:end]))
		}
		dst = append(dst, wordEnd...)
		column += 1 + len(wordQ) + width + len(wordEnd)
		if value = value[end:]; value == "" {
			return dst, column
		}
		dst, column = append(dst, crlf...), 0
		room = maxWord - len(wordQ) - len(wordEnd)
	}
}

func widthQ(c byte) int {
	if c == ' ' || isPlainQ(c) {
		return 1
	}
	return 3
}

// isPlainQ reports whether c may stand as it is in the narrowest of the sets of RFC 2047 section 5 (3).
func isPlainQ(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!*+-/", c) >= 0
}

func appendQ(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '_')
		case isPlainQ(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// appendFilename appends the filename parameter, each on a line of its own. A name outside ASCII is written twice, as RFC
// 6266 appendix D says: in ASCII for readers that know nothing better, and by RFC 2231, in several sections if it is long.
func appendFilename(dst []byte, name string) []byte {
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, name)
	if len(ascii) <= 60 {
		dst = fmt.Appendf(dst, ";\r\n filename=%s", text.QuotedString(ascii))
		if ascii == name {
			return dst
		}
	}
	const room = 50 // octets of a section
	pieces := []string{""}
	for _, r := range name {
		var b strings.Builder
		for _, c := range []byte(string(r)) {
			if isPlainQ(c) && c != '*' && c != '/' || c == '.' || c == '_' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		if len(pieces[len(pieces)-1])+b.Len() > room {
			pieces = append(pieces, "")
		}
		pieces[len(pieces)-1] += b.String()
	}
	if len(pieces) == 1 {
		return fmt.Appendf(dst, ";\r\n filename*=utf-8''%s", pieces[0])
	}
	for i, p := range pieces {
		charset := ""
		if i == 0 {
			charset = "utf-8''"
		}
		dst = fmt.Appendf(dst, ";\r\n filename*%d*=%s%s", i, charset, p)
	}
	return dst
}
