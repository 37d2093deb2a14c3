// Package sink is a real SMTP server that delivers nothing: for load tests, for fault tests, and to read what a program
// would have sent.
//
// A session goes through these steps. The server accepts a connection, begins TLS if it is configured to, and wraps the
// connection in a conn. emersion/go-smtp speaks the protocol on it (PIPELINING, 8BITMIME, CHUNKING, SMTPUTF8, SIZE,
// STARTTLS, AUTH). At every stage the scripted faults are asked first, and the first rule that applies answers. A
// message that passes all of them is taken: written to a Maildir, kept for the web page, handed to a function, or only
// counted. Then the server replies, or drops the connection in place of the reply.
package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	maxMessage    = 64 << 20 // octets, announced as SIZE
	maxLine       = 16 << 10 // octets of a command; AUTH needs 12,288 (RFC 4954 section 4). Lines of content have no limit.
	maxRecipients = 10_000   // of one message

	keepMessages = 1000
	keepBytes    = 64 << 20
)

// Security says how connections are encrypted.
type Security string

const (
	None     Security = ""         // not at all
	StartTLS Security = "starttls" // after STARTTLS, which is offered and not required, but by AUTH
	TLS      Security = "tls"      // from the first byte (RFC 8314)
)

// Options say what the server does. The zero value listens on 127.0.0.1:1025, accepts everything and keeps nothing.
type Options struct {
	Listen string // host:port; port 0 takes a free one
	Dir    string // a Maildir, made when missing; "": none
	HTTP   string // host:port of the web page; "": none

	KeepMessages int   // for the page, the newest ones; default 1000
	KeepBytes    int64 // for the page, altogether; default 64 MB

	Latency      time.Duration // how long every reply is on its way; commands in one pipelined group share it
	Fail         []Rule        // the first one that applies answers
	Rates        []Rate        // asked in this order; what one lets through counts for it, even if a later one refuses it
	DropAfterDot float64       // probability that the connection is closed in place of the reply to a message that was taken

	Security Security
	TLS      *tls.Config // with Certificates, needed unless Security is None; see ThrowawayCertificate

	Username, Password string // when set, MAIL needs AUTH PLAIN or LOGIN before it

	// OnAccept, if set, gets every message that was taken, before the client gets its reply. Many goroutines call it at
	// once.
	OnAccept func(Message)

	// OnReply, if set, gets every message whose good reply the operating system has taken without an error. Many
	// goroutines call it at once.
	OnReply func(Message)

	Log *slog.Logger // default: none
}

// A Message is what one transaction brought.
type Message struct {
	ID        int64 // from 1, in the order of arrival
	Time      time.Time
	From      string   // MAIL FROM; "" is the null sender
	To        []string // RCPT TO, in order
	MessageID string   // without <>; "" when there is none
	Data      []byte   // as sent, without dot-stuffing
}

// Counts are what a server has seen since its start.
type Counts struct {
	Connections int64
	Accepted    int64 // messages taken, those of Dropped included
	Recipients  int64 // of the messages taken
	Distinct    int64 // different addresses among Recipients, letter case aside
	Duplicates  int64 // Recipients less Distinct
	Refused     int64 // replies of 4xx or 5xx by a rule, the rate, or for want of a login
	Dropped     int64 // messages taken, and the connection closed in place of the reply
}

// A Server is running from Start until Close.
type Server struct {
	opts     Options
	faults   *faults
	limiters []Limiter // of Options.Rates
	maildir  *maildir  // nil: none
	inbox    *inbox    // nil: none
	ledger   *ledger
	lastID   atomic.Int64 // of a message taken

	listener net.Listener
	main     *smtp.Server
	front    *smtp.Server // speaks before STARTTLS, nil otherwise
	inner    *handover    // carries sockets from front to main
	serving  sync.WaitGroup

	web         *http.Server
	webListener net.Listener

	killed    chan struct{} // closed when Close gives up waiting
	closeOnce sync.Once
	closeErr  error

	mu      sync.Mutex
	conns   map[*conn]struct{} // guarded by mu
	closing bool               // guarded by mu
}

// Start opens the sockets and the Maildir and serves until Close. The context is for opening only.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:1025"
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.KeepMessages == 0 {
		opts.KeepMessages = keepMessages
	}
	if opts.KeepBytes == 0 {
		opts.KeepBytes = keepBytes
	}
	if opts.Security != None && opts.TLS == nil {
		return nil, fmt.Errorf("sink: security %q needs a TLS configuration with a certificate", opts.Security)
	}
	s := &Server{opts: opts, faults: newFaults(opts.Fail), ledger: newLedger(), killed: make(chan struct{}), conns: map[*conn]struct{}{}}
	for _, r := range opts.Rates {
		s.limiters = append(s.limiters, NewLimiter(r))
	}
	if opts.Dir != "" {
		var err error
		if s.maildir, err = openMaildir(opts.Dir); err != nil {
			return nil, fmt.Errorf("sink: open maildir: %w", err)
		}
	}
	var lc net.ListenConfig
	var err error
	if s.listener, err = lc.Listen(ctx, "tcp", opts.Listen); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if opts.HTTP != "" {
		if s.webListener, err = lc.Listen(ctx, "tcp", opts.HTTP); err != nil {
			s.listener.Close()
			return nil, fmt.Errorf("sink: web page: %w", err)
		}
		s.inbox = newInbox(opts.KeepMessages, opts.KeepBytes)
		s.web = &http.Server{
			Handler:           newPage(s),
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       time.Minute,
			ErrorLog:          slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
		}
		s.serving.Go(func() { s.web.Serve(s.webListener) })
	}
	s.main = s.newSMTP()
	if opts.Security != StartTLS {
		s.serve(s.main, connListener{s.listener, s})
		return s, nil
	}
	s.front = s.newSMTP()
	s.front.TLSConfig = opts.TLS // only to announce it: conn takes over after the 220
	s.inner = newHandover(s.listener.Addr())
	s.serve(s.main, s.inner)
	s.serve(s.front, connListener{s.listener, s})
	return s, nil
}

func (s *Server) newSMTP() *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(s.newSession))
	server.Domain = "localhost"
	server.MaxMessageBytes = maxMessage
	server.MaxLineLength = maxLine
	server.MaxRecipients = maxRecipients
	server.AllowInsecureAuth = true // the session decides: go-smtp does not see TLS below a conn
	server.EnableSMTPUTF8 = true
	server.ErrorLog = slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug)
	return server
}

func (s *Server) serve(server *smtp.Server, l net.Listener) {
	s.serving.Go(func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
			s.opts.Log.Error("the server no longer accepts connections", "error", err.Error())
		}
	})
}

// Addr is where SMTP is spoken.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// HTTPAddr is where the web page is, nil when there is none.
func (s *Server) HTTPAddr() net.Addr {
	if s.webListener == nil {
		return nil
	}
	return s.webListener.Addr()
}

// Counts returns what the server has seen so far.
func (s *Server) Counts() Counts { return s.ledger.counts() }

// Close accepts no more connections and no more messages, gives those under way a moment to end, says 421 to clients
// that do not QUIT, and waits for the connections to end. When the context ends first, it cuts them and returns the
// context's error.
func (s *Server) Close(ctx context.Context) error {
	s.closeOnce.Do(func() { s.closeErr = s.close(ctx) })
	return s.closeErr
}

func (s *Server) close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		c.stop()
	}
	s.mu.Unlock()

	defer s.serving.Wait()
	cut := context.AfterFunc(ctx, s.kill)
	defer cut()

	s.listener.Close()
	var errs []error
	if s.front != nil {
		// Before main: its connections may still be on their way there.
		errs = append(errs, shutdown(ctx, s.front))
		s.inner.Close()
	}
	errs = append(errs, shutdown(ctx, s.main))
	if s.web != nil {
		errs = append(errs, s.web.Shutdown(ctx))
		s.web.Close()
	}
	return errors.Join(errs...)
}

// shutdown waits for the connections of a server. Its listener may be closed already.
func shutdown(ctx context.Context, server *smtp.Server) error {
	err := server.Shutdown(ctx)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) kill() {
	close(s.killed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.kill()
	}
}

func (s *Server) track(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	if s.closing {
		c.stop()
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
