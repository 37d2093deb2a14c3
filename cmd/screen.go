package cmd

import (
	"io"
	"sync"
	"unicode/utf8"

	"mailblast/campaign/text"
)

// Text from outside must not steer the terminal that it is shown on: names and addresses from lists and queues, replies,
// certificates, file names. The places where it is written take care of it where they can; a screen makes sure of it, as
// the one writer between all commands and their standard output and standard error. Only the progress bar and the colour
// of the summary go past it.

// A screen writes calm text to out. It may be used by many goroutines.
type screen struct {
	out io.Writer

	mu   sync.Mutex
	rest []byte // the beginning of a character whose end has not been written yet
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(s.rest, p...)
	whole := len(all)
	for i := 1; i < utf8.UTFMax && i <= len(all); i++ {
		if last := all[len(all)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= i
			}
			break
		}
	}
	_, err := io.WriteString(s.out, text.ForTerminal(string(all[:whole])))
	s.rest = append(s.rest[:0], all[whole:]...)
	return len(p), err
}
