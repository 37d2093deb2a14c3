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
// By RFC 3030 section 2 a client reads the replies to the envelope before BDAT. This one does not wait, and reads every
// reply afterwards: a message whose recipient is refused is sent for nothing, and the server throws it away.
//
// A server may answer while the client writes. Its replies to a few messages fit into the buffers of the connection, so
// that neither side waits for the other. A server that says more than fits is given up at the deadline.

// chunks are the messages that are under way on a session of a depth of more than 1.
type chunks struct {
	queue []chunk       // not answered, the oldest first
	early []reply.Reply // the replies to them that were read already
	lost  error         // why there are no further replies
}

// A chunk is a message that was sent whole, or refused without the server.
type chunk struct {
	refused *reply.Reply // nothing was sent
	reset   bool         // RSET went before it
}

// readyChunk does not ask the server. It refuses what cannot be sent to it at all.
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

// sendChunk writes a message and waits for nothing. After an error the message is not complete on the wire and never
// will be; the stage Mail says that nothing of it was written. The session takes no more messages then, but those that
// were sent before still have their answers: a server that closes has often answered them.
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
	// The answer to the message before is not known yet. If it is a refusal, that transaction is still open, and
	// without RSET its recipient would get this message as well.
	c := chunk{reset: s.reset || len(s.queue) > 0}
	s.outgoing = s.appendEnvelope(s.outgoing, m, c.reset)
	s.outgoing = append(strconv.AppendInt(append(s.outgoing, "BDAT "...), int64(size), 10), " LAST\r\n"...)
	asked := 0 // replies that may have come to what was written of this message
	for _, piece := range content {
		for len(piece) > 0 {
			n := min(len(piece), blockSize)
			s.outgoing = append(s.outgoing, piece[:n]...)
			piece, size = piece[n:], size-n
			if len(s.outgoing) >= blockSize && size > 0 {
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

// replies returns how many replies the message gets.
func (c chunk) replies() int {
	switch {
	case c.refused != nil:
		return 0
	case c.reset:
		return 4
	}
	return 3
}

// writePart writes what is outgoing, a part of a message to which asked replies may have come already, unless the
// server has said something that makes it pointless. After an error the last octet was not written.
func (s *Session) writePart(asked int) error {
	stage := reply.Mail
	if asked > 0 {
		stage = reply.Data
	}
	if err := s.readEarly(stage, asked); err != nil {
		return err
	}
	whole := len(s.outgoing)
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

// readEarly reads what the server has said so far, and waits for nothing. The error, of a stage, is the reason why the
// message that is being written must not be completed.
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
			surplus = 0 // it does not wait for the end of what it will throw away
		}
		if surplus > 0 || r.Code == 421 {
			return s.stopWriting(stage, fmt.Errorf("the server said this before the message was complete: %s", r))
		}
	}
	return nil
}

// stopWriting ends the writing because of a message that is not completed. What the server has said to the others can
// still be read.
func (s *Session) stopWriting(stage reply.Stage, err error) error {
	s.broken.Store(true)
	s.outgoing = s.outgoing[:0]
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

// answerChunk returns what the server says to the oldest message. At the stage Dot the message was taken, or its
// content was refused; at Mail and Rcpt its envelope was refused. An error of the stage Rset that is not InDoubt says
// that the server was not ready for the message.
//
// After a 421 or an error the session takes no more messages. The server may have answered those behind all the same.
// For those that it has not answered there is an error, since 421 does not say what became of them.
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

// readReplies reads the replies to [RSET] MAIL RCPT BDAT. Each is read, whatever the ones before it say. The stage is
// that of the first refusal, or Dot.
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
			// The server is out of step, and so is everything that it said after this.
			err = s.outOfStep(command.stage, said)
			s.lost, s.early = err, nil
		}
		if err != nil {
			// A message without a recipient cannot be taken, unless the server says that it was, nor can one behind a
			// 421. A server that only refuses RSET may go on and take it.
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

// nextReply returns the next reply that was not looked at.
func (s *Session) nextReply(stage reply.Stage, timeout time.Duration) (reply.Reply, error) {
	if len(s.early) > 0 {
		r := s.early[0]
		s.early = slices.Delete(s.early, 0, 1)
		return r, nil
	}
	return s.readNext(stage, timeout)
}

// readNext reads the next reply off the connection. After an error there are no more replies.
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
