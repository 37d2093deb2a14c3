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

// mechanisms are tried in this order, the first that the server offers: over TLS the simplest is as good as any, and
// the one that servers get right.
var mechanisms = []struct {
	name string
	auth mail.AuthType
}{{"PLAIN", mail.AuthPlain}, {"LOGIN", mail.AuthLogin}, {"CRAM-MD5", mail.AuthCRAMMD5}}

// login authenticates (RFC 4954). The dialogue is go-simple-mail's, over a connection that is ours: see dialogue.
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
		if errors.Is(d.err, reply.ErrSyntax) { // it quotes what the server sent, which may be what it got
			return reply.Broken(reply.Auth, fmt.Errorf("the server's reply could not be read: %w", reply.ErrSyntax))
		}
		return d.err
	case d.last.Code == 235:
		s.redactor = newRedactor(c)
		return nil
	case d.last.Code == 334:
		return reply.Unusable(reply.Auth, fmt.Errorf("the server's question in %s was not understood", mechanism), "")
	case d.last.Code == 0: // nothing was sent; what the library says of it could hold a secret
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

// A dialogue is the connection that the library logs in over. The library would greet again, fall back to HELO, and read
// lines without bound; so it gets greeting and EHLO from here, and each further line that it writes is answered by one
// reply that was read by our rules. Nothing the server sent can be left behind in the library's buffer.
type dialogue struct {
	net.Conn  // nil: only the methods below are used
	s         *Session
	mechanism string
	in        []byte       // of a line that the library has not written whole yet
	out       bytes.Buffer // what the library reads next
	last      reply.Reply  // the server's last answer
	over      bool
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

// say passes a line on to the server, unless it is one that the server need not see.
func (d *dialogue) say(line string) {
	switch {
	case strings.HasPrefix(line, "EHLO "):
		fmt.Fprintf(&d.out, "250-ready\r\n250 AUTH %s\r\n", d.mechanism)
		return
	case line == "*", d.over:
		// It is decided, or the library gives up; it tidies up with "*" and QUIT, but the connection will be closed.
		d.over = true
		d.out.WriteString("221 over\r\n")
		return
	}
	if d.last, d.err = d.s.command(reply.Auth, d.s.timeouts.Greeting, line); d.err != nil {
		return
	}
	d.over = d.last.Code != 334
	fmt.Fprintf(&d.out, "%d %s\r\n", d.last.Code, d.last.Lines()[0])
}
