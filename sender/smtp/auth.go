package smtp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	mail "github.com/xhit/go-simple-mail/v2"

	"mailblast/sender/reply"
)

// mechanisms are in the order of preference. Over TLS the simplest is as good as any, and servers get it right.
var mechanisms = []struct {
	name string
	auth mail.AuthType
}{{"PLAIN", mail.AuthPlain}, {"LOGIN", mail.AuthLogin}, {"CRAM-MD5", mail.AuthCRAMMD5}}

// login authenticates (RFC 4954). go-simple-mail leads the dialogue, over a connection of ours: see dialogue.
func (s *Session) login(c Config) error {
	if !confidential(s.conn) {
		return reply.Unusable(reply.Auth, errors.New("a password is not sent over an unencrypted connection to another machine"),
			"set smtp.security to starttls or tls, or leave out smtp.username and smtp.password")
	}
	offered := strings.Fields(s.extensions["AUTH"])
	if len(offered) == 0 {
		return reply.Unusable(reply.Auth, errors.New("the server does not offer to log in (no AUTH)"),
			"leave out smtp.username and smtp.password if it takes mail without, or use its submission port (usually 587 or 465)")
	}
	for _, m := range mechanisms {
		if slices.Contains(offered, m.name) {
			return s.loginBy(m.name, m.auth, c)
		}
	}
	return reply.Unusable(reply.Auth, fmt.Errorf("the server offers to log in only by %s", strings.Join(offered, ", ")), "mailblast knows PLAIN, LOGIN and CRAM-MD5")
}

// confidential reports whether nobody on the way can read what goes over the connection.
func confidential(conn net.Conn) bool {
	if _, ok := conn.(*tls.Conn); ok {
		return true
	}
	a, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

func (s *Session) loginBy(mechanism string, auth mail.AuthType, c Config) error {
	d := &dialogue{s: s, mechanism: mechanism}
	d.out.WriteString("220 ready\r\n")
	client := mail.NewSMTPClient()
	client.Host, client.Username, client.Password = c.Host, c.Username, c.Password
	client.Helo, client.Authentication, client.Encryption = "localhost", auth, mail.EncryptionNone
	client.ConnectTimeout, client.SendTimeout = 0, 0
	client.CustomConn = d
	_, err := client.Connect()
	switch {
	case d.err != nil:
		if errors.Is(d.err, reply.ErrSyntax) { // the error quotes the server, which may repeat the password
			return reply.Broken(reply.Auth, fmt.Errorf("the server's reply could not be read: %w", reply.ErrSyntax))
		}
		return d.err
	case d.last.Code == 235:
		s.redactor = newRedactor(c)
		return nil
	case d.last.Code == 334:
		return reply.Unusable(reply.Auth, fmt.Errorf("the server's question in %s was not understood", mechanism), "")
	case d.last.Code == 0: // nothing was sent, and the error of the library may hold the password
		return reply.Unusable(reply.Auth, fmt.Errorf("%s could not be begun: %T", mechanism, err), "")
	}
	r := d.last
	r.Text = newRedactor(c).redact(r.Text)
	e := s.refused(reply.Auth, r, "")
	if e.Final() {
		e.Hint = "check smtp.username and smtp.password"
	}
	return e
}

// A dialogue is the connection that the library logs in over. On a real one the library would say EHLO again, fall back
// to HELO, and read lines without bound. So the dialogue answers the greeting and EHLO itself, and passes each further
// line on to the server, whose reply it reads by our rules. Nothing that the server sent can stay behind in the
// library's buffer.
type dialogue struct {
	net.Conn  // nil: only the methods below are used
	s         *Session
	mechanism string
	in        []byte       // the part of a line that the library has written so far
	out       bytes.Buffer // what the library reads next
	last      reply.Reply  // the server's last answer
	decided   bool         // the log-in has succeeded or failed
	err       error
}

func (d *dialogue) Read(p []byte) (int, error) { return d.out.Read(p) }

func (d *dialogue) Close() error { return nil }

// Write takes lines, in as many parts as the library's buffer makes of them.
func (d *dialogue) Write(p []byte) (int, error) {
	d.in = append(d.in, p...)
	for {
		line, rest, whole := bytes.Cut(d.in, []byte("\r\n"))
		if !whole {
			return len(p), nil
		}
		d.in = rest
		if d.say(string(line)); d.err != nil {
			return 0, d.err
		}
	}
}

// say passes a line on to the server, unless the dialogue answers it itself.
func (d *dialogue) say(line string) {
	switch {
	case strings.HasPrefix(line, "EHLO "):
		fmt.Fprintf(&d.out, "250-ready\r\n250 AUTH %s\r\n", d.mechanism)
		return
	case line == "*", d.decided:
		// The library tidies up with "*" and QUIT. The server need not see that: a session without a log-in is closed.
		d.decided = true
		d.out.WriteString("221 bye\r\n")
		return
	}
	if d.last, d.err = d.s.command(reply.Auth, d.s.timeouts.Greeting, line); d.err != nil {
		return
	}
	d.decided = d.last.Code != 334
	fmt.Fprintf(&d.out, "%d %s\r\n", d.last.Code, d.last.Lines()[0])
}
