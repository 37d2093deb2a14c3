package cmd

import (
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Text from outside must not steer the terminal that it is shown on: names and addresses from lists and queues, replies,
// certificates, file names. The places where it is written take care of it where they can; a screen makes sure of it, as
// the one writer between all commands and their standard output and standard error. Only the progress bar and the colour
// of the summary go past it.

// disturbs says whether a character could steer a terminal, or make a reader see something else than is there.
func disturbs(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// calm replaces what disturbs, and what is not UTF-8, by U+FFFD.
func calm(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, disturbs) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if disturbs(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// visible is calm for what must stand on one line and hide nothing: a name, an address.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// A screen writes calm text to out. It may be used by many goroutines.
type screen struct {
	out io.Writer

	mu   sync.Mutex
	rest []byte // the beginning of a character whose end has not been written yet
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.rest, p...)
	whole := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if last := text[len(text)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= i
			}
			break
		}
	}
	_, err := io.WriteString(s.out, calm(string(text[:whole])))
	s.rest = append(s.rest[:0], text[whole:]...)
	return len(p), err
}
