package smtp

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server plays one script to one client. Its steps are separated by "|":
//
//	250 hello      say this line; steps that say something and follow each other go out in one write
//	"250 hello\n"  say exactly this, a Go string
//	huge           say a line of 1 MB
//	many           say a reply of 10,000 lines
//	drip 250 hi    say this line one octet at a time
//	> NOOP         wait for this line
//	mail rcpt data rset quit dot   wait for this line, as the tests send it
//	body           wait for a message, up to and with its final dot
//	bdat           wait for BDAT and the octets that it announces
//	part           wait for the first 1,000 octets of a message
//	all 5000       wait for so many more
//	tls            begin TLS
//	signal         tell the test, and go on
//	close rst      end the connection
//	hang           nothing, until the client closes
//	deaf           does not even read, until hear is called
//
// After the last step it hangs. What the client sends and no step waits for is in rest.
type server struct {
	host string
	port int

	hear     func()        // ends the step deaf
	heard    chan struct{} // closed by hear
	signal   chan struct{} // closed by the step of that name
	done     chan struct{} // closed at the end; the fields below are for then
	finished bool          // all steps were played
	err      error
	bodies   []string // messages as they came; after DATA dot-stuffed, with the final dot
	rest     string
}

var lines = map[string]string{
	"mail": "MAIL FROM:<from@example.com>", "rcpt": "RCPT TO:<to@example.com>", "data": "DATA",
	"rset": "RSET", "quit": "QUIT", "dot": ".",
}

const (
	greet   = "220 mx.example.com|> EHLO client.example|"
	stepped = greet + "250 mx.example.com|"
	piped   = greet + "250-mx.example.com|250 PIPELINING|"
	chunked = greet + "250-mx.example.com|250-PIPELINING|250 CHUNKING|"
)

// play starts a server. config is for the step tls.
func play(t *testing.T, script string, config *tls.Config) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := l.Addr().(*net.TCPAddr)
	s := &server{host: "127.0.0.1", port: a.Port, signal: make(chan struct{}), done: make(chan struct{})}
	s.heard = make(chan struct{})
	s.hear = sync.OnceFunc(func() { close(s.heard) })
	go func() {
		defer close(s.done)
		conn, err := l.Accept()
		l.Close()
		if err != nil {
			return
		}
		conn.SetDeadline(time.Now().Add(hang))
		s.run(&scene{server: s, conn: conn, r: bufio.NewReader(conn), config: config}, strings.Split(strings.TrimSuffix(script, "|"), "|"))
	}()
	t.Cleanup(func() {
		l.Close()
		s.hear()
		<-s.done
		if s.err != nil {
			t.Errorf("server: %v", s.err)
		}
	})
	return s
}

// hang is how long a test waits for the network before it fails.
const hang = 30 * time.Second

// A scene is the state of a server in its script.
type scene struct {
	*server
	conn   net.Conn
	r      *bufio.Reader
	config *tls.Config
	say    []byte
}

func (s *server) run(c *scene, script []string) {
	defer func() { c.conn.Close() }()
	for _, step := range script {
		if err := c.step(strings.TrimSpace(step)); err != nil {
			// The client may close when it likes; the test judges that.
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() || errors.Is(err, errScript) {
				s.err = fmt.Errorf("%s: %w", step, err)
			}
			return
		}
	}
	c.flush()
	s.finished = true
	rest, _ := io.ReadAll(c.r)
	s.rest = string(rest)
}

var errScript = errors.New("not what the script says")

func (c *scene) flush() error {
	_, err := c.conn.Write(c.say)
	c.say = nil
	return err
}

func (c *scene) step(step string) error {
	word, rest, _ := strings.Cut(step, " ")
	switch {
	case step == "":
		return nil
	case word == "huge":
		c.say = append(append(c.say, "250 "...), bytes.Repeat([]byte("a"), 1<<20)...)
		return nil
	case word == "many":
		c.say = append(append(c.say, bytes.Repeat([]byte("250-more\r\n"), 10000)...), "250 end\r\n"...)
		return nil
	case '0' <= step[0] && step[0] <= '9':
		c.say = append(append(c.say, step...), "\r\n"...)
		return nil
	case step[0] == '"':
		raw, err := strconv.Unquote(step)
		if err != nil {
			return fmt.Errorf("%w: %w", errScript, err)
		}
		c.say = append(c.say, raw...)
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	switch word {
	case "drip":
		for _, b := range []byte(rest + "\r\n") {
			if _, err := c.conn.Write([]byte{b}); err != nil {
				return err
			}
		}
		return nil
	case "tls":
		conn := tls.Server(c.conn, c.config)
		c.conn, c.r = conn, bufio.NewReader(conn)
		return conn.Handshake()
	case "signal":
		close(c.signal)
		return nil
	case "close":
		c.conn.Close()
		return io.EOF
	case "rst":
		c.conn.(*net.TCPConn).SetLinger(0)
		c.conn.Close()
		return io.EOF
	case "hang":
		_, err := io.Copy(io.Discard, c.r)
		return errors.Join(err, io.EOF)
	case "deaf":
		<-c.heard
		return nil
	case "part":
		_, err := io.CopyN(io.Discard, c.r, 1000)
		return err
	case "bdat":
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		size := 0
		if _, err := fmt.Sscanf(line, "BDAT %d LAST\r\n", &size); err != nil {
			return fmt.Errorf("%w: the client sent %q", errScript, line)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return err
		}
		c.bodies = append(c.bodies, string(body))
		return nil
	case "all":
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %w", errScript, err)
		}
		_, err = io.CopyN(io.Discard, c.r, n)
		return err
	case "body":
		var body strings.Builder
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				return err
			}
			body.WriteString(line)
			if line == ".\r\n" {
				c.bodies = append(c.bodies, body.String())
				return nil
			}
		}
	}
	want := lines[step]
	if word == ">" {
		want = rest
	}
	got, err := c.r.ReadString('\n')
	if err != nil {
		return err
	}
	if want == "" || got != want+"\r\n" {
		return fmt.Errorf("%w: the client sent %q", errScript, got)
	}
	return nil
}

// config is for a client of the server, with time-outs that no test reaches.
func (s *server) config() Config {
	long := Timeouts{
		Connect: hang, Greeting: hang, Mail: hang, Rcpt: hang, DataInit: hang, DataBlock: hang, DataDone: hang, Quit: hang,
	}
	return Config{Host: s.host, Port: s.port, Security: None, Helo: "client.example", Timeouts: long}
}

// short is the time-out of a stage that hangs.
const short = 400 * time.Millisecond

// dial opens a session, and closes it at the end of the test.
func dial(t *testing.T, c Config) *Session {
	t.Helper()
	s, err := NewTransport(c).Dial(t.Context())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// authority makes certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private authority"},
		NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// serverFor is the configuration of a TLS server whose certificate is for a name, or for 127.0.0.1 when that is "".
func (a *authority) serverFor(t *testing.T, name string, until time.Time) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
