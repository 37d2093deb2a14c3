package smtp

import (
	"strconv"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// localRefusal returns the refusal of an envelope that must not be sent to this server, nil for all others.
func (s *Session) localRefusal(m *mail.Message) *reply.Reply {
	switch {
	case m.UTF8 && !s.utf8:
		return &reply.Reply{Code: 553, Status: "5.6.7", Text: "not sent: the address is not in ASCII and the server does not offer SMTPUTF8"}
	case !safe(m.From, m.UTF8) || !safe(m.To, m.UTF8) || m.To == "":
		return &reply.Reply{Code: 553, Status: "5.1.3", Text: "not sent: the address cannot stand in a command"}
	}
	return nil
}

// safe is the last fence against an address that smuggles in parameters or commands. The first is the check of the
// list.
func safe(address string, utf8 bool) bool {
	for _, c := range []byte(address) {
		if c <= ' ' || c == '<' || c == '>' || c == 0x7f || c > 0x7f && !utf8 {
			return false
		}
	}
	return true
}

// appendEnvelope appends MAIL and RCPT, after RSET where the transaction before may be open.
func (s *Session) appendEnvelope(b []byte, m *mail.Message, reset bool) []byte {
	if reset {
		b = append(b, "RSET\r\n"...)
	}
	return appendRcpt(s.appendMail(b, m), m)
}

// appendMail appends MAIL. The size is declared where the server offers SIZE (RFC 1870).
func (s *Session) appendMail(b []byte, m *mail.Message) []byte {
	b = append(append(append(b, "MAIL FROM:<"...), m.From...), '>')
	if s.size && m.Size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(m.Size), 10)
	}
	if m.UTF8 {
		b = append(b, " SMTPUTF8"...)
	}
	return append(b, "\r\n"...)
}

func appendRcpt(b []byte, m *mail.Message) []byte {
	return append(append(append(b, "RCPT TO:<"...), m.To...), ">\r\n"...)
}
