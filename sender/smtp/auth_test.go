package smtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"mailblast/sender/reply"
)

const (
	user   = "someone@example.com"
	canary = "kanarien-Vogel\"17%s"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// The server's script after its offer, and what becomes of the log-in. The password is in no error.
func TestLogin(t *testing.T) {
	t.Parallel()
	token := b64("\x00" + user + "\x00" + canary)
	plain := "> AUTH PLAIN " + token + "|"
	login := "> AUTH LOGIN " + b64(user) + "|"
	mac := hmac.New(md5.New, []byte(canary))
	mac.Write([]byte("<17@mx>"))
	digest := b64(fmt.Sprintf("%s %x", user, mac.Sum(nil)))
	askPassword, askName := "334 "+b64("Password:")+"|", "334 "+b64("Username:")+"|"
	for _, c := range []struct {
		name, offer, script string
		want                string
		final               bool
	}{
		{"PLAIN", "AUTH PLAIN", plain + "235 welcome", "", false},
		{"LOGIN", "AUTH LOGIN", login + askPassword + "> " + b64(canary) + "|235 welcome", "", false},
		{"LOGIN asks the name again", "AUTH LOGIN", login + askName + "> " + b64(user) + "|" + askPassword + "> " + b64(canary) + "|235 welcome", "", false},
		{"CRAM-MD5", "AUTH CRAM-MD5", "> AUTH CRAM-MD5|334 " + b64("<17@mx>") + "|> " + digest + "|235 welcome", "", false},
		{"PLAIN first", "AUTH CRAM-MD5 LOGIN PLAIN", plain + "235 welcome", "", false},
		{"then LOGIN", "AUTH CRAM-MD5 LOGIN", login + askPassword + "> " + b64(canary) + "|235 welcome", "", false},
		{"old spelling", "AUTH=PLAIN LOGIN", plain + "235 welcome", "", false},
		{"both spellings", "AUTH=LOGIN|250-AUTH PLAIN", plain + "235 welcome", "", false},
		{"lower case", "auth plain", plain + "235 welcome", "", false},
		{"welcome in many words", "AUTH PLAIN", plain + "235-2.7.0 you|235 2.7.0 are in", "", false},
		{"not offered", "SIZE", "", "does not offer to log in", true},
		{"AUTH in another keyword", "XAUTH=PLAIN", "", "does not offer to log in", true},
		{"offered without mechanisms", "AUTH", "", "does not offer to log in", true},
		{"unknown mechanisms", "AUTH GSSAPI XOAUTH2", "", "only by GSSAPI, XOAUTH2", true},
		{"refused", "AUTH PLAIN", plain + "535 5.7.8 no", "log in: 535 5.7.8 no: check smtp.username", true},
		{"refused for now", "AUTH PLAIN", plain + "454 4.7.0 not now", "454 4.7.0 not now", false},
		{"refused for speed", "AUTH PLAIN", plain + "535 5.7.8 too many login attempts, try again later", "too many", false},
		{"refused at the name", "AUTH LOGIN", login + "535 who?", "535 who?", true},
		{"refused at the password", "AUTH LOGIN", login + askPassword + "> " + b64(canary) + "|535 no", "535 no", true},
		{"wrong 2xx", "AUTH PLAIN", plain + "250 ok", "250 ok", true},
		{"354", "AUTH PLAIN", plain + "354 go", "354 go", true},
		{"question too many", "AUTH PLAIN", plain + "334 " + b64("and?"), "question in PLAIN was not understood", true},
		{"unknown question", "AUTH LOGIN", login + "334 " + b64("Shoe size:"), "question in LOGIN was not understood", true},
		{"question not in base64", "AUTH CRAM-MD5", "> AUTH CRAM-MD5|334 !!!", "question in CRAM-MD5 was not understood", true},
		{"farewell", "AUTH PLAIN", plain + "421 bye", "421 bye", false},
		{"closed", "AUTH PLAIN", plain + "close", "EOF", false},
		{"reset", "AUTH PLAIN", plain + "rst", "could not be read", false},
		{"hang", "AUTH PLAIN", plain + "hang", "timeout", false},
		{"welcomed twice", "AUTH PLAIN", plain + "235 in|235 in", "nobody asked for", false},
		{"garbage", "AUTH PLAIN", plain + `"what?\r\n"`, "not an SMTP reply", false},
		{"echoes the token", "AUTH PLAIN", plain + "535 bad: " + token, "535 bad: [password]", true},
		{"echoes a part of it", "AUTH PLAIN", plain + "535 bad: " + token[:len(token)-7] + "...", "bad: [password]...", true},
		{"echoes it in two lines", "AUTH PLAIN", plain + "535-bad " + token[:30] + "|535 " + token[30:], "bad [password]", true},
		{"echoes the password", "AUTH PLAIN", plain + "535 not " + canary + "!", "not [password]!", true},
		{"echoes its code", "AUTH LOGIN", login + askPassword + "> " + b64(canary) + "|535 not " + b64(canary), "not [password]", true},
		{"is an echo", "AUTH PLAIN", plain + strconv.Quote("AUTH PLAIN "+token+"\r\n"), "not an SMTP reply", false},
		{"echoes the password alone", "AUTH PLAIN", plain + strconv.Quote(canary+"\r\n"), "not an SMTP reply", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, greet+"250-mx|250-"+c.offer+"|250 HELP|"+c.script, nil)
			config := server.config()
			config.Username, config.Password = user, canary
			if strings.HasSuffix(c.script, "hang") {
				config.Timeouts.Greeting = short
			}
			s, err := NewTransport(config).Dial(t.Context())
			stage := reply.Auth
			if c.name == "welcomed twice" {
				stage = reply.Ehlo
			}
			checkError(t, err, stage, c.want, c.final)
			if s != nil {
				s.Close()
			} else {
				for _, secret := range []string{canary, canary[:8], canary[len(canary)-8:], b64(canary)[:10], token[len(token)-12:]} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("error %q has the password in it", err)
					}
				}
			}
			<-server.done
			if server.rest != "" {
				t.Errorf("the server got %q besides", server.rest)
			}
		})
	}
}

// A password that is longer than the library's buffer goes in one line all the same.
func TestLoginLong(t *testing.T) {
	t.Parallel()
	password := strings.Repeat("long", 2000)
	server := play(t, greet+"250-mx|250 AUTH PLAIN|> AUTH PLAIN "+b64("\x00"+user+"\x00"+password)+"|235 welcome", nil)
	config := server.config()
	config.Username, config.Password = user, password
	dial(t, config)
}

// With a user name, an EHLO that is refused does not become a HELO.
func TestLoginNeedsEhlo(t *testing.T) {
	t.Parallel()
	server := play(t, greet+"502 what?", nil)
	config := server.config()
	config.Username, config.Password = user, canary
	_, err := NewTransport(config).Dial(t.Context())
	checkError(t, err, reply.Ehlo, "502 what?", true)
}

// A farAway connection leads to an address, and keeps what is written.
type farAway struct {
	net.Conn
	addr net.Addr
	sent bytes.Buffer
}

func (c *farAway) RemoteAddr() net.Addr { return c.addr }

func (c *farAway) Write(p []byte) (int, error) { return c.sent.Write(p) }

// In plain text, a password goes to this machine only.
func TestLoginInSecret(t *testing.T) {
	t.Parallel()
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 25} }
	for _, c := range []struct {
		name string
		addr net.Addr
		want bool
	}{
		{"loopback", tcp("127.0.0.1"), true},
		{"loopback net", tcp("127.8.8.8"), true},
		{"loopback IPv6", tcp("::1"), true},
		{"loopback mapped", tcp("::ffff:127.0.0.1"), true},
		{"another", tcp("192.0.2.1"), false},
		{"private", tcp("10.0.0.1"), false},
		{"another IPv6", tcp("2001:db8::1"), false},
		{"unspecified", tcp("0.0.0.0"), false},
		{"unknown", &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := &farAway{addr: c.addr}
			if got := confidential(conn); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if c.want {
				return
			}
			s := &Session{tcp: conn, conn: conn, extensions: map[string]string{"AUTH": "PLAIN"}}
			err := s.login(Config{Security: None, Username: user, Password: canary})
			checkError(t, err, reply.Auth, "smtp.security", true)
			if conn.sent.Len() > 0 {
				t.Errorf("the server got %q", conn.sent.String())
			}
		})
	}
}

// What a server says after the log-in does not hold the password either.
func TestEchoAfterLogin(t *testing.T) {
	t.Parallel()
	token := b64("\x00" + user + "\x00" + canary)
	server := play(t, greet+"250-mx|250 AUTH PLAIN|> AUTH PLAIN "+token+"|235 in|mail|250 ok|rcpt|550 5.7.1 not for "+user+"/"+canary+
		"|rset|250 ok|mail|250 ok|rcpt|250 ok|data|354 go|body|250 taken from "+token, nil)
	config := server.config()
	config.Username, config.Password = user, canary
	s := dial(t, config)
	m := hello
	s.Offer(&m)
	if ok, err := s.Ready(); ok || err != nil {
		t.Fatalf("ready %v, %v", ok, err)
	}
	if r, err := s.Answer(); err != nil || r.Text != "not for "+user+"/[password]" {
		t.Errorf("%q, %v", r.Text, err)
	}
	if got := ready(s, hello); got != "ready" {
		t.Fatal(got)
	}
	if _, err := sendReady(s, pieces("hi.\r\n"), nil); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Answer(); err != nil || r.Text != "taken from [password]==" {
		t.Errorf("%q, %v", r.Text, err)
	}
}
