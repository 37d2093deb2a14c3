package smtp

import (
	"bytes"
	"errors"
	"strconv"

	"mailblast/sender/reply"
)

// An Envelope is who a message is from and for (RFC 5321 section 2.3.1).
type Envelope struct {
	From, To string // what stands between the angle brackets
	UTF8     bool   // an address needs SMTPUTF8 (RFC 6531)
	Size     int    // octets of content, declared where the server offers SIZE (RFC 1870)
}

// Offer starts a message: its envelope goes out with the next flight, or with Ready.
func (s *Session) Offer(e Envelope) {
	s.offered, s.held = &e, s.unfitting(e)
	if s.held == nil && s.pipelining {
		s.flight = append(s.envelope(s.flight, e, s.reset), "DATA\r\n"...)
	}
}

// unfitting is the refusal of an envelope that cannot be put to this server, nil for all others.
func (s *Session) unfitting(e Envelope) *reply.Reply {
	switch {
	case e.UTF8 && !s.utf8:
		return &reply.Reply{Code: 553, Status: "5.6.7", Text: "not sent: the address is not in ASCII and the server does not offer SMTPUTF8"}
	case !safe(e.From, e.UTF8) || !safe(e.To, e.UTF8) || e.To == "":
		return &reply.Reply{Code: 553, Status: "5.1.3", Text: "not sent: the address cannot stand in a command"}
	}
	return nil
}

// safe is the last fence against parameters and commands that are smuggled in by an address; campaign.ParseAddress is
// the first.
func safe(address string, utf8 bool) bool {
	for _, c := range []byte(address) {
		if c <= ' ' || c == '<' || c == '>' || c == 0x7f || c > 0x7f && !utf8 {
			return false
		}
	}
	return true
}

// envelope appends the commands of an envelope, after RSET where the transaction before may be open.
func (s *Session) envelope(b []byte, e Envelope, reset bool) []byte {
	if reset {
		b = append(b, "RSET\r\n"...)
	}
	return s.rcpt(s.mail(b, e), e)
}

func (s *Session) mail(b []byte, e Envelope) []byte {
	b = append(append(append(b, "MAIL FROM:<"...), e.From...), '>')
	if s.size && e.Size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(e.Size), 10)
	}
	if e.UTF8 {
		b = append(b, " SMTPUTF8"...)
	}
	return append(b, "\r\n"...)
}

func (s *Session) rcpt(b []byte, e Envelope) []byte {
	return append(append(append(b, "RCPT TO:<"...), e.To...), ">\r\n"...)
}

// Ready tells what the server says to the envelope that was offered last. Code 354 means that it waits for the content;
// any other reply is its refusal, and stage says of what. After an error the session is broken, and nothing of the
// message was sent.
func (s *Session) Ready() (stage reply.Stage, r reply.Reply, err error) {
	e := *s.offered
	s.offered = nil
	if s.held != nil {
		return reply.Mail, *s.held, nil
	}
	if s.pipelining {
		stage, r, err = s.readGroup()
	} else {
		stage, r, err = s.stepwise(e)
	}
	switch {
	case err != nil:
	case !s.ready && (r.Code < 400 || stage == reply.Rset):
		err = s.unfit(stage, r)
	case s.ready:
		err = s.unasked(stage)
	case s.unread() > 0: // the refusal stands
		s.Close()
	}
	return stage, r, err
}

// unfit gives the session up after a reply that cannot be the answer to what was asked.
func (s *Session) unfit(stage reply.Stage, r reply.Reply) error {
	s.Close()
	return &reply.Error{Stage: stage, Reply: r, Err: errors.New("the server's reply does not fit the command")}
}

// readGroup reads the replies to [RSET] MAIL RCPT DATA that went out together. Each is read, whatever the ones before it
// say (RFC 2920 section 3.1).
func (s *Session) readGroup() (stage reply.Stage, r reply.Reply, err error) {
	if len(s.flight) > 0 { // it did not go behind a message
		if _, err := s.write(); err != nil {
			return reply.Mail, r, s.fail(reply.Mail, err)
		}
	}
	if s.reset {
		if r, err = s.read(reply.Rset, s.timeouts.Mail); err != nil {
			return reply.Rset, r, err
		}
		if !positive(r) {
			return reply.Rset, r, nil
		}
		s.reset = false
	}
	mail, err := s.read(reply.Mail, s.timeouts.Mail)
	if err != nil {
		return reply.Mail, mail, err
	}
	stage, r = reply.Mail, mail
	refused := !positive(mail)
	rcpt, err := s.read(reply.Rcpt, s.timeouts.Rcpt)
	if err != nil {
		return s.brokenOff(refused, stage, r, reply.Rcpt, err)
	}
	if !refused {
		stage, r, refused = reply.Rcpt, rcpt, !positive(rcpt)
	}
	data, err := s.read(reply.Data, s.timeouts.DataInit)
	if err != nil {
		return s.brokenOff(refused, stage, r, reply.Data, err)
	}
	s.reset = positive(mail)
	switch {
	case !refused:
		s.answerToData(data)
		return reply.Data, data, nil
	case positive(mail) && rcpt.Code >= 400 && data.Code == 354:
		// The recipient was refused, and content is expected all the same. A lone dot ends it, for nobody (RFC 2920
		// section 3.1); no message is in flight that it could complete.
		if done, err := s.command(reply.Data, s.timeouts.DataDone, "."); err == nil && (done.Code < 400 && !positive(done) || done.Code == 421) {
			s.Close()
		}
		s.reset = false
	case !positive(mail) && (positive(rcpt) || data.Code < 400):
		// MAIL was not refused: there was a reply too many before, a second one to the last message for instance, and these
		// are about one command earlier than they seem.
		return reply.Mail, mail, s.unfit(reply.Mail, mail)
	case data.Code < 400:
		s.Close() // what it is talking about is not what was asked
	}
	s.closing(r, rcpt, data)
	return stage, r, nil
}

// brokenOff is the end of a group whose replies stopped coming: a refusal that came before counts.
func (s *Session) brokenOff(refused bool, stage reply.Stage, r reply.Reply, at reply.Stage, err error) (reply.Stage, reply.Reply, error) {
	if refused {
		return stage, r, nil
	}
	return at, r, err
}

// stepwise is the same dialogue with a server that wants to be asked one thing at a time.
func (s *Session) stepwise(e Envelope) (stage reply.Stage, r reply.Reply, err error) {
	if s.reset {
		if r, err = s.command(reply.Rset, s.timeouts.Mail, "RSET"); err != nil {
			return reply.Rset, r, err
		}
		if !positive(r) {
			return reply.Rset, r, nil
		}
		s.reset = false
	}
	line := func(b []byte) string { return string(bytes.TrimSuffix(b, []byte("\r\n"))) }
	if r, err = s.command(reply.Mail, s.timeouts.Mail, line(s.mail(nil, e))); err != nil || !positive(r) {
		s.closing(r)
		return reply.Mail, r, err
	}
	s.reset = true
	if r, err = s.command(reply.Rcpt, s.timeouts.Rcpt, line(s.rcpt(nil, e))); err != nil || !positive(r) {
		s.closing(r)
		return reply.Rcpt, r, err
	}
	if r, err = s.command(reply.Data, s.timeouts.DataInit, "DATA"); err == nil {
		s.answerToData(r)
	}
	return reply.Data, r, err
}

func (s *Session) answerToData(r reply.Reply) {
	s.ready = r.Code == 354
	s.closing(r)
}

// closing gives the session up when a reply says that the server does (RFC 5321 section 3.8).
func (s *Session) closing(replies ...reply.Reply) {
	for _, r := range replies {
		if r.Code == 421 {
			s.Close()
		}
	}
}

func positive(r reply.Reply) bool { return r.Code >= 200 && r.Code < 300 }

// Result reads the reply to the message that was sent. After an error only the server knows what became of it, and the
// session is broken.
func (s *Session) Result() (reply.Reply, error) {
	r, err := s.read(reply.Dot, s.timeouts.DataDone)
	if err != nil {
		return r, err
	}
	if r.Code >= 300 && r.Code < 400 {
		return r, s.unfit(reply.Dot, r)
	}
	// A reply nobody asked for, when none is awaited: the next one would be taken for the answer to something else.
	awaited := s.pipelining && s.offered != nil && s.held == nil
	if r.Code == 421 || !awaited && s.unread() > 0 {
		s.Close()
	}
	return r, nil
}
