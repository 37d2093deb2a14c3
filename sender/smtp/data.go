package smtp

import (
	"bytes"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// Messages one at a time, by DATA.

// An exchange is where in its only message a session of depth 1 is.
type exchange struct {
	travels  bool          // the envelope of the offered message went out with the message before it
	sent     bool          // a message was sent, and the reply to its final dot was not read
	rejected *reply.Answer // what Answer is to tell of a message that Ready has refused
}

// readyData sends the envelope, unless it went out with the message before, and reads the replies. After an error the
// session is closed.
func (s *Session) readyData(m *mail.Message) (bool, error) {
	travels := s.travels
	s.travels = false
	if !travels {
		if r := s.localRefusal(m); r != nil {
			return s.refuse(reply.Mail, *r)
		}
	}
	stage, r, err := s.putEnvelope(m, travels)
	switch {
	case err != nil:
		return false, err
	case stage == reply.Data && r.Code == 354:
		if err := s.surplus(stage); err != nil {
			return false, err
		}
		s.ready = m
		return true, nil
	case r.Code < 400 || stage == reply.Rset:
		return false, s.outOfStep(stage, r)
	case s.unread() > 0: // the refusal stands
		s.Close()
	}
	return s.refuse(stage, r)
}

// refuse keeps a refusal for Answer.
func (s *Session) refuse(stage reply.Stage, r reply.Reply) (bool, error) {
	a := s.replies.Answer(stage, r)
	s.rejected = &a
	return false, nil
}

// putEnvelope goes through [RSET] MAIL RCPT DATA. It returns the first refusal with its stage, or the reply to DATA.
func (s *Session) putEnvelope(m *mail.Message, travels bool) (stage reply.Stage, r reply.Reply, err error) {
	if !s.pipelining {
		return s.ask(m)
	}
	if !travels {
		s.outgoing = s.appendGroup(s.outgoing, m)
		if _, err := s.write(); err != nil {
			return reply.Mail, r, s.fail(reply.Mail, err)
		}
	}
	return s.readGroup()
}

func (s *Session) appendGroup(b []byte, m *mail.Message) []byte {
	return append(s.appendEnvelope(b, m, s.reset), "DATA\r\n"...)
}

// readGroup reads the replies to commands that went out together. Each is read, whatever the ones before it say (RFC
// 2920 section 3.1).
func (s *Session) readGroup() (stage reply.Stage, r reply.Reply, err error) {
	if s.reset {
		if r, err = s.read(reply.Rset, s.timeouts.Mail); err != nil || !positive(r) {
			return reply.Rset, r, err
		}
		s.reset = false
	}
	toMail, err := s.read(reply.Mail, s.timeouts.Mail)
	if err != nil {
		return reply.Mail, toMail, err
	}
	stage, r = reply.Mail, toMail
	refused := !positive(toMail)
	toRcpt, err := s.read(reply.Rcpt, s.timeouts.Rcpt)
	if err != nil {
		return firstRefusal(refused, stage, r, reply.Rcpt, err)
	}
	if !refused {
		stage, r, refused = reply.Rcpt, toRcpt, !positive(toRcpt)
	}
	toData, err := s.read(reply.Data, s.timeouts.DataInit)
	if err != nil {
		return firstRefusal(refused, stage, r, reply.Data, err)
	}
	s.reset = positive(toMail)
	switch {
	case !refused:
		s.closeAfter(toData)
		return reply.Data, toData, nil
	case positive(toMail) && toRcpt.Code >= 400 && toData.Code == 354:
		s.endForNobody()
	case !positive(toMail) && (positive(toRcpt) || toData.Code < 400):
		// This was no refusal of MAIL. There was one reply too many before, a second one to the last message for
		// instance, so each of these replies answers the command before the one that it seems to answer.
		return reply.Mail, toMail, s.outOfStep(reply.Mail, toMail)
	case toData.Code < 400:
		s.Close() // it does not answer what was asked
	}
	s.closeAfter(r, toRcpt, toData)
	return stage, r, nil
}

// firstRefusal is the result of a group whose replies stopped coming: a refusal that came before counts.
func firstRefusal(refused bool, stage reply.Stage, r reply.Reply, at reply.Stage, err error) (reply.Stage, reply.Reply, error) {
	if refused {
		return stage, r, nil
	}
	return at, r, err
}

// endForNobody sends a lone dot to a server that refused the recipient and waits for content all the same (RFC 2920
// section 3.1). No message is in flight that the dot could complete.
func (s *Session) endForNobody() {
	done, err := s.command(reply.Data, s.timeouts.DataDone, ".")
	if err == nil && (done.Code < 400 && !positive(done) || done.Code == 421) {
		s.Close()
	}
	s.reset = false
}

// ask goes through the commands one at a time, for a server without PIPELINING.
func (s *Session) ask(m *mail.Message) (stage reply.Stage, r reply.Reply, err error) {
	for _, c := range []struct {
		stage   reply.Stage
		timeout time.Duration
		line    []byte
	}{
		{reply.Rset, s.timeouts.Mail, []byte("RSET\r\n")},
		{reply.Mail, s.timeouts.Mail, s.appendMail(nil, m)},
		{reply.Rcpt, s.timeouts.Rcpt, appendRcpt(nil, m)},
		{reply.Data, s.timeouts.DataInit, []byte("DATA\r\n")},
	} {
		if c.stage == reply.Rset && !s.reset {
			continue
		}
		stage = c.stage
		r, err = s.command(stage, c.timeout, string(bytes.TrimSuffix(c.line, []byte("\r\n"))))
		if err != nil || !positive(r) {
			break
		}
		s.reset = stage == reply.Mail || s.reset && stage != reply.Rset
	}
	if err == nil {
		s.closeAfter(r)
	}
	return stage, r, err
}

// closeAfter closes the session if one of the replies says that the server closes it (RFC 5321 section 3.8).
func (s *Session) closeAfter(replies ...reply.Reply) {
	for _, r := range replies {
		if r.Code == 421 {
			s.Close()
		}
	}
}

// sendData writes the content of a message, dot-stuffed, and where the server allows it, the envelope of the message
// that was offered behind it. An error is of the stage Dot if the last octet of the message may have left: only then
// can the server have taken it.
func (s *Session) sendData(m *mail.Message) (err error) {
	start := true // of a line
	for _, piece := range m.Content {
		for len(piece) > 0 {
			block := firstBlock(piece)
			if s.outgoing, err = stuff(s.outgoing, block, start); err != nil {
				return s.fail(reply.Data, err)
			}
			piece, start = piece[len(block):], block[len(block)-1] == '\n'
			if len(s.outgoing) >= blockSize {
				if err := s.writeContent(0); err != nil {
					return err
				}
			}
		}
	}
	if !start {
		s.outgoing = append(s.outgoing, "\r\n"...)
	}
	s.outgoing = append(s.outgoing, ".\r\n"...)
	complete := len(s.outgoing)
	s.reset, s.sent = false, true
	if next := s.offered; next != nil && s.pipelining && s.localRefusal(next) == nil {
		s.outgoing = s.appendGroup(s.outgoing, next)
		s.travels = true
	}
	return s.writeContent(complete)
}

// writeContent writes what is outgoing, a part of the content. In the last part the first complete octets end with the
// final dot; for the others complete is 0.
func (s *Session) writeContent(complete int) error {
	// A server that speaks before the message is complete is out of step. Its reply would be taken for the one to the
	// final dot. Now the message can still be kept from being complete.
	if err := s.interrupted(); err != nil {
		return err
	}
	n, err := s.write()
	switch {
	case err == nil:
		return nil
	case complete > 0 && n >= complete:
		return s.fail(reply.Dot, err)
	}
	// Often the server has said why before it closed the connection.
	if said := s.interrupted(); said != nil {
		return said
	}
	return s.fail(reply.Data, err)
}

// answerData tells of the refusal of the envelope, or reads the reply to the message that was sent.
func (s *Session) answerData() (a reply.Answer, err error) {
	if s.rejected != nil {
		a, s.rejected = *s.rejected, nil
		return a, nil
	}
	s.sent = false
	r, err := s.read(reply.Dot, s.timeouts.DataDone)
	if err != nil {
		return a, err
	}
	if r.Code >= 300 && r.Code < 400 {
		return a, s.outOfStep(reply.Dot, r)
	}
	// Something came that nobody asked for, as no envelope travels that it could answer: the next reply would be taken
	// for the answer to something else.
	if r.Code == 421 || !s.travels && s.unread() > 0 {
		s.Close()
	}
	return s.replies.Answer(reply.Dot, r), nil
}
