// Package text makes what came from outside fit for the place that it goes to: a header field, an error text, the queue,
// a terminal. The functions differ in what they keep:
//
//   - OneLine keeps everything but line breaks and control characters: the value of a header field.
//   - Visible keeps what is printable: a name, an address, a line of a table.
//   - ForTerminal keeps whole texts, with their lines and tabs, and what makes up emoji; it takes what steers a terminal.
//   - StripControl removes, where the others replace: terminal sequences go whole, so that the words of a reply stay.
//   - Quoted and QuoteControl quote as Go does, for error texts in which the exact characters matter.
//
// Short cuts what is too long. Period and Rounded write a duration for a person.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsASCII reports whether all of s is ASCII.
func IsASCII[T ~string | ~[]byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// OneLine replaces control characters and line separators by spaces, and what is not UTF-8 by U+FFFD. It trims the spaces
// around the text.
func OneLine(s string) string { return strings.Trim(Unbroken(s), " ") }

// Unbroken does what OneLine does, but keeps the spaces around the text, for a text that others are put before and after.
func Unbroken(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, breaksLine) {
		s = strings.Map(func(r rune) rune {
			if breaksLine(r) {
				return ' '
			}
			return r // the replacement character for what is not UTF-8
		}, s)
	}
	return s
}

func breaksLine(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// Visible replaces every character that is not printable, and what is not UTF-8, by U+FFFD: the text stands on one line
// and hides nothing.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// ForTerminal replaces what steers a terminal, and what is not UTF-8, by U+FFFD.
func ForTerminal(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, SteersTerminal) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if SteersTerminal(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// SteersTerminal reports whether a character could steer a terminal, or make a reader see something else than is there.
// Line ends and tabs do not.
func SteersTerminal(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// Quoted quotes s for an error text. It cuts s after 80 octets.
func Quoted(s string) string {
	const most = 80
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", head(s, most))
}

// QuotedString returns s as a quoted-string of RFC 5322 section 3.2.4.
func QuotedString(s string) string { return `"` + escapes.Replace(s) + `"` }

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// QuoteControl quotes s when it holds a control character; else it returns s as it is.
func QuoteControl(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// Short returns s in at most so many octets: an ellipsis stands for what it cuts off.
func Short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return head(s, most-len("…")) + "…"
}

// head returns the first octets of s, at most so many, and no half character.
func head(s string, most int) string {
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
