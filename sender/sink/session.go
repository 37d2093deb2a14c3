package sink

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

var (
	errNested       = &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Nested MAIL command"}
	errAuthRequired = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	errAuthNeedsTLS = &smtp.SMTPError{Code: 538, EnhancedCode: smtp.EnhancedCode{5, 7, 11}, Message: "Encryption required for authentication, use STARTTLS"}
	errAuthSyntax   = &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Malformed authentication response"}
	errNotStored    = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "The message could not be stored"}
)

// A session is one client's conversation from EHLO on, as go-smtp calls it.
type session struct {
	srv      *Server
	conn     *conn
	loggedIn bool
	limiters []Limiter // of Options.Rates

	// go-smtp resets a session while its Data still reads, when RSET or the end of the connection follows BDAT.
	mu      sync.Mutex
	mailing bool // guarded by mu, like all below
	from    string
	size    int64 // announced with MAIL; 0: not
	to      []string
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	if reply := s.faults.at(Ehlo, c.Hostname(), c.Hostname()); reply != nil {
		return nil, s.refuse(reply.smtpError())
	}
	sess := &session{srv: s, conn: c.Conn().(*conn), limiters: slices.Clone(s.limiters)}
	for i, r := range s.opts.Rates {
		if r.Kind == Connection {
			sess.limiters[i] = NewLimiter(r)
		}
	}
	sess.conn.session = sess
	return sess, nil
}

func (s *Server) refuse(err error) error {
	s.ledger.refuse()
	return err
}

func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mailing, s.from, s.size, s.to = false, "", 0, nil
}

func (s *session) Logout() error { return nil }

func (s *session) authWanted() bool { return s.srv.opts.Username != "" }

func (s *session) authAllowed() bool { return s.srv.opts.Security == None || s.conn.isTLS() }

func (s *session) AuthMechanisms() []string {
	if !s.authWanted() || !s.authAllowed() {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case !s.authWanted():
		return nil, smtp.ErrAuthUnsupported
	case !s.authAllowed():
		return nil, s.srv.refuse(errAuthNeedsTLS)
	case mechanism == sasl.Plain:
		return saslSyntax{sasl.NewPlainServer(func(_, user, password string) error { return s.logIn(user, password) })}, nil
	case mechanism == sasl.Login:
		return &loginServer{logIn: s.logIn}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *session) logIn(user, password string) error {
	if reply := s.srv.faults.at(Auth, user, user); reply != nil {
		return s.srv.refuse(reply.smtpError())
	}
	good := subtle.ConstantTimeCompare([]byte(user), []byte(s.srv.opts.Username)) &
		subtle.ConstantTimeCompare([]byte(password), []byte(s.srv.opts.Password))
	if good == 0 {
		return s.srv.refuse(smtp.ErrAuthFailed)
	}
	s.loggedIn = true
	return nil
}

func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mailing {
		return errNested
	}
	if s.conn.stopped() {
		return goodbyeStopped.smtpError()
	}
	if s.authWanted() && !s.loggedIn {
		return s.srv.refuse(errAuthRequired)
	}
	if reply := s.srv.faults.at(Mail, from, from); reply != nil {
		return s.srv.refuse(reply.smtpError())
	}
	for i, l := range s.limiters {
		if !l.Allow() {
			return s.srv.refuse(s.srv.opts.Rates[i].Reply.smtpError())
		}
	}
	s.mailing, s.from, s.size = true, from, opts.Size
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if reply := s.srv.faults.at(Rcpt, to, to); reply != nil {
		return s.srv.refuse(reply.smtpError())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append(s.to, to)
	return nil
}

// dataFault is asked before a message is read: by conn at the 354, by Data at the first BDAT.
func (s *session) dataFault() *Reply {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	reply := s.srv.faults.at(Data, strings.Join(to, " "), to...)
	if reply != nil {
		s.srv.ledger.refuse()
	}
	return reply
}

// Data takes a message. For BDAT it runs in a goroutine of its own beside the commands.
func (s *session) Data(r io.Reader) error {
	_, bdat := r.(*io.PipeReader)
	if !bdat && s.conn.refused {
		return nil
	}
	if bdat {
		if reply := s.dataFault(); reply != nil {
			return reply.smtpError()
		}
	}
	s.mu.Lock()
	m := Message{From: s.from, To: s.to}
	size := s.size
	s.mu.Unlock()

	var data []byte
	if s.srv.keeps() {
		// The announced size is a hint. It is not trusted beyond the size of a common message.
		data = make([]byte, 0, min(max(size, 16<<10), 1<<20))
	}
	var err error
	if bdat {
		data, err = readChunks(r, data)
	} else {
		data, err = s.conn.readContent(data)
	}
	if err != nil {
		s.conn.log("message broken off", "error", err.Error())
		return err
	}
	m.Data = data
	if reply := s.srv.dotFault(&m); reply != nil {
		return s.srv.refuse(reply.smtpError())
	}
	m.ID, m.Time = s.srv.lastID.Add(1), time.Now()
	if err := s.srv.take(&m); err != nil {
		s.srv.opts.Log.Error("message not stored", "error", err.Error())
		return errNotStored
	}
	dropped := s.srv.opts.DropAfterDot > 0 && rand.Float64() < s.srv.opts.DropAfterDot
	if dropped {
		s.conn.drop()
	}
	s.srv.ledger.accept(m.To, dropped)
	if s.srv.opts.OnAccept != nil {
		s.srv.opts.OnAccept(m)
	}
	if !dropped {
		s.conn.taken = &m
	}
	// go-smtp writes the reply that it is given as an error, a good one too.
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "OK: message " + strconv.FormatInt(m.ID, 10)}
}

// keeps reports whether anything needs the content of messages.
func (s *Server) keeps() bool {
	return s.maildir != nil || s.inbox != nil || s.opts.OnAccept != nil || s.faults.patterns(Dot)
}

// readChunks reads what BDAT brings, to its end. It appends to buf, or only reads when buf is nil.
func readChunks(r io.Reader, buf []byte) ([]byte, error) {
	if buf == nil {
		_, err := io.Copy(io.Discard, r)
		return nil, err
	}
	b := bytes.NewBuffer(buf)
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

func (s *Server) dotFault(m *Message) *Reply {
	if len(s.faults.rules[Dot]) == 0 {
		return nil
	}
	var fields []string
	for field := range headerFields(m.Data) {
		fields = append(fields, field)
	}
	return s.faults.at(Dot, strings.Join(m.To, " "), fields...)
}

// take stores a message wherever messages are stored.
func (s *Server) take(m *Message) error {
	if s.maildir != nil {
		if err := s.maildir.deliver(m.Data); err != nil {
			return err
		}
	}
	if s.opts.OnAccept != nil || s.inbox != nil {
		m.MessageID = messageID(m.Data)
	}
	if s.inbox != nil {
		s.inbox.add(*m)
	}
	return nil
}

// saslSyntax answers a malformed response with 501 (RFC 4954 section 4), where go-smtp says that the failure is
// temporary.
type saslSyntax struct{ sasl.Server }

func (s saslSyntax) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := s.Server.Next(response)
	var reply *smtp.SMTPError
	if err != nil && !errors.As(err, &reply) {
		err = errAuthSyntax
	}
	return challenge, done, err
}

// A loginServer is the server side of AUTH LOGIN (draft-murchison-sasl-login), which go-sasl lacks.
type loginServer struct {
	logIn func(user, password string) error
	asked bool // for the user
	named bool
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case !l.asked && response == nil:
		l.asked = true
		return []byte("Username:"), false, nil
	case !l.named:
		l.asked, l.named, l.user = true, true, string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.logIn(l.user, string(response))
}
