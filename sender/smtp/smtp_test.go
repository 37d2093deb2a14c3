package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"mailblast/sender/reply"
)

// What Dial makes of a server in plain text.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		stage        reply.Stage
		want         string // part of the error; "" for a session
		final        bool
	}{
		{"one line", greet + "250 hi", 0, "", false},
		{"several lines", "220-mx|220-is|220 here|> EHLO client.example|250 hi", 0, "", false},
		{"bare code", "220|> EHLO client.example|250", 0, "", false},
		{"line feed only", `"220 mx\n"|> EHLO client.example|"250-hi\n250 SIZE\n"`, 0, "", false},
		{"one octet at a time", "drip 220 mx|> EHLO client.example|drip 250 hi", 0, "", false},
		{"greeting 421", "421 4.3.2 busy", reply.Connect, "connect: 421 4.3.2 busy", false},
		{"greeting 554", "554 no service", reply.Connect, "connect: 554 no service", true},
		{"greeting 554 for too many", "554 too many connections", reply.Connect, "554 too many", false},
		{"greeting 250", "250 hi", reply.Connect, "250 hi", true},
		{"greeting 354", "354 go", reply.Connect, "354 go", true},
		{"greeting doubled", "220 mx|220 mx", reply.Ehlo, "nobody asked for", false},
		{"greeting garbage", `"SSH-2.0-x\r\n"`, reply.Connect, `SSH-2.0-x`, false},
		{"greeting escapes", `"\x1b[2Jboo\r\n"`, reply.Connect, `"\x1b[2Jboo`, false},
		{"greeting NUL", `"220 a\x00b\r\n"`, reply.Connect, "NUL", false},
		{"greeting of 1 MB", "huge", reply.Connect, "longer than", false},
		{"greeting of 10,000 lines", "many", reply.Connect, "longer than", false},
		{"greeting mismatched", "220-mx|250 mx", reply.Connect, "code 250 inside a 220 reply", false},
		{"greeting cut off", `"220-mx\r\n"|close`, reply.Connect, "unexpected EOF", false},
		{"closed", "close", reply.Connect, "EOF", false},
		{"reset", "rst", reply.Connect, "connect: ", false},
		{"EHLO 421", greet + "421 bye", reply.Ehlo, "EHLO: 421 bye", false},
		{"EHLO 450", greet + "450 wait", reply.Ehlo, "450 wait", false},
		{"EHLO 550", greet + "550 bad name", reply.Ehlo, "set smtp.helo", true},
		{"EHLO 220", greet + "220 hi", reply.Ehlo, "220 hi", true},
		{"EHLO 354", greet + "354 hi", reply.Ehlo, "354 hi", true},
		{"EHLO doubled", greet + "250 hi|250 hi", reply.Ehlo, "nobody asked for", false},
		{"EHLO closed", greet + "close", reply.Ehlo, "EOF", false},
		{"EHLO reset", greet + "rst", reply.Ehlo, "could not be read", false},
		{"EHLO garbage", greet + `"what?\r\n"`, reply.Ehlo, "not an SMTP reply", false},
		{"HELO", greet + "502 what?|> HELO client.example|250 hi", 0, "", false},
		{"HELO 500", greet + "500 what?|> HELO client.example|250 hi", 0, "", false},
		{"HELO refused", greet + "502 what?|> HELO client.example|550 no", reply.Ehlo, "550 no", true},
		{"no HELO after 550", greet + "550 what?", reply.Ehlo, "550 what?", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, nil)
			s, err := NewTransport(server.config()).Dial(t.Context())
			if err == nil {
				defer s.Close()
			}
			checkError(t, err, c.stage, c.want, c.final)
			if s != nil && s.Broken() {
				t.Error("the session is broken")
			}
		})
	}
}

// checkError checks that there is an error with a text, or none if want is "".
func checkError(t *testing.T, err error, stage reply.Stage, want string, final bool) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("error %v", err)
		}
		return
	}
	var e *reply.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a *reply.Error with %q", err, want)
	}
	if e.Stage != stage || e.Final() != final || !strings.Contains(e.Error(), want) {
		t.Errorf("error %q at %v, final %v; want %q at %v, final %v", e, e.Stage, e.Final(), want, stage, final)
	}
	for _, c := range e.Error() {
		if !unicode.IsGraphic(c) {
			t.Errorf("error %q has a control character", e)
		}
	}
}

// Extensions that the reply to HELO seems to offer do not count.
func TestHeloOffersNothing(t *testing.T) {
	t.Parallel()
	server := play(t, greet+"502 what?|> HELO client.example|250-hi|250 PIPELINING|mail|250 ok|rcpt|250 ok|data|354 go", nil)
	s := dial(t, server.config())
	if got := ready(s, hello); got != "ready" {
		t.Error(got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	const offer, stls = "250-mx.example.com|250 STARTTLS|", "> STARTTLS|"
	const start = greet + offer + stls + "220 go|tls|"
	later, past := time.Now().AddDate(0, 1, 0), time.Now().AddDate(0, -1, 0)
	ours, theirs := newAuthority(t), newAuthority(t)
	good := ours.serverFor(t, "", later)
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, c := range []struct {
		name     string
		security Security
		script   string
		server   *tls.Config
		stage    reply.Stage
		want     string
		final    bool
	}{
		{"STARTTLS", StartTLS, start + "> EHLO client.example|250 hi", good, 0, "", false},
		{"STARTTLS in lower case", StartTLS, greet + "250-mx|250 starttls|" + stls + "220 go|tls|> EHLO client.example|250 hi", good, 0, "", false},
		{"unknown authority", StartTLS, start, theirs.serverFor(t, "", later), reply.StartTLS, "smtp.ca_file", true},
		{"expired", StartTLS, start, ours.serverFor(t, "", past), reply.StartTLS, "clock is wrong", true},
		{"wrong name", StartTLS, start, ours.serverFor(t, "mx.example.org", later), reply.StartTLS, `"127.0.0.1" is not`, true},
		{"name with escapes", StartTLS, start, ours.serverFor(t, "\x1b[2J.example.org", later), reply.StartTLS, "set smtp.host", true},
		{"old", StartTLS, start, old, reply.StartTLS, "updated to TLS 1.2", true},
		{"not offered", StartTLS, greet + "250-mx|250 PIPELINING", nil, reply.StartTLS, "does not offer STARTTLS", true},
		{"refused for now", StartTLS, greet + offer + stls + "454 not now", nil, reply.StartTLS, "454 not now", false},
		{"refused", StartTLS, greet + offer + stls + "502 no", nil, reply.StartTLS, "502 no", true},
		{"wrong 2xx", StartTLS, greet + offer + stls + "250 ok", nil, reply.StartTLS, "250 ok", true},
		{"injected", StartTLS, greet + offer + stls + "220 go|250 AUTH PLAIN", nil, reply.StartTLS, "tampering", true},
		{"plain text after the 220", StartTLS, greet + offer + stls + "220 go|part|250 hello hello", nil, reply.StartTLS, "went on in plain text", true},
		{"closed in the handshake", StartTLS, greet + offer + stls + "220 go|part|close", nil, reply.StartTLS, "TLS handshake", false},
		{"EHLO refused and no HELO", StartTLS, greet + "502 what?", nil, reply.Ehlo, "502 what?", true},
		{"EHLO refused after TLS", StartTLS, start + "> EHLO client.example|502 what?", good, reply.Ehlo, "502 what?", true},
		{"from the first byte", TLS, "tls|" + greet + "250 hi", good, 0, "", false},
		{"first byte, unknown authority", TLS, "tls", theirs.serverFor(t, "", later), reply.Connect, "smtp.ca_file", true},
		{"first byte, old", TLS, "tls", old, reply.Connect, "updated to TLS 1.2", true},
		{"first byte, but plain text", TLS, "220 mx.example.com", nil, reply.Connect, "starttls on port 587", true},
		{"first byte, EHLO refused", TLS, "tls|" + greet + "500 what?", good, reply.Ehlo, "500 what?", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, c.server)
			config := server.config()
			// Verification that is switched off in the configuration is on all the same.
			config.Security, config.TLS = c.security, &tls.Config{RootCAs: ours.pool(), InsecureSkipVerify: true}
			s, err := NewTransport(config).Dial(t.Context())
			if err == nil {
				defer s.Close()
			}
			checkError(t, err, c.stage, c.want, c.final)
		})
	}
}

// What the server offered before TLS does not count, and what it offers in TLS does.
func TestTLSForgets(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	server := play(t, greet+"250-mx|250-STARTTLS|250-PIPELINING|250-AUTH LOGIN|250 SMTPUTF8|> STARTTLS|220 go|tls|"+
		"> EHLO client.example|250-mx|250 SIZE 1000000|"+
		"> MAIL FROM:<from@example.com> SIZE=5|250 ok|rcpt|250 ok|data|354 go|body|250 taken|quit|221 bye", ours.serverFor(t, "", time.Now().AddDate(0, 1, 0)))
	config := server.config()
	config.Security, config.TLS = StartTLS, &tls.Config{RootCAs: ours.pool()}
	s := dial(t, config)
	e := hello
	e.UTF8 = true
	if got := ready(s, e); got != "mail 553" {
		t.Errorf("with SMTPUTF8: %s", got)
	}
	e = hello
	e.Size = 5
	if got := carry(s, e, pieces("hi.\r\n")); got != "dot 250" {
		t.Error(got)
	}
	s.Quit()
	<-server.done
	if !server.finished || server.rest != "" {
		t.Errorf("the server got to the end %v, and then got %q", server.finished, server.rest)
	}
}

// A server that says nothing is given up after the time-out, with a possible reason.
func TestOpenHangs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		security Security
		script   string
		stage    reply.Stage
		want     string
	}{
		{"greeting", None, "hang", reply.Connect, "set smtp.security to tls"},
		{"half a greeting", None, `"220-mx"|hang`, reply.Connect, "timeout"},
		{"EHLO", None, greet + "hang", reply.Ehlo, "timeout"},
		{"STARTTLS", StartTLS, greet + "250-mx|250 STARTTLS|> STARTTLS|hang", reply.StartTLS, "timeout"},
		{"handshake", StartTLS, greet + "250-mx|250 STARTTLS|> STARTTLS|220 go|hang", reply.StartTLS, "deadline"},
		{"handshake at the first byte", TLS, "hang", reply.Connect, "deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := play(t, c.script, nil).config()
			config.Security, config.Timeouts.Greeting = c.security, short
			_, err := NewTransport(config).Dial(t.Context())
			checkError(t, err, c.stage, c.want, false)
		})
	}
}

// When the context ends, so does Dial, wherever it is.
func TestDialEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		security Security
		script   string
	}{
		{"greeting", None, "signal|hang"},
		{"EHLO", None, greet + "signal|hang"},
		{"handshake", TLS, "signal|hang"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("no longer wanted")
			go func() {
				<-server.signal
				cancel(why)
			}()
			config := server.config()
			config.Security = c.security
			if _, err := NewTransport(config).Dial(ctx); !errors.Is(err, why) {
				t.Errorf("error %v, want %v", err, why)
			}
		})
	}
}

func TestDialRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"no security", Config{Host: "127.0.0.1", Port: 1}, "unknown security"},
		{"password alone", Config{Host: "127.0.0.1", Port: 1, Security: None, Password: "x"}, "go together"},
		{"user alone", Config{Host: "127.0.0.1", Port: 1, Security: None, Username: "x"}, "go together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewTransport(c.config).Dial(t.Context())
			checkError(t, err, reply.Connect, c.want, true)
		})
	}
	t.Run("name in two lines", func(t *testing.T) {
		t.Parallel()
		server := play(t, "220 hi", nil)
		config := server.config()
		config.Helo = "a\r\nMAIL FROM:<>"
		_, err := NewTransport(config).Dial(t.Context())
		checkError(t, err, reply.Ehlo, "cannot stand in a command", true)
		<-server.done
		if server.rest != "" {
			t.Errorf("the server got %q", server.rest)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		server := play(t, "close", nil)
		config := server.config()
		if _, err := NewTransport(config).Dial(t.Context()); err == nil {
			t.Fatal("a session")
		}
		<-server.done // and its port is closed
		_, err := NewTransport(config).Dial(t.Context())
		checkError(t, err, reply.Connect, "check smtp.host", false)
	})
}

func TestQuit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script string }{
		{"bye", stepped + "quit|221 bye"},
		{"closed", stepped + "quit|close"},
		{"garbage", stepped + `quit|"what?\r\n"`},
		{"hang", stepped + "quit|hang"},
		{"content is expected", stepped + "mail|250 ok|rcpt|250 ok|data|354 go"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, nil)
			config := server.config()
			config.Timeouts.Quit = short
			s := dial(t, config)
			if strings.Contains(c.script, "mail") {
				m := hello
				s.Offer(&m)
				if _, err := s.Ready(); err != nil {
					t.Fatal(err)
				}
			}
			s.Quit()
			<-server.done
			if !s.Broken() || server.rest != "" {
				t.Errorf("broken %v, and the server got %q", s.Broken(), server.rest)
			}
		})
	}
}

// A connection comes from the address that the configuration names.
func TestSourceIP(t *testing.T) {
	for _, c := range []struct{ listen, from string }{{"127.0.0.1:0", "127.0.0.2"}, {"[::1]:0", "::1"}} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Logf("there is no %s here: %v", c.listen, err)
			continue
		}
		defer l.Close()
		came := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			came <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
			conn.Close()
		}()
		at := l.Addr().(*net.TCPAddr)
		if _, err := NewTransport(Config{Host: at.IP.String(), Port: at.Port, Security: None, Helo: "client.example", SourceIP: netip.MustParseAddr(c.from)}).Dial(t.Context()); err == nil {
			t.Error("there is a session with a server that said nothing")
		}
		if got := <-came; got != c.from {
			t.Errorf("the connection came from %s, want %s", got, c.from)
		}
	}
}
