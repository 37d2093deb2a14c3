package sink

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server for one test. Closing it may not take longer than hang.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	opts.Listen = "127.0.0.1:0"
	server, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return server
}

// hang is when a test that waits for the network has failed.
const hang = 20 * time.Second

// A client speaks a script to a server.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, server *Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t}
	c.use(conn)
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *client) use(conn net.Conn) {
	c.conn, c.in = conn, bufio.NewReader(conn)
	c.wait()
}

// wait gives the server time for its next step.
func (c *client) wait() { c.conn.SetDeadline(time.Now().Add(hang)) }

// encrypt begins TLS on the connection, trusting only the authority.
func (c *client) encrypt(authorityPEM []byte) {
	c.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authorityPEM)
	conn := tls.Client(c.conn, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.use(conn)
}

// reply reads one reply whole, lines joined by "\n"; "closed" at the end of the connection.
func (c *client) reply() string {
	c.t.Helper()
	c.wait()
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				c.t.Fatal("no reply")
			}
			return "closed"
		}
		line = strings.TrimSuffix(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] == ' ' {
			return strings.Join(lines, "\n")
		}
	}
}

// say speaks a script, one entry a line: "> text" is sent with CRLF, entries that follow each other in one packet;
// ">> text" without CRLF. "< text" is how the next reply has to begin, or "closed".
func (c *client) say(script string) {
	c.t.Helper()
	var group strings.Builder
	send := func() {
		if group.Len() == 0 {
			return
		}
		c.wait()
		if _, err := io.WriteString(c.conn, group.String()); err != nil {
			c.t.Fatalf("send %.100q: %v", group.String(), err)
		}
		group.Reset()
	}
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, ">> "); ok {
			group.WriteString(text)
			continue
		}
		if text, ok := strings.CutPrefix(line, ">"); ok {
			group.WriteString(strings.TrimPrefix(text, " ") + "\r\n")
			continue
		}
		send()
		want := strings.TrimPrefix(line, "< ")
		if got := c.reply(); !strings.HasPrefix(got, want) {
			c.t.Fatalf("got reply %q, want %q", got, want)
		}
	}
	send()
}

const (
	hello    = "< 220\n> EHLO client.example\n< 250\n"
	envelope = "> MAIL FROM:<a@example.com>\n< 250\n> RCPT TO:<b@example.com>\n< 250\n"
	body     = "> Subject: hello\n> To: b@example.com\n>\n> Hi.\n> .\n"
	message1 = envelope + "> DATA\n< 354\n" + body
)

func rules(t *testing.T, lines ...string) []Rule {
	t.Helper()
	var rules []Rule
	for _, line := range lines {
		rule, err := ParseRule(line)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule)
	}
	return rules
}

func itoa(n int) string { return strconv.Itoa(n) }
