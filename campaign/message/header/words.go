package header

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

const (
	maxWord  = 75 // octets of an encoded-word, RFC 2047 section 2
	upperHex = "0123456789ABCDEF"

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

// phrase writes a text that is not empty as a phrase (RFC 5322 section 3.2.5). ASCII is written as atoms or as a
// quoted-string, what is not in encoded-words. There are as few of them side by side as possible, because Python puts a
// space between two in a phrase, where RFC 2047 section 6.2 puts none.
func (w *writer) phrase(s string) {
	if p, ok := plainPhrase(s); ok {
		w.plain = append(w.plain, p...)
		return
	}
	if encodedWidth(s) <= maxWord || strings.Contains(s, "  ") {
		w.encoded(s)
		return
	}
	words := strings.Split(s, " ")
	for i := 0; i < len(words); {
		n := i
		for n < len(words) && !isAtom(words[n]) {
			n++
		}
		if i > 0 {
			w.plain = append(w.plain, ' ')
		}
		if n > i {
			w.encoded(strings.Join(words[i:n], " "))
			i = n
			continue
		}
		w.plain = append(w.plain, words[i]...)
		i++
	}
}

// plainPhrase returns a text as a phrase in ASCII, if it can be one.
func plainPhrase(s string) (string, bool) {
	if !text.IsASCII(s) || looksEncoded(s) {
		return "", false
	}
	if !isPhrase(s) {
		s = text.QuotedString(s)
	}
	return s, longestUnit(s) < maxLine
}

// isAtom reports whether a word may stand between encoded-words as it is.
func isAtom(word string) bool {
	return word != "" && len(word) < maxLine && isPhrase(word) && !strings.Contains(word, "=?") && !strings.Contains(word, "?=")
}

// encoded writes a text in encoded-words, in a single one if that is possible.
func (w *writer) encoded(s string) {
	if encodedWidth(s) <= maxWord {
		words, _ := appendWords(nil, s, 0)
		w.plain = append(w.plain, words[len(" "):]...)
		return
	}
	w.flush()
	w.dst, w.column = appendWords(w.dst, s, w.column)
	w.first = false
}

// encodedWidth returns the length of a text as one encoded-word.
func encodedWidth(s string) int {
	quoted := 0
	for i := 0; i < len(s); i++ {
		quoted += widthQ(s[i])
	}
	return len(wordQ) + min(quoted, base64.StdEncoding.EncodedLen(len(s))) + len(wordEnd)
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
