package smtp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// A Session carries messages over one connection, as sender.Session says. It belongs to one goroutine; only Close may
// be called by others.
//
// At a Depth of 1 the file data.go carries the messages, else chunking.go does.
type Session struct {
	tcp        net.Conn
	conn       net.Conn      // tcp, or TLS over it
	r          *bufio.Reader // of conn
	timeouts   Timeouts
	replies    *reply.Classifier
	extensions map[string]string
	redactor   *redactor // takes the password out of replies; nil before the log-in

	pipelining, size, utf8 bool // what the server offers
	depth                  int

	offered  *mail.Message // the one that Ready will be asked about
	ready    *mail.Message // the one that Send will send: the server waits for its content, or takes it without being asked
	outgoing []byte        // what the next write carries
	reset    bool          // a transaction may be open, so that RSET has to come before the next one
	broken   atomic.Bool

	exchange
	chunks
}

// readBuffer holds a few replies; a longer one grows in reply.Read, up to its bounds.
const readBuffer = 4 << 10

// Depth is how many messages may be sent and not answered.
func (s *Session) Depth() int { return s.depth }

// Offer tells the session of a message. The session keeps the pointer and copies nothing: the message must stay as it
// is until Send has returned or Ready has refused it.
func (s *Session) Offer(m *mail.Message) { s.offered = m }

// Ready reports whether the message that was offered is to be sent. False: it is refused, and Answer tells why in its
// turn. After an error the message was not sent.
func (s *Session) Ready() (bool, error) {
	m := s.offered
	s.offered = nil
	if s.depth > 1 {
		return s.readyChunk(m)
	}
	return s.readyData(m)
}

// Send sends the message that is ready: lines that end in CR LF, in pieces none of which ends between the two. It keeps
// nothing of them. The error says by its explanation whether the last octet may have left.
func (s *Session) Send() error {
	m := s.ready
	s.ready = nil
	if s.depth > 1 {
		return s.sendChunk(m)
	}
	return s.sendData(m)
}

// Answer tells what the server says to the oldest message that was sent or refused and not answered; there must be one.
// The error says by its explanation what became of the message.
func (s *Session) Answer() (reply.Answer, error) {
	if s.depth > 1 {
		return s.answerChunk()
	}
	return s.answerData()
}

// Broken reports whether the session can carry no further message.
func (s *Session) Broken() bool { return s.broken.Load() }

// Close closes the connection at once. It does not even send the closing alert of TLS, which might have to wait for a
// server that does not read.
func (s *Session) Close() {
	s.broken.Store(true)
	s.tcp.Close()
}

// Quit says QUIT and closes. The answer does not matter, but a client should wait for it (RFC 5321 section 4.1.1.10). A
// session that is broken, or in which a message is under way, is closed without a word.
func (s *Session) Quit() {
	if !s.Broken() && s.ready == nil && s.offered == nil && !s.sent && len(s.queue) == 0 {
		if _, err := s.command(reply.Rset, s.timeouts.Quit, "QUIT"); err == nil {
			s.conn.Close() // with the closing alert of TLS
		}
	}
	s.Close()
}

// command sends one line and reads one reply. After an error the session is closed.
func (s *Session) command(stage reply.Stage, timeout time.Duration, line string) (reply.Reply, error) {
	if strings.ContainsAny(line, "\r\n\x00") {
		s.Close()
		return reply.Reply{}, reply.Unusable(stage, fmt.Errorf("%q cannot stand in a command", line), "")
	}
	if err := s.surplus(stage); err != nil {
		return reply.Reply{}, err
	}
	s.conn.SetWriteDeadline(time.Now().Add(timeout))
	if _, err := s.conn.Write([]byte(line + "\r\n")); err != nil {
		return reply.Reply{}, s.fail(stage, err)
	}
	return s.read(stage, timeout)
}

// read reads one reply within the time-out. After an error the session is closed.
func (s *Session) read(stage reply.Stage, timeout time.Duration) (reply.Reply, error) {
	s.conn.SetReadDeadline(time.Now().Add(timeout))
	r, err := reply.Read(s.r)
	if err != nil {
		return r, s.fail(stage, fmt.Errorf("the server's reply could not be read: %w", err))
	}
	return s.redacted(r), nil
}

// redacted returns a reply without the password.
func (s *Session) redacted(r reply.Reply) reply.Reply {
	if s.redactor != nil {
		r.Text = s.redactor.redact(r.Text)
	}
	return r
}

// unread returns how many octets have arrived that nobody has read, as far as this can be told without waiting. A TLS
// connection may hold whole records that neither the reader nor the system shows: under a deadline that has passed it
// returns them, and does not wait for others.
func (s *Session) unread() int {
	if _, encrypted := s.conn.(*tls.Conn); encrypted && s.r.Buffered() == 0 {
		s.conn.SetReadDeadline(time.Unix(1, 0))
		s.r.Peek(1)
	}
	return s.r.Buffered()
}

// surplus closes the session if the server said more than it was asked for: the next reply would be taken for the
// answer to something else.
func (s *Session) surplus(stage reply.Stage) error {
	n := s.unread()
	if n == 0 {
		return nil
	}
	return s.fail(stage, fmt.Errorf("the server sent %d octets that nobody asked for", n))
}

// outOfStep closes the session after a reply that cannot be the answer to what was asked.
func (s *Session) outOfStep(stage reply.Stage, r reply.Reply) error {
	e := s.fail(stage, errors.New("the server's reply does not fit the command"))
	e.Reply = r
	return e
}

// fail closes the session because of err.
func (s *Session) fail(stage reply.Stage, err error) *reply.Error {
	s.Close()
	return reply.Broken(stage, err)
}

func positive(r reply.Reply) bool { return r.Code >= 200 && r.Code < 300 }

func refusal(r reply.Reply) bool { return r.Code >= 400 }
