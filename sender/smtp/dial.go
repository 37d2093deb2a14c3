package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"mailblast/sender/reply"
)

// A Transport opens sessions with one server. Goroutines may share it.
type Transport struct {
	config Config
	gate   *dialGate // nil: none
}

// NewTransport makes a transport. It does not dial: the error for a configuration that cannot be used comes from Dial.
func NewTransport(c Config) *Transport {
	c.Timeouts = c.Timeouts.withDefaults()
	if c.Replies == nil {
		c.Replies = reply.NewClassifier(nil)
	}
	t := &Transport{config: c}
	if c.Security != None || c.Username != "" { // else the others have nothing to learn from the first sessions
		t.gate = newDialGate(dialsAtFirst)
	}
	return t
}

// Dial opens a session, ready for the first message. Errors are *reply.Error. When ctx ends, Dial does.
func (t *Transport) Dial(ctx context.Context) (s *Session, err error) {
	err = t.gate.pass(ctx, func() (err error) {
		s, err = t.config.dial(ctx)
		return err
	})
	return s, err
}

// dial connects to the server and opens a session.
func (c Config) dial(ctx context.Context) (*Session, error) {
	if err := c.check(); err != nil {
		return nil, reply.Unusable(reply.Connect, err, "")
	}
	server := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	dialer := net.Dialer{Timeout: c.Timeouts.Connect}
	if c.SourceIP.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.SourceIP, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if ctx.Err() != nil && err != nil {
		return nil, reply.Broken(reply.Connect, context.Cause(ctx))
	}
	var unsuitable *net.AddrError
	if errors.As(err, &unsuitable) && c.SourceIP.IsValid() {
		return nil, reply.Unusable(reply.Connect, err, fmt.Sprintf("the server has no address of the kind of source_ip %v (IPv4 or IPv6)", c.SourceIP))
	}
	if err != nil {
		return nil, withHint(reply.Broken(reply.Connect, err), "check smtp.host and smtp.port, and that a firewall lets the connection out")
	}
	conn = newSocket(conn)
	s := &Session{tcp: conn, conn: conn, r: bufio.NewReaderSize(conn, readBuffer), timeouts: c.Timeouts, replies: c.Replies, depth: 1}
	stop := context.AfterFunc(ctx, s.Close)
	err = s.open(ctx, c)
	if !stop() {
		// ctx has closed the connection, so what it looked like to the session does not matter.
		err = reply.Broken(reply.Connect, context.Cause(ctx))
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func withHint(e *reply.Error, hint string) *reply.Error {
	e.Hint = hint
	return e
}

// open makes of a new TCP connection a session that takes messages.
func (s *Session) open(ctx context.Context, c Config) error {
	if c.Security == TLS {
		if err := s.startTLS(ctx, c); err != nil {
			return err
		}
	}
	greeting, err := s.read(reply.Connect, s.timeouts.Greeting)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && c.Security != TLS {
			return withHint(err.(*reply.Error), "if this port speaks TLS from the first byte (usually 465), set smtp.security to tls")
		}
		return err
	}
	if greeting.Code != 220 {
		return s.refused(reply.Connect, greeting, "")
	}
	if err := s.hello(c, c.Security != None || c.Username != ""); err != nil {
		return err
	}
	if c.Security == StartTLS {
		if err := s.upgrade(ctx, c); err != nil {
			return err
		}
	}
	if c.Username != "" {
		if err := s.login(c); err != nil {
			return err
		}
	}
	_, s.pipelining = s.extensions["PIPELINING"]
	_, s.size = s.extensions["SIZE"]
	_, s.utf8 = s.extensions["SMTPUTF8"]
	if _, chunking := s.extensions["CHUNKING"]; chunking && s.pipelining {
		s.depth = max(c.Depth, 1)
	}
	return s.surplus(reply.Ehlo)
}

// upgrade starts TLS (RFC 3207).
func (s *Session) upgrade(ctx context.Context, c Config) error {
	if _, ok := s.extensions["STARTTLS"]; !ok {
		return reply.Unusable(reply.StartTLS, errors.New("the server does not offer STARTTLS, so nothing was sent to it"),
			"set smtp.security to tls if this port speaks TLS from the first byte (usually 465); none only for a network that nobody else can read")
	}
	r, err := s.command(reply.StartTLS, s.timeouts.Greeting, "STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		return s.refused(reply.StartTLS, r, "")
	}
	// Anything that came behind the 220 was put there before encryption, by somebody else (CVE-2011-0411).
	if s.r.Buffered() > 0 {
		return reply.Unusable(reply.StartTLS, errors.New("the server sent data in plain text behind its answer to STARTTLS: somebody may be tampering with the connection"), "")
	}
	if err := s.startTLS(ctx, c); err != nil {
		return err
	}
	// What the server offered in plain text does not count (RFC 3207 section 4.2).
	return s.hello(c, true)
}

// hello says EHLO and keeps the extensions. It falls back to HELO only where nothing depends on extensions (must is
// false): else anybody who can break the EHLO could turn encryption off.
func (s *Session) hello(c Config, must bool) error {
	r, err := s.command(reply.Ehlo, s.timeouts.Greeting, "EHLO "+c.Helo)
	if err != nil {
		return err
	}
	if (r.Code == 500 || r.Code == 502) && !must {
		r, err = s.command(reply.Ehlo, s.timeouts.Greeting, "HELO "+c.Helo)
		if err != nil {
			return err
		}
		r.Text, _, _ = strings.Cut(r.Text, "\n")
	}
	if r.Code != 250 {
		return s.refused(reply.Ehlo, r, "if the server dislikes this host's name, set smtp.helo")
	}
	s.extensions = map[string]string{}
	for _, line := range r.Lines()[1:] {
		line = strings.ToUpper(line)
		// "AUTH=PLAIN" is an old spelling that some servers send beside the right one.
		if mechanisms, ok := strings.CutPrefix(line, "AUTH="); ok {
			line = "AUTH " + mechanisms
		}
		keyword, parameters, _ := strings.Cut(line, " ")
		s.extensions[keyword] = strings.TrimSpace(s.extensions[keyword] + " " + parameters)
	}
	return nil
}

// refused is the error for a reply that ends the opening. A reply that neither agrees nor refuses does not get better
// by trying again.
func (s *Session) refused(stage reply.Stage, r reply.Reply, hint string) *reply.Error {
	e := &reply.Error{Stage: stage, Reply: r, Hint: hint, Explanation: s.replies.Explain(stage, r.Code, r.Status, r.Text)}
	if r.Code < 400 {
		e.Explanation = reply.Unusable(stage, nil, "").Explanation
	}
	return e
}
