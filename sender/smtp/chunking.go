package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// Messages whole, several under way at a time, by BDAT (RFC 3030).
//
// RFC 3030 section 2 has a client read the answers to the envelope before BDAT. Here it does not wait, and every answer is read afterwards: a
// message whose recipient was refused is sent for nothing, and the server throws it away.
//
// A server may answer while it is written to. What it says to a few messages fits into the connection's buffer, so that neither waits for
// the other; one that says so much that it does not fit is given up at the deadline.

// chunks are the messages that are under way on a session of a depth of more than 1.
type chunks struct {
	queue []chunk       // those that Answer has not told of, the oldest first
	early []reply.Reply // the replies to them that were read already
	lost  error         // why no further replies come
}

// A chunk is a message that was sent whole, or refused without the server.
type chunk struct {
	refused *reply.Reply // nothing was sent
	reset   bool         // RSET went before it
}

// readyChunk lets every message be sent that can be put to the server at all: the server is not asked.
func (s *Session) readyChunk(m *mail.Message) (bool, error) {
	if s.Broken() {
		return false, s.stopWriting(reply.Mail, errors.New("the connection was given up before"))
	}
	refused := s.localRefusal(m)
	if refused == nil && !slices.ContainsFunc(m.Content, hasBareNewline) {
		s.ready = m
		return true, nil
	}
	if refused == nil {
		refused = &reply.Reply{Code: 554, Status: "5.6.0", Text: "not sent: " + ErrBareNewline.Error()}
	}
	s.queue = append(s.queue, chunk{refused: refused})
	return false, nil
}

// sendChunk writes the message that is ready, and waits for nothing. After an error the message was not complete on the wire and never will be;
// the stage Mail says that nothing of it was written. The session takes no more then, but the messages sent before it still have their answers:
// a server that closes has often told of them.
func (s *Session) sendChunk(m *mail.Message) error {
	content, size := m.Content, 0
	open := false // the last line has no end
	for _, piece := range content {
		if len(piece) > 0 {
			size, open = size+len(piece), piece[len(piece)-1] != '\n'
		}
	}
	if open {
		size += len("\r\n")
		content = append(content[:len(content):len(content)], []byte("\r\n"))
	}
	// What the server says to the message before is not known yet, and after a refusal its transaction may still be open: without RSET its
	// recipient would get this message as well.
	c := chunk{reset: s.reset || len(s.queue) > 0}
	s.flight = s.appendEnvelope(s.flight, m, c.reset)
	s.flight = append(strconv.AppendInt(append(s.flight, "BDAT "...), int64(size), 10), " LAST\r\n"...)
	asked := 0 // replies to what was written of this message
	for _, piece := range content {
		for len(piece) > 0 {
			n := min(len(piece), blockSize)
			s.flight = append(s.flight, piece[:n]...)
			piece, size = piece[n:], size-n
			if len(s.flight) >= blockSize && size > 0 {
				if err := s.writePart(asked); err != nil {
					return err
				}
				asked = c.replies() - 1
			}
		}
	}
	if err := s.writePart(asked); err != nil {
		return err
	}
	s.queue = append(s.queue, c)
	return nil
}

// replies is how many the message gets.
func (c chunk) replies() int {
	switch {
	case c.refused != nil:
		return 0
	case c.reset:
		return 4
	}
	return 3
}

// writePart writes the flight, a part of a message to which asked replies may have come already, unless the server said something that makes
// it pointless. After an error the last octet of the flight was not written.
func (s *Session) writePart(asked int) error {
	stage := reply.Mail
	if asked > 0 {
		stage = reply.Data
	}
	if err := s.readEarly(stage, asked); err != nil {
		return err
	}
	whole := len(s.flight)
	n, err := s.write()
	if n == whole {
		return nil
	}
	// Often the server has said why before it closed the connection.
	if said := s.readEarly(reply.Data, asked); said != nil {
		return said
	}
	return s.stopWriting(reply.Data, err)
}

// readEarly reads what the server has said so far, and waits for nothing. The error, of a stage, is why the message that is being written is
// not to be completed.
func (s *Session) readEarly(stage reply.Stage, asked int) error {
	before := 0
	for _, c := range s.queue {
		before += c.replies()
	}
	for s.hasSpoken() {
		r, err := s.readNext(stage, s.timeouts.DataBlock)
		if err != nil {
			return err
		}
		s.early = append(s.early, r)
		surplus := len(s.early) - before - asked
		if surplus == 1 && slices.ContainsFunc(s.early[before:before+asked], refusal) {
			surplus = 0 // the server does not wait for the end of what it will throw away
		}
		if surplus > 0 || r.Code == 421 {
			return s.stopWriting(stage, fmt.Errorf("the server said this before the message was complete: %s", r))
		}
	}
	return nil
}

// stopWriting is the error for a message that is not completed. Nothing more can be written; what the server has said to others can still be
// read.
func (s *Session) stopWriting(stage reply.Stage, err error) error {
	s.broken.Store(true)
	s.flight = s.flight[:0]
	if c, ok := s.tcp.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	return reply.Broken(stage, err)
}

// hasBareNewline reports whether a CR or LF is not part of a line end.
func hasBareNewline(content []byte) bool {
	lines := 0
	for i := 0; ; lines++ {
		n := bytes.IndexByte(content[i:], '\n')
		if n < 0 {
			break
		}
		if i += n + 1; i < 2 || content[i-2] != '\r' {
			return true
		}
	}
	return bytes.Count(content, []byte{'\r'}) != lines
}

// answerChunk tells what the server says to the oldest message. At stage Dot it was taken, or refused although its envelope was not; at
// Mail and Rcpt its envelope was refused. An error of stage Rset whose explanation is not InDoubt says that the server was not ready for it.
//
// After a 421 or an error the session takes no more. Messages behind may have been answered all the same; those that were not have an error,
// since 421 does not say what became of them.
func (s *Session) answerChunk() (a reply.Answer, err error) {
	c := s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	if c.refused != nil {
		a = s.replies.Answer(reply.Mail, *c.refused)
	} else {
		a, err = s.readChunk(c)
	}
	if len(s.queue) == 0 && (s.Broken() || len(s.early) > 0 || s.unread() > 0) {
		s.Close()
	}
	return a, err
}

// readChunk reads the replies to a message that was sent.
func (s *Session) readChunk(c chunk) (a reply.Answer, err error) {
	stage, r, err := s.readReplies(c)
	s.reset = err != nil || stage != reply.Dot || refusal(r)
	switch {
	case err != nil:
		return a, err.(*reply.Error).InDoubt()
	case stage == reply.Rset:
		e := reply.Broken(stage, nil)
		e.Reply = r
		return a, e
	}
	return s.replies.Answer(stage, r), nil
}

// readReplies reads the replies to [RSET] MAIL RCPT BDAT. Each is read, whatever the ones before it say. The stage is that of the first
// refusal, or Dot.
func (s *Session) readReplies(c chunk) (stage reply.Stage, r reply.Reply, err error) {
	refused := false
	for _, command := range []struct {
		stage   reply.Stage
		timeout time.Duration
	}{{reply.Rset, s.timeouts.Mail}, {reply.Mail, s.timeouts.Mail}, {reply.Rcpt, s.timeouts.Rcpt}, {reply.Dot, s.timeouts.DataDone}} {
		if command.stage == reply.Rset && !c.reset {
			continue
		}
		said, err := s.nextReply(command.stage, command.timeout)
		if err == nil && (said.Code >= 300 && said.Code < 400 || refused && command.stage == reply.Dot && positive(said)) {
			// It is out of step, and so is all that it said after it.
			err = s.outOfStep(command.stage, said)
			s.lost, s.early = err, nil
		}
		if err != nil {
			// What has no recipient cannot be taken, unless the server says that it was, nor can what comes behind a farewell. A server that only
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

// nextReply is the next reply that nobody has looked at.
func (s *Session) nextReply(stage reply.Stage, timeout time.Duration) (reply.Reply, error) {
	if len(s.early) > 0 {
		r := s.early[0]
		s.early = slices.Delete(s.early, 0, 1)
		return r, nil
	}
	return s.readNext(stage, timeout)
}

// readNext reads the next reply off the connection. After an error there are no further ones.
func (s *Session) readNext(stage reply.Stage, timeout time.Duration) (reply.Reply, error) {
	if s.lost != nil {
		return reply.Reply{}, s.lost
	}
	r, err := s.read(stage, timeout)
	if err != nil {
		s.lost = err
	}
	return r, err
}
