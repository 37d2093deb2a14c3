package smtp

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mailblast/sender/reply"
)

const toContent = stepped + "mail|250 ok|rcpt|250 ok|data|354 go|"

// begun returns a session whose server waits for content.
func begun(t *testing.T, server *server, c Config) *Session {
	t.Helper()
	s := dial(t, c)
	if got := ready(s, hello); got != "ready" {
		t.Fatal(got)
	}
	return s
}

// The octets that become of pieces on the wire.
func TestContent(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(strings.Repeat("x", 75)+"\r\n", 8000) // 616 KB
	dots := strings.Repeat(".\r\n", 100_000)
	edge := strings.Repeat("y", blockSize-1) // so that a block would end between CR and LF
	for _, c := range []struct {
		name   string
		pieces []string
		want   string
	}{
		{"one line", []string{"a\r\n"}, "a\r\n.\r\n"},
		{"nothing", nil, ".\r\n"},
		{"empty pieces", []string{"", "a\r\n", "", ""}, "a\r\n.\r\n"},
		{"last line open", []string{"a\r\nb"}, "a\r\nb\r\n.\r\n"},
		{"dot first", []string{".\r\n"}, "..\r\n.\r\n"},
		{"dots", []string{"..\r\n.a\r\na.\r\n"}, "...\r\n..a\r\na.\r\n.\r\n"},
		{"dot after a border", []string{"a\r\n", ".b\r\n"}, "a\r\n..b\r\n.\r\n"},
		{"dot in the middle of a line after a border", []string{"a", ".b\r\n"}, "a.b\r\n.\r\n"},
		{"dot, then a border", []string{".", ".\r\n"}, "...\r\n.\r\n"},
		{"dot last", []string{"a\r\n."}, "a\r\n..\r\n.\r\n"},
		{"end of another message", []string{"a\r\n.\r\nMAIL FROM:<x@y>\r\n"}, "a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"},
		{"the same over borders", []string{"a\r\n", ".", "\r\n", "b\r\n"}, "a\r\n..\r\nb\r\n.\r\n"},
		{"large", []string{"a\r\n", large}, "a\r\n" + large + ".\r\n"},
		{"large, dots at the border", []string{"a\r\n", "." + large, "." + large}, "a\r\n.." + large + ".." + large + ".\r\n"},
		{"large, dot in the middle of a line", []string{"a", "." + large}, "a." + large + ".\r\n"},
		{"large, all dots", []string{dots}, strings.ReplaceAll(dots, ".", "..") + ".\r\n"},
		{"line end on the block's border", []string{edge + "\r\n.\r\n"}, edge + "\r\n..\r\n.\r\n"},
		{"line end before the block's border", []string{edge[1:] + "\r\n.\r\n"}, edge[1:] + "\r\n..\r\n.\r\n"},
		{"line end after the block's border", []string{edge + "y\r\n.\r\n"}, edge + "y\r\n..\r\n.\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, toContent+"body|250 taken", nil)
			s := begun(t, server, server.config())
			if got := send(s, pieces(c.pieces...), nil); got != "dot 250" {
				t.Fatal(got)
			}
			s.Close()
			<-server.done
			if got := server.bodies[0]; got != c.want || server.rest != "" {
				t.Errorf("the server got %.200q (%d octets), want %.200q (%d)", got, len(got), c.want, len(c.want))
			}
		})
	}
}

// Whoever composes uses the same memory for one message after the other. Nothing of an earlier message gets into a
// later one, however large they are.
func TestContentInTheSameMemory(t *testing.T) {
	t.Parallel()
	server := play(t, stepped+strings.Repeat("mail|250 ok|rcpt|250 ok|data|354 go|body|250 taken|", 2), nil)
	s := dial(t, server.config())
	memory := make([]byte, 3*blockSize)
	var want []string
	for i, letter := range []string{"A", "B"} {
		text := strings.Repeat(letter, (2+i)*blockSize-8) + "\r\n."
		text += strings.Repeat(letter, 3) + "\r\n"
		want = append(want, strings.Replace(text, "\n.", "\n..", 1)+".\r\n")
		if got := carry(s, hello, [][]byte{memory[:copy(memory, text)]}); got != "dot 250" {
			t.Fatal(got)
		}
	}
	s.Close()
	<-server.done
	for i, got := range server.bodies {
		if got != want[i] {
			t.Errorf("message %d: %.20q, %d octets; want %.20q, %d", i, got, len(got), want[i], len(want[i]))
		}
	}
}

// Content of which a server could take a part for the end of the message is never completed.
func TestBareNewline(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x\r\n", blockSize)
	for _, c := range []struct {
		name   string
		pieces []string
	}{
		{"LF", []string{"a\nb\r\n"}},
		{"LF first", []string{"\n"}},
		{"CR", []string{"a\rb\r\n"}},
		{"CR last", []string{"a\r"}},
		{"CR CR LF", []string{"a\r\r\n"}},
		{"LF dot LF", []string{"a\n.\nMAIL FROM:<x@y>\r\n"}},
		{"LF dot CR LF", []string{"a\n.\r\nb\r\n"}},
		{"CR dot CR", []string{"a\r.\rb\r\n"}},
		{"CR, border, LF", []string{"a\r", "\n"}},
		{"after a line", []string{"a\r\n", "\n"}},
		{"LF behind much", []string{large, "a\nb\r\n"}},
		{"CR in much", []string{large + "\r" + large}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, toContent, nil)
			s := begun(t, server, server.config())
			gone, err := sendReady(s, pieces(c.pieces...), &hello)
			if gone || !errors.Is(err, ErrBareNewline) || !s.Broken() {
				t.Errorf("gone %v, error %v, broken %v", gone, err, s.Broken())
			}
			s.Quit()
			<-server.done
			if strings.Contains("\n"+server.rest, "\n.") || strings.Contains(server.rest, "QUIT") || strings.Contains(strings.ReplaceAll(server.rest, "\r\n", ""), "\n") {
				t.Errorf("the server got %.100q at the end", server.rest[max(0, len(server.rest)-100):])
			}
		})
	}
}

// A server that does not wait for the end of the message does not get it, and its reason is kept.
func TestBreaksIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"refusal", "part|552 too large", "DATA: 552 too large: the server said this before the message was complete"},
		{"refusal, closed", "part|552 too large|close", "552 too large"},
		{"early acceptance", "part|250 taken", "250 taken"},
		{"farewell", "part|421 4.4.2 too slow|close", "421 4.4.2 too slow"},
		{"garbage", "part|\"oops\\r\\n\"", "not an SMTP reply"},
		{"half a reply", "part|\"250\"|hang", "broke off"},
		{"closed", "part|close", "DATA: "},
		{"reset", "part|rst", "DATA: "},
		{"hang", "deaf", "timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, toContent+c.script, nil)
			config := server.config()
			if c.script == "deaf" {
				config.Timeouts.DataBlock = short
			}
			s := begun(t, server, config)
			// More than the buffers of the connection hold, so that the server speaks before the end.
			piece := bytes.Repeat([]byte("some line of some message\r\n"), 40_000)
			content := make([][]byte, 32)
			for i := range content {
				content[i] = piece
			}
			gone, err := sendReady(s, content, nil)
			var e *reply.Error
			if gone || !s.Broken() || !errors.As(err, &e) || e.Stage != reply.Data || !strings.Contains(err.Error(), c.want) {
				t.Errorf("gone %v, broken %v, error %v; want %q", gone, s.Broken(), err, c.want)
			}
			server.hear()
			<-server.done
			if strings.Contains(server.rest, "\r\n.\r\n") {
				t.Error("the message was completed")
			}
		})
	}
}

// A cut is a connection that breaks after so many octets.
type cut struct {
	net.Conn
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.Conn.Close()
	c.left = 0
	return n, errors.New("cut")
}

// It is the last octet of the final dot that decides whether the server can have the message.
func TestGone(t *testing.T) {
	t.Parallel()
	const wire = "hi.\r\n..\r\n.\r\n"
	for _, c := range []struct {
		name string
		left int
		gone bool
	}{
		{"nothing", 0, false},
		{"half the content", 4, false},
		{"all but the final line", len(wire) - 3, false},
		{"final dot, no line end", len(wire) - 2, false},
		{"all but the last octet", len(wire) - 1, false},
		{"just the message", len(wire), true},
		{"half the next envelope", len(wire) + 10, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, piped+"mail|rcpt|data|250 ok|250 ok|354 go", nil)
			s := begun(t, server, server.config())
			s.conn = &cut{Conn: s.conn, left: c.left}
			gone, err := sendReady(s, pieces("hi.\r\n", ".\r\n"), &hello)
			if gone != c.gone || err == nil || !s.Broken() {
				t.Errorf("gone %v, error %v, broken %v; want gone %v", gone, err, s.Broken(), c.gone)
			}
			<-server.done
			if complete := strings.Contains(server.rest, "\r\n.\r\n"); complete && !gone {
				t.Errorf("not gone, but the server has %q", server.rest)
			}
		})
	}
}

// Whatever the content is and however it is cut, the result is the content dot-stuffed, or an error.
func FuzzStuff(f *testing.F) {
	f.Add([]byte("a\r\n.b\r\n"), 3)
	f.Add([]byte(".\r\n.\r\n"), 1)
	f.Add([]byte("a\n.\nb"), 2)
	f.Add([]byte("a\r.\r\n"), 2)
	f.Fuzz(func(t *testing.T, content []byte, at int) {
		at = min(max(at, 0), len(content))
		out, err := stuff(nil, content[:at], true)
		if err == nil {
			out, err = stuff(out, content[at:], at == 0 || content[at-1] == '\n')
		}
		lone := bytes.ReplaceAll(content, []byte("\r\n"), nil)
		split := at > 0 && at < len(content) && content[at-1] == '\r' && content[at] == '\n'
		if bad := bytes.ContainsAny(lone, "\r\n") || split; bad != (err != nil) {
			t.Fatalf("%q at %d: error %v", content, at, err)
		}
		if err != nil {
			return
		}
		want := bytes.ReplaceAll(append([]byte("\r\n"), content...), []byte("\r\n."), []byte("\r\n.."))[2:]
		if !bytes.Equal(out, want) {
			t.Fatalf("%q at %d: got %q, want %q", content, at, out, want)
		}
	})
}

// The cost of a message with a server that answers at once.
func BenchmarkSession(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"10KB", 10 << 10}, {"1MB", 1 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go instant(l)
			a := l.Addr().(*net.TCPAddr)
			s, err := NewTransport(Config{Host: "127.0.0.1", Port: a.Port, Security: None, Helo: "client.example"}).Dial(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			line := strings.Repeat("x", 74) + "\r\n"
			content := pieces(strings.Repeat(line, c.size/len(line)))
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			m := hello
			s.Offer(&m)
			for b.Loop() {
				if got := answer(s); got != "ready" {
					b.Fatal(got)
				}
				if got := send(s, content, &hello); got != "dot 250" {
					b.Fatal(got)
				}
			}
		})
	}
}

// instant answers what the benchmark's session sends, each flight by one write.
func instant(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Minute))
	io.WriteString(conn, "220 hi\r\n")
	buf := make([]byte, 256<<10)
	tail := ""
	for first := true; ; first = false {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if first {
			io.WriteString(conn, "250-hi\r\n250 PIPELINING\r\n")
			continue
		}
		tail += string(buf[max(0, n-200):n])
		tail = tail[max(0, len(tail)-200):]
		if strings.HasSuffix(tail, "DATA\r\n") {
			replies := "250 ok\r\n250 ok\r\n354 go\r\n"
			if strings.Contains(tail, "\r\n.\r\nMAIL") {
				replies = "250 taken\r\n" + replies
			}
			io.WriteString(conn, replies)
			tail = ""
		}
	}
}

// A cork holds back what is written until it is pulled, so that several TLS records come in one segment.
type cork struct {
	net.Conn
	in   bool
	held []byte
}

func (c *cork) Write(b []byte) (int, error) {
	if c.held = append(c.held, b...); c.in {
		return len(b), nil
	}
	_, err := c.Conn.Write(c.held)
	c.held = nil
	return len(b), err
}

// A reply that comes too early is seen although it is still encrypted in the TLS connection: the message is not
// completed, and the reply is not taken for the one to the dot.
func TestEarlyReplyInTLS(t *testing.T) {
	t.Parallel()
	for _, early := range []string{"250 taken\r\n", "451 later\r\n"} {
		ours := newAuthority(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		go func() {
			defer l.Close()
			raw, err := l.Accept()
			if err != nil {
				got <- err.Error()
				return
			}
			c := &cork{Conn: raw}
			conn := tls.Server(c, ours.serverFor(t, "", time.Now().AddDate(0, 1, 0)))
			defer conn.Close()
			r := bufio.NewReader(conn)
			fmt.Fprint(conn, "220 mx.example.com\r\n")
			for _, answer := range []string{"250 hi\r\n", "250 ok\r\n", "250 ok\r\n"} { // EHLO, MAIL, RCPT
				r.ReadString('\n')
				fmt.Fprint(conn, answer)
			}
			r.ReadString('\n')
			c.in = true
			fmt.Fprint(conn, "354 go\r\n")
			c.in = false
			fmt.Fprint(conn, early)
			rest, _ := io.ReadAll(r)
			got <- string(rest)
		}()
		a := l.Addr().(*net.TCPAddr)
		config := (&server{host: "127.0.0.1", port: a.Port}).config()
		config.Security, config.TLS = TLS, &tls.Config{RootCAs: ours.pool()}
		s := dial(t, config)
		m := hello
		s.Offer(&m)
		ok, err := s.Ready()
		gone := false
		if ok {
			gone, err = sendReady(s, pieces("hi.\r\n"), nil)
		}
		if gone || err == nil || !s.Broken() {
			t.Errorf("early %q: gone %v, ready %v, %v", early, gone, ok, err)
		}
		s.Close()
		if content := <-got; strings.Contains(content, "\r\n.\r\n") {
			t.Errorf("early %q: the message was completed: %q", early, content)
		}
	}
}
