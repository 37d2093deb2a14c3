// Package smtp is one SMTP session: it opens it and then carries message after message over it.
//
// Dial connects, reads the greeting, says EHLO, starts TLS where the configuration asks for it, and logs in. It fails
// closed: a session that should be encrypted or logged in and is not never comes back. After that the session takes
// one message at a time: Offer its envelope, see by Ready whether the server wants it, Send its content, read the
// Result. Where the server offers PIPELINING (RFC 2920), the envelope of the next message goes out in the same flight
// as the end of this one, so that a message costs one round trip. Where it offers CHUNKING (RFC 3030) as well, whole messages
// can be on their way at a time: Push each, and ask for the Answer to the oldest.
//
// Every reply is counted. A server that says more, less or other than it was asked for loses the connection, and a
// message whose content was not complete by then was not sent.
package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"mailblast/sender/reply"
)

// Security is how a connection is encrypted.
type Security string

const (
	StartTLS Security = "starttls" // required: a server that does not offer it is refused
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	None     Security = "none"
)

// Config is a server and how to talk to it.
type Config struct {
	Host     string
	Port     int
	Security Security
	// TLS may carry RootCAs and a ClientSessionCache. Nothing else of it is used: the certificate is always verified.
	TLS                *tls.Config
	Username, Password string     // both or none
	Helo               string     // domain or address literal for EHLO
	SourceIP           netip.Addr // of this machine; zero: the system chooses
	Timeouts           Timeouts
	Replies            *reply.Classifier // nil: one without rules of the user's own
}

// Timeouts bound every stage. Zero fields mean the defaults, those of RFC 5321 section 4.5.3.2.
type Timeouts struct {
	Connect   time.Duration // name look-up and TCP, all addresses together; 30 s
	Greeting  time.Duration // greeting, EHLO, STARTTLS, TLS handshake, each step of AUTH; 5 min each
	Mail      time.Duration // 5 min
	Rcpt      time.Duration // 5 min
	DataInit  time.Duration // the 354; 2 min
	DataBlock time.Duration // each block of content written, 256 KB or a little more; 3 min
	DataDone  time.Duration // the reply to the final dot; 10 min
	Quit      time.Duration // 5 s: nothing depends on it
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Connect, 30 * time.Second}, {&t.Greeting, 5 * time.Minute}, {&t.Mail, 5 * time.Minute}, {&t.Rcpt, 5 * time.Minute},
		{&t.DataInit, 2 * time.Minute}, {&t.DataBlock, 3 * time.Minute}, {&t.DataDone, 10 * time.Minute}, {&t.Quit, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Dial opens a session, ready for the first message. Errors are *reply.Error. When ctx ends, Dial does.
func Dial(ctx context.Context, c Config) (*Session, error) {
	if err := c.check(); err != nil {
		return nil, &reply.Error{Stage: reply.Connect, Final: true, Err: err}
	}
	timeouts := c.Timeouts.withDefaults()
	server := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	dialer := net.Dialer{Timeout: timeouts.Connect}
	if c.SourceIP.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.SourceIP, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if ctx.Err() != nil && err != nil {
		return nil, &reply.Error{Stage: reply.Connect, Err: context.Cause(ctx)}
	}
	var unsuitable *net.AddrError
	if errors.As(err, &unsuitable) && c.SourceIP.IsValid() {
		return nil, &reply.Error{Stage: reply.Connect, Final: true, Err: err, Hint: fmt.Sprintf("the server has no address of the kind of source_ip %v (IPv4 or IPv6)", c.SourceIP)}
	}
	if err != nil {
		return nil, &reply.Error{Stage: reply.Connect, Err: err, Hint: "check smtp.host and smtp.port, and that a firewall lets the connection out"}
	}
	conn = quick(conn)
	s := &Session{tcp: conn, conn: conn, r: bufio.NewReaderSize(conn, readBuffer), timeouts: timeouts}
	stop := context.AfterFunc(ctx, s.Close)
	err = s.open(ctx, c)
	if !stop() {
		// What the closing looked like from inside does not matter.
		err = &reply.Error{Stage: reply.Connect, Err: context.Cause(ctx)}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// check refuses what would otherwise open a session that is less safe than was meant.
func (c Config) check() error {
	if c.Security != StartTLS && c.Security != TLS && c.Security != None {
		return fmt.Errorf("unknown security %q: use %s, %s or %s", c.Security, StartTLS, TLS, None)
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("user name and password go together: set both or none")
	}
	return nil
}

// open goes from the fresh TCP connection to the session that takes messages.
func (s *Session) open(ctx context.Context, c Config) error {
	if c.Security == TLS {
		if err := s.startTLS(ctx, c); err != nil {
			return err
		}
	}
	greeting, err := s.read(reply.Connect, s.timeouts.Greeting)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && c.Security != TLS {
			return &reply.Error{Stage: reply.Connect, Err: err.(*reply.Error).Err, Hint: "if this port speaks TLS from the first byte (usually 465), set smtp.security to tls"}
		}
		return err
	}
	if greeting.Code != 220 {
		return c.refused(reply.Connect, greeting, "")
	}
	if err := s.hello(c, c.Security != None || c.Username != ""); err != nil {
		return err
	}
	if c.Security == StartTLS {
		if _, ok := s.extensions["STARTTLS"]; !ok {
			return &reply.Error{Stage: reply.StartTLS, Final: true, Err: errors.New("the server does not offer STARTTLS, so nothing was sent to it"),
				Hint: "set smtp.security to tls if this port speaks TLS from the first byte (usually 465); none only for a network that nobody else can read"}
		}
		r, err := s.command(reply.StartTLS, s.timeouts.Greeting, "STARTTLS")
		if err != nil {
			return err
		}
		if r.Code != 220 {
			return c.refused(reply.StartTLS, r, "")
		}
		// Anything that came behind the 220 was put there before encryption, by somebody else (CVE-2011-0411).
		if s.r.Buffered() > 0 {
			return &reply.Error{Stage: reply.StartTLS, Final: true, Err: errors.New("the server sent data in plain text behind its answer to STARTTLS: somebody may be tampering with the connection")}
		}
		if err := s.startTLS(ctx, c); err != nil {
			return err
		}
		// What was offered in plain text is forgotten (RFC 3207 section 4.2).
		if err := s.hello(c, true); err != nil {
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
	_, s.chunking = s.extensions["CHUNKING"]
	return s.unasked(reply.Ehlo)
}

// hello says EHLO and keeps the extensions. HELO is only tried where nothing depends on extensions: as a fall-back in
// general it would let anybody who can break the EHLO turn encryption off.
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
		return c.refused(reply.Ehlo, r, "if the server dislikes this host's name, set smtp.helo")
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

// command sends one line and reads one reply. After an error the session is closed.
func (s *Session) command(stage reply.Stage, timeout time.Duration, line string) (reply.Reply, error) {
	if strings.ContainsAny(line, "\r\n\x00") {
		s.Close()
		return reply.Reply{}, &reply.Error{Stage: stage, Final: true, Err: fmt.Errorf("%q cannot stand in a command", line)}
	}
	if err := s.unasked(stage); err != nil {
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
	if s.secret != nil {
		r.Text = s.secret.takeOut(r.Text)
	}
	return r, nil
}

// unread is how many octets have come that nobody has read, as far as that can be told without waiting. A TLS connection
// may hold whole records that neither the reader nor the system shows: it gives them out, and waits for no others, under a
// deadline that has passed.
func (s *Session) unread() int {
	if _, encrypted := s.conn.(*tls.Conn); encrypted && s.r.Buffered() == 0 {
		s.conn.SetReadDeadline(time.Unix(1, 0))
		s.r.Peek(1)
	}
	return s.r.Buffered()
}

// unasked is the error for a server that said more than it was asked for: the next reply would be taken for the answer
// to something else.
func (s *Session) unasked(stage reply.Stage) error {
	n := s.unread()
	if n == 0 {
		return nil
	}
	return s.fail(stage, fmt.Errorf("the server sent %d octets that nobody asked for", n))
}

// fail closes the session because of err.
func (s *Session) fail(stage reply.Stage, err error) *reply.Error {
	s.Close()
	return &reply.Error{Stage: stage, Err: err}
}

// refused is the error for an answer that ends the opening.
func (c Config) refused(stage reply.Stage, r reply.Reply, hint string) *reply.Error {
	replies := c.Replies
	if replies == nil {
		replies = reply.NewClassifier(nil)
	}
	verdict, _ := replies.Classify(stage, r.Code, r.Status, r.Text)
	return &reply.Error{Stage: stage, Reply: r, Final: r.Code < 400 || verdict == reply.Stop, Hint: hint}
}

// A Session carries messages over one connection. It belongs to one goroutine; only Close may be called by others.
type Session struct {
	tcp        net.Conn
	conn       net.Conn      // tcp, or TLS over it
	r          *bufio.Reader // of conn
	timeouts   Timeouts
	extensions map[string]string

	pipelining, size, utf8, chunking bool

	flight  []byte       // what the next write carries
	offered *Envelope    // whose replies Ready will read
	held    *reply.Reply // a refusal that needs no server
	reset   bool         // a transaction is open that must be reset before the next one
	ready   bool         // the server waits for content
	secret  *redactor    // of what must not stand in any reply; nil before the login

	pushed []push        // messages that Answer has not told of
	early  []reply.Reply // the replies to them that were read already
	lost   error         // why no further replies come

	broken atomic.Bool
}

// readBuffer holds a few replies; a longer one grows in reply.Read, up to its bounds.
const readBuffer = 4 << 10

// Broken reports whether the session can carry no further message.
func (s *Session) Broken() bool { return s.broken.Load() }

// Close closes the connection at once, without a word, not even that of TLS: that could have to wait for a server that
// does not read.
func (s *Session) Close() {
	s.broken.Store(true)
	s.tcp.Close()
}

// Quit says QUIT and closes. The answer does not matter, but a client should wait for it (RFC 5321 section 4.1.1.10).
// A session that is broken, or in which a message's content or its answer is expected, is closed without a word.
func (s *Session) Quit() {
	if !s.Broken() && !s.ready && s.offered == nil && len(s.pushed) == 0 {
		if _, err := s.command(reply.Rset, s.timeouts.Quit, "QUIT"); err == nil {
			s.conn.Close() // with the farewell of TLS
		}
	}
	s.Close()
}
