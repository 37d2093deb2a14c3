package sink

import (
	"crypto/tls"
	"strings"
	"testing"
)

// startTLS runs a server with a throwaway certificate and returns the authority to trust.
func startTLS(t *testing.T, opts Options) (*Server, []byte) {
	t.Helper()
	certificate, authority, err := ThrowawayCertificate("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	opts.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	return start(t, opts), authority
}

func TestSTARTTLS(t *testing.T) {
	tests := map[string]struct {
		opts          Options
		fail          []string
		before, after string // the handshake
		want          Counts
	}{
		"a message": {
			after: "> EHLO x\n< 250\n" + message1 + "< 250\n> QUIT\n< 221\n< closed",
			want:  Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"nothing said before is remembered": {
			before: envelope,
			after:  "> MAIL FROM:<a@x>\n< 502\n> EHLO x\n< 250\n> DATA\n< 502\n",
			want:   Counts{Connections: 1},
		},
		"faults inside": {
			fail:  []string{"DATA=451 4.3.0 not now"},
			after: "> EHLO x\n< 250\n" + envelope + "> DATA\n< 451 4.3.0 not now\n> NOOP\n< 250\n",
			want:  Counts{Connections: 1, Refused: 1},
		},
		"421 inside": {
			fail:  []string{"DOT=421 4.3.2 too busy"},
			after: "> EHLO x\n< 250\n" + message1 + "< 421 4.3.2 too busy\n< closed",
			want:  Counts{Connections: 1, Refused: 1},
		},
		"dropped inside": {
			opts:  Options{DropAfterDot: 1},
			after: "> EHLO x\n< 250\n" + message1 + "< closed",
			want:  Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Dropped: 1},
		},
		"login only inside": {
			opts:   Options{Username: "u", Password: "p"},
			before: "> AUTH PLAIN AHUAcA==\n< 538 5.7.11\n",
			after:  "> EHLO x\n< 250\n> AUTH PLAIN AHUAcA==\n< 235\n" + message1 + "< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Refused: 1},
		},
		"with latency": {
			opts:  Options{Latency: 1},
			after: "> EHLO x\n< 250\n" + message1 + "< 250\n",
			want:  Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.opts.Security, tt.opts.Fail = StartTLS, rules(t, tt.fail...)
			server, authority := startTLS(t, tt.opts)
			c := dial(t, server)
			c.say(hello + tt.before + "> STARTTLS\n< 220\n")
			c.encrypt(authority)
			c.say(tt.after)
			if got := server.Counts(); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestSTARTTLSAnnounced(t *testing.T) {
	server, authority := startTLS(t, Options{Security: StartTLS, Username: "u", Password: "p"})
	c := dial(t, server)
	announced := func(what string) bool { return strings.Contains(c.reply()+"\n", "\n250-"+what+"\n") }
	c.say("< 220\n> EHLO x\n")
	if !announced("STARTTLS") {
		t.Error("STARTTLS is not announced before it")
	}
	c.say("> EHLO x\n")
	if announced("AUTH PLAIN LOGIN") {
		t.Error("AUTH is announced before STARTTLS")
	}
	c.say("> STARTTLS\n< 220\n")
	c.encrypt(authority)
	c.say("> EHLO x\n")
	if !announced("AUTH PLAIN LOGIN") {
		t.Error("AUTH is not announced after STARTTLS")
	}
	c.say("> EHLO x\n")
	if announced("STARTTLS") {
		t.Error("STARTTLS is announced after it")
	}
}

// Commands that follow STARTTLS in plain text are not taken for commands inside it (RFC 3207 section 6); here they
// spoil the handshake.
func TestSTARTTLSInjection(t *testing.T) {
	server, _ := startTLS(t, Options{Security: StartTLS})
	c := dial(t, server)
	c.say(hello + "> STARTTLS\n> EHLO evil\n< 220\n> more plain text\n")
	for reply := c.reply(); reply != "closed"; reply = c.reply() {
		if strings.HasPrefix(reply, "250") {
			t.Fatalf("plain text was answered: %q", reply)
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	server, authority := startTLS(t, Options{Security: TLS, Username: "u", Password: "p"})
	c := dial(t, server)
	c.encrypt(authority)
	c.say(hello + "> STARTTLS\n< 502\n> AUTH PLAIN AHUAcA==\n< 235\n" + message1 + "< 250\n> QUIT\n< 221\n< closed")
}

func TestImplicitTLSRefusesAtConnect(t *testing.T) {
	server, authority := startTLS(t, Options{Security: TLS, Fail: rules(t, "CONNECT=554 5.7.1 go away")})
	c := dial(t, server)
	c.encrypt(authority)
	c.say("< 554 5.7.1 go away\n< closed")
}

func TestPlainTextToImplicitTLS(t *testing.T) {
	server, _ := startTLS(t, Options{Security: TLS})
	c := dial(t, server)
	c.say("> EHLO x\n")
	for reply := c.reply(); reply != "closed"; reply = c.reply() {
		if strings.HasPrefix(reply, "2") {
			t.Fatalf("plain text was answered: %q", reply)
		}
	}
}
