package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mailblast/sender/reply"
)

// A push is a message that went out whole, and whose answer was not asked for.
type push struct {
	held  *reply.Reply // a refusal that needed no server: nothing was sent
	reset bool         // RSET went before it
}

// Chunking reports whether the server takes messages that are pushed.
func (s *Session) Chunking() bool { return s.pipelining && s.chunking }

// Push writes a whole message (RFC 3030: its envelope, BDAT with its size, and its content) and waits for nothing, so that
// several can be under way. Each has its Answer, in the order of the pushes; in between there is no Offer. Content is as for
// Send. It keeps nothing of the pieces.
//
// After an error the message was not complete on the wire and never will be, and it has no Answer; stage Mail says that nothing of
// it was written. The session is broken then and takes no more, but those that were pushed before still have theirs: a server
// that closes has often told of them.
//
// A server may answer while it is written to. What it says to a few messages fits into the connection's buffer, so that
// neither waits for the other; one that says so much that it does not is given up at the deadline.
//
// RFC 3030 section 2 has a client read the answers to the envelope before BDAT. Here it does not wait, and every answer is
// read afterwards: a message whose recipient was refused is sent for nothing, and the server throws it away.
func (s *Session) Push(e Envelope, content [][]byte) error {
	if s.Broken() {
		return s.notTaken(reply.Mail, errors.New("the connection was given up before"))
	}
	held := s.unfitting(e)
	size, open := 0, false // open: the last line has no end
	for _, piece := range content {
		if len(piece) > 0 {
			size, open = size+len(piece), piece[len(piece)-1] != '\n'
		}
		if held == nil && !inLines(piece) {
			held = &reply.Reply{Code: 554, Status: "5.6.0", Text: "not sent: " + ErrBareNewline.Error()}
		}
	}
	if held != nil {
		s.pushed = append(s.pushed, push{held: held})
		return nil
	}
	if open {
		size += len("\r\n")
		content = append(content[:len(content):len(content)], []byte("\r\n"))
	}
	// What the server says to the one before is not known yet, and after a refusal its transaction may still be open: without RSET
	// its recipient would get this message as well.
	p := push{reset: s.reset || len(s.pushed) > 0}
	s.flight = s.envelope(s.flight, e, p.reset)
	s.flight = append(strconv.AppendInt(append(s.flight, "BDAT "...), int64(size), 10), " LAST\r\n"...)
	asked := 0 // replies to what was written of this message
	for _, piece := range content {
		for len(piece) > 0 {
			n := min(len(piece), blockSize)
			s.flight = append(s.flight, piece[:n]...)
			piece, size = piece[n:], size-n
			if len(s.flight) >= blockSize && size > 0 {
				if err := s.carry(asked); err != nil {
					return err
				}
				asked = p.replies() - 1
			}
		}
	}
	if err := s.carry(asked); err != nil {
		return err
	}
	s.pushed = append(s.pushed, p)
	return nil
}

// replies is how many the message gets.
func (p push) replies() int {
	switch {
	case p.held != nil:
		return 0
	case p.reset:
		return 4
	}
	return 3
}

// carry writes the flight, a part of a message to which asked replies may have come already, unless the server said something
// that makes it pointless. After an error the last octet of the flight was not written.
func (s *Session) carry(asked int) error {
	stage := reply.Mail
	if asked > 0 {
		stage = reply.Data
	}
	if err := s.listen(stage, asked); err != nil {
		return err
	}
	whole := len(s.flight)
	n, err := s.write()
	if n == whole {
		return nil
	}
	// Often the server has said why before it closed the connection.
	if said := s.listen(reply.Data, asked); said != nil {
		return said
	}
	return s.notTaken(reply.Data, err)
}

// listen reads what the server has said so far, and waits for nothing. The error, of a stage, is why the message that is being
// written is not to be completed.
func (s *Session) listen(stage reply.Stage, asked int) error {
	before := 0
	for _, p := range s.pushed {
		before += p.replies()
	}
	for s.said() {
		r, err := s.hear(stage, s.timeouts.DataBlock)
		if err != nil {
			return err
		}
		s.early = append(s.early, r)
		surplus := len(s.early) - before - asked
		if surplus == 1 && slices.ContainsFunc(s.early[before:before+asked], refusal) {
			surplus = 0 // it does not wait for the end of what it will throw away
		}
		if surplus > 0 || r.Code == 421 {
			return s.notTaken(stage, fmt.Errorf("the server said this before the message was complete: %s", r))
		}
	}
	return nil
}

func refusal(r reply.Reply) bool { return r.Code >= 400 }

// notTaken is the error for a message that is not completed. Nothing more can be written, and what the server has said
// to others can still be read.
func (s *Session) notTaken(stage reply.Stage, err error) error {
	s.broken.Store(true)
	s.flight = s.flight[:0]
	if c, ok := s.tcp.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	return &reply.Error{Stage: stage, Err: err}
}

// inLines reports whether each CR and each LF is part of a line end.
func inLines(content []byte) bool {
	lines := 0
	for i := 0; ; lines++ {
		n := bytes.IndexByte(content[i:], '\n')
		if n < 0 {
			break
		}
		if i += n + 1; i < 2 || content[i-2] != '\r' {
			return false
		}
	}
	return bytes.Count(content, []byte{'\r'}) == lines
}

// Answer tells what the server says to the oldest message that was pushed and not answered; there must be one. At stage Dot it was
// taken, or refused although its envelope was not; at Mail and Rcpt its envelope was refused, and at Rset the server was not ready for
// it. After an error only the server knows what became of the message.
//
// After a 421 or an error the session is broken and takes no more. Messages behind may have been answered all the same; those that
// were not have an error, since 421 does not say what became of them.
func (s *Session) Answer() (stage reply.Stage, r reply.Reply, err error) {
	p := s.pushed[0]
	s.pushed = slices.Delete(s.pushed, 0, 1)
	if p.held == nil {
		stage, r, err = s.fate(p)
		s.reset = err != nil || stage != reply.Dot || refusal(r)
	} else {
		stage, r = reply.Mail, *p.held
	}
	if len(s.pushed) == 0 && (s.Broken() || len(s.early) > 0 || s.unread() > 0) {
		s.Close()
	}
	return stage, r, err
}

// fate reads the replies to [RSET] MAIL RCPT BDAT. Each is read, whatever the ones before it say.
func (s *Session) fate(p push) (stage reply.Stage, r reply.Reply, err error) {
	refused := false
	for _, command := range []struct {
		stage   reply.Stage
		timeout time.Duration
	}{{reply.Rset, s.timeouts.Mail}, {reply.Mail, s.timeouts.Mail}, {reply.Rcpt, s.timeouts.Rcpt}, {reply.Dot, s.timeouts.DataDone}} {
		if command.stage == reply.Rset && !p.reset {
			continue
		}
		var said reply.Reply
		if len(s.early) > 0 {
			said = s.early[0]
			s.early = slices.Delete(s.early, 0, 1)
		} else {
			said, err = s.hear(command.stage, command.timeout)
		}
		if err == nil && (said.Code >= 300 && said.Code < 400 || refused && command.stage == reply.Dot && positive(said)) {
			// It is out of step, and so is all that it said after it.
			err = s.unfit(command.stage, said)
			s.lost, s.early = err, nil
		}
		if err != nil {
			// What has no recipient cannot be taken, unless the server says that it was, nor what comes behind a farewell. Who only
			// refuses RSET may go on to take it.
			if refused && !positive(said) && (stage != reply.Rset || r.Code == 421) {
				return stage, r, nil
			}
			return command.stage, said, err
		}
		if said.Code == 421 || command.stage == reply.Rset && refusal(said) {
			s.broken.Store(true)
		}
		if !refused {
			stage, r, refused = command.stage, said, refusal(said)
		}
	}
	return stage, r, nil
}

// hear reads the next reply off the connection. After an error there are no further ones.
func (s *Session) hear(stage reply.Stage, timeout time.Duration) (reply.Reply, error) {
	if s.lost != nil {
		return reply.Reply{}, s.lost
	}
	r, err := s.read(stage, timeout)
	if err != nil {
		s.lost = err
	}
	return r, err
}
