package cmd

import (
	"io"
	"sync"
	"unicode/utf8"

	"mailblast/campaign/text"
)

// Text from outside must not steer the terminal that it is shown on: names and addresses from lists and queues,
// replies, certificates, file names. Most of it is cleaned where it is written. A screen makes sure of it: all commands
// write to standard output and standard error through one. Only the progress bar and the colour of the summary go past
// it.

// A screen writes text that steers no terminal to out. Its methods may be called by many goroutines.
type screen struct {
	out io.Writer

	mu   sync.Mutex
	rest []byte // the first octets of a character whose last one has not come yet
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
