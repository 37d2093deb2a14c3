package e2e

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// A rogue is an SMTP server that says what it was told to say at each command, and elsewhere what a kind one says.
type rogue struct {
	greeting string
	reply    func(line string, before []string) string // before: what this session has said; "": be kind
	tls      *tls.Config

	mu    sync.Mutex
	lines []string
	data  chan struct{} // when set, DATA is answered only after a receive; closed at the end
}

func (r *rogue) start(t *testing.T) (port int) {
	t.Helper()
	return listen(t, r.tls, r.serve)
}

func (r *rogue) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(s string) { io.WriteString(conn, s+"\r\n") }
	say(r.greeting)
	var before []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		r.mu.Lock()
		r.lines = append(r.lines, line)
		answer := r.reply(line, before)
		r.mu.Unlock()
		before = append(before, line)
		command := strings.ToUpper(line)
		switch {
		case answer != "":
			say(answer)
		case strings.HasPrefix(command, "DATA"):
			if r.data != nil {
				<-r.data
			}
			say("354 go on")
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			say("250 2.0.0 taken")
		case strings.HasPrefix(command, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

// heard is how many lines began with this.
func (r *rogue) heard(command string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.HasPrefix(line, command) {
			n++
		}
	}
	return n
}
