package text

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// StripControl makes one line of text fit to be stored and shown: valid UTF-8, without control characters, terminal
// sequences, and the invisible characters that reorder or hide others. Tabs and line separators become spaces. It trims
// the white space around the text.
func StripControl(b []byte) string {
	b = bytes.TrimFunc(b, unicode.IsSpace)
	plain := true
	for _, c := range b {
		plain = plain && ' ' <= c && c <= '~'
	}
	if plain {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		if n := sequenceLen(b); n > 0 {
			b = b[n:]
			continue
		}
		c, n := utf8.DecodeRune(b) // an invalid octet gives U+FFFD, which is what a person should see
		b = b[n:]
		switch {
		case c == '\t', unicode.In(c, unicode.Zl, unicode.Zp):
			out.WriteByte(' ')
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c):
		default:
			out.WriteRune(c)
		}
	}
	return strings.TrimSpace(out.String())
}

// sequenceLen returns the length of the terminal sequence that b starts with (ECMA-48: ESC [ … final octet, or
// ESC ] … BEL or ESC \, or ESC and one octet), 0 when b does not start with ESC.
func sequenceLen(b []byte) int {
	if b[0] != 0x1b {
		return 0
	}
	if len(b) < 2 {
		return 1
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if b[i] < 0x20 || b[i] > 0x7e { // cut off: what follows is text again
				return i
			}
			if b[i] >= 0x40 {
				return i + 1
			}
		}
		return len(b)
	case ']':
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b {
				return i // the ESC \ that ends it is the next sequence
			}
		}
		return len(b)
	}
	if b[1] >= utf8.RuneSelf {
		return 1 // half a character must not be left behind
	}
	return 2
}
