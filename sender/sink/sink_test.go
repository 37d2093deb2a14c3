package sink

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pushed is a message that is sent whole, without waiting for the reply to anything before it.
func pushed(to, subject string) string {
	return "> RSET\n> MAIL FROM:<a@x>\n> RCPT TO:<" + to + "@x>\n> BDAT " + itoa(len("Subject: \r\n\r\n.\r\n")+len(subject)) + " LAST\n> Subject: " + subject + "\n>\n> .\n"
}

func TestSession(t *testing.T) {
	tests := map[string]struct {
		opts   Options
		fail   []string
		script string
		want   Counts
	}{
		"one message": {
			script: hello + message1 + "< 250 2.0.0 OK: message 1\n> QUIT\n< 221\n< closed",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"the same recipient again, in other letter case": {
			script: hello + message1 + "< 250\n" + strings.ReplaceAll(message1, "<b@", "<B@") + "< 250\n",
			want:   Counts{Connections: 1, Accepted: 2, Recipients: 2, Distinct: 1, Duplicates: 1},
		},
		"several recipients": {
			script: hello + "> MAIL FROM:<>\n< 250\n> RCPT TO:<b@x>\n< 250\n> RCPT TO:<c@x>\n< 250\n> DATA\n< 354\n" + body + "< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 2, Distinct: 2},
		},
		"pipelined group, and the next envelope with the end of a message": {
			script: "> EHLO x\n> MAIL FROM:<a@x>\n> RCPT TO:<b@x>\n> DATA\n< 220\n< 250\n< 250\n< 250\n< 354\n" +
				"> one\n> .\n> MAIL FROM:<a@x>\n> RCPT TO:<c@x>\n> DATA\n< 250\n< 250\n< 250\n< 354\n> two\n> .\n> QUIT\n< 250\n< 221\n< closed",
			want: Counts{Connections: 1, Accepted: 2, Recipients: 2, Distinct: 2},
		},
		"message sent without waiting for the 354": {
			script: hello + "> MAIL FROM:<a@x>\n> RCPT TO:<b@x>\n> DATA\n" + body + "< 250\n< 250\n< 354\n< 250\n> NOOP\n< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"chunks": {
			script: hello + envelope + "> BDAT 6\n> DATA\n< 250\n> BDAT 5 LAST\n> two\n< 250 2.0.0 OK: message 1\n> NOOP\n< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"chunk without recipient is skipped": {
			script: hello + "> BDAT 6 LAST\n> QUIT\n< 502\n> NOOP\n< 250\n",
			want:   Counts{Connections: 1},
		},
		"whole messages, one behind the other": {
			fail: []string{"RCPT~^no@=550 5.1.1 who?", "DATA~^full@=452 4.3.1 full", "DOT~^Subject: two=554 5.7.1 spam"},
			script: hello + pushed("a", "one") + pushed("no", "one") + pushed("b", "two") + pushed("full", "one") + pushed("c", "one") +
				"< 250\n< 250\n< 250\n< 250 2.0.0 OK: message 1\n" + "< 250\n< 250\n< 550 5.1.1\n< 502\n" + "< 250\n< 250\n< 250\n< 554 5.7.1\n" +
				"< 250\n< 250\n< 250\n< 452 4.3.1\n" + "< 250\n< 250\n< 250\n< 250 2.0.0 OK: message 2\n> QUIT\n< 221\n< closed",
			want: Counts{Connections: 1, Accepted: 2, Recipients: 2, Distinct: 2, Refused: 3},
		},
		"421 among whole messages": {
			fail:   []string{"MAIL~^421@=421 4.3.2 too busy"},
			script: hello + pushed("a", "one") + "> MAIL FROM:<421@x>\n" + pushed("b", "one") + "< 250\n< 250\n< 250\n< 250\n< 421\n< closed",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Refused: 1},
		},
		"dropped among whole messages": {
			opts:   Options{DropAfterDot: 1},
			script: hello + pushed("a", "one") + pushed("b", "one") + "< 250\n< 250\n< 250\n< closed",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Dropped: 1},
		},
		"reset between the chunks": {
			script: hello + envelope + "> BDAT 5\n> one\n< 250\n> RSET\n< 250\n" + message1 + "< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"reset": {
			script: hello + envelope + "> RSET\n< 250\n> DATA\n< 502\n> RCPT TO:<b@x>\n< 502\n" + message1 + "< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"nested MAIL": {
			script: hello + envelope + "> MAIL FROM:<a@x>\n< 503 5.5.1\n",
			want:   Counts{Connections: 1},
		},
		"UTF-8 and 8 bit": {
			script: hello + "> MAIL FROM:<ä@x> SMTPUTF8 BODY=8BITMIME SIZE=100\n< 250\n> RCPT TO:<ü@x>\n< 250\n> DATA\n< 354\n> Grüße\n> .\n< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"too large by its own word": {
			script: hello + "> MAIL FROM:<a@x> SIZE=99999999\n< 552 5.3.4\n",
			want:   Counts{Connections: 1},
		},
		"command without end": {
			script: hello + "> NOOP " + strings.Repeat("x", maxLine) + "\n< 500\n< closed",
			want:   Counts{Connections: 1},
		},

		"CONNECT": {
			fail: []string{"CONNECT=554 5.7.1 go away"}, script: "< 554 5.7.1 go away\n< closed",
			want: Counts{Connections: 1, Refused: 1},
		},
		"CONNECT from elsewhere": {
			fail: []string{`CONNECT~^10\.=554 5.7.1 go away`}, script: hello,
			want: Counts{Connections: 1},
		},
		"EHLO": {
			fail: []string{"EHLO~bad=550 5.7.1 bad name"}, script: "< 220\n> EHLO bad.example\n< 550 5.7.1 bad name\n> HELO bad.example\n< 550\n> EHLO good.example\n< 250\n",
			want: Counts{Connections: 1, Refused: 2},
		},
		"MAIL": {
			fail: []string{"MAIL~^a@=451 4.3.0 try later"}, script: hello + "> MAIL FROM:<a@x>\n< 451 4.3.0 try later\n> MAIL FROM:<b@x>\n< 250\n",
			want: Counts{Connections: 1, Refused: 1},
		},
		"RCPT, one of two": {
			fail: []string{"RCPT~^b@=550 5.1.1 no such user"},
			script: hello + "> MAIL FROM:<a@x>\n> RCPT TO:<b@x>\n> RCPT TO:<c@x>\n> DATA\n< 250\n< 550 5.1.1 no such user\n< 250\n< 354\n" + body +
				"< 250\n",
			want: Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Refused: 1},
		},
		"RCPT, the only one": {
			fail:   []string{"RCPT=550 5.1.1 no such user"},
			script: hello + "> MAIL FROM:<a@x>\n> RCPT TO:<b@x>\n> DATA\n< 250\n< 550\n< 502\n",
			want:   Counts{Connections: 1, Refused: 1},
		},
		"the first rule that applies answers": {
			fail:   []string{"RCPT~^b@=550 first", "RCPT=551 second"},
			script: hello + "> MAIL FROM:<a@x>\n< 250\n> RCPT TO:<b@x>\n< 550 first\n> RCPT TO:<c@x>\n< 551 second\n",
			want:   Counts{Connections: 1, Refused: 2},
		},
		"greylisting is for each recipient": {
			fail: []string{"RCPT#2=450 4.2.0 greylisted"},
			script: hello + "> MAIL FROM:<a@x>\n< 250\n> RCPT TO:<b@x>\n< 450\n> RCPT TO:<c@x>\n< 450\n> RCPT TO:<b@x>\n< 450\n> RCPT TO:<b@x>\n< 250\n" +
				"> RCPT TO:<c@x>\n< 450\n> RCPT TO:<c@x>\n< 250\n",
			want: Counts{Connections: 1, Refused: 4},
		},
		"DATA": {
			fail:   []string{"DATA~^b@=451 4.3.0 not now"},
			script: hello + envelope + "> DATA\n< 451 4.3.0 not now\n> RSET\n< 250\n> MAIL FROM:<a@x>\n> RCPT TO:<c@x>\n> DATA\n< 250\n< 250\n< 354\n" + body + "< 250\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Refused: 1},
		},
		"DATA, by the first chunk": {
			fail:   []string{"DATA=451 4.3.0 not now"},
			script: hello + envelope + "> BDAT 5 LAST\n> one\n< 451 4.3.0 not now\n> NOOP\n< 250\n",
			want:   Counts{Connections: 1, Refused: 1},
		},
		"DOT": {
			fail:   []string{"DOT=452 4.3.1 disk full"},
			script: hello + message1 + "< 452 4.3.1 disk full\n> NOOP\n< 250\n",
			want:   Counts{Connections: 1, Refused: 1},
		},
		"DOT by a folded header field": {
			fail: []string{"DOT~^Subject: .*pills=550 5.7.1 spam"},
			script: hello + message1 + "< 250\n" + envelope + "> DATA\n< 354\n> X: y\n> Subject: buy\n>  pills\n>\n> .\n< 550 5.7.1 spam\n" + envelope +
				"> DATA\n< 354\n> X: y\n>\n> Subject: pills\n> .\n< 250\n",
			want: Counts{Connections: 1, Accepted: 2, Recipients: 2, Distinct: 1, Duplicates: 1, Refused: 1},
		},
		"DOT, by the last chunk": {
			fail:   []string{"DOT=452 4.3.1 disk full"},
			script: hello + envelope + "> BDAT 5 LAST\n> one\n< 452 4.3.1 disk full\n",
			want:   Counts{Connections: 1, Refused: 1},
		},
		"421 closes the connection, unread commands or not": {
			fail:   []string{"RCPT=421 4.3.2 too busy"},
			script: hello + "> MAIL FROM:<a@x>\n> RCPT TO:<b@x>\n> RCPT TO:<c@x>\n> DATA\n< 250\n< 421 4.3.2 too busy\n< closed",
			want:   Counts{Connections: 1, Refused: 1},
		},
		"421 to DATA": {
			fail: []string{"DATA=421 4.3.2 too busy"}, script: hello + envelope + "> DATA\n< 421 4.3.2 too busy\n< closed",
			want: Counts{Connections: 1, Refused: 1},
		},
		"421 after the dot": {
			fail: []string{"DOT=421 4.3.2 too busy"}, script: hello + message1 + "< 421 4.3.2 too busy\n< closed",
			want: Counts{Connections: 1, Refused: 1},
		},
		"dropped after the dot": {
			opts: Options{DropAfterDot: 1}, script: hello + strings.TrimSuffix(message1, "\n") + "\n> MAIL FROM:<a@x>\n> NOOP\n< closed",
			want: Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Dropped: 1},
		},
		"dropped after the last chunk": {
			opts: Options{DropAfterDot: 1}, script: hello + envelope + "> BDAT 5 LAST\n> one\n< closed",
			want: Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Dropped: 1},
		},
		"rate": {
			opts:   Options{Rates: []Rate{{Limit: 1, Burst: 10}, {Limit: 1e-9, Burst: 1, Reply: Reply{454, "4.7.0 Throttling failure"}}}},
			script: hello + message1 + "< 250\n> MAIL FROM:<a@x>\n< 454 4.7.0 Throttling failure\n",
			want:   Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1, Refused: 1},
		},
		"latency changes nothing else": {
			opts: Options{Latency: time.Millisecond}, script: hello + message1 + "< 250\n> QUIT\n< 221\n< closed",
			want: Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},

		"login wanted": {
			opts: Options{Username: "u", Password: "p"}, script: hello + "> MAIL FROM:<a@x>\n< 530 5.7.0\n",
			want: Counts{Connections: 1, Refused: 1},
		},
		"PLAIN with initial response": { // "\0u\0p"
			opts: Options{Username: "u", Password: "p"}, script: hello + "> AUTH PLAIN AHUAcA==\n< 235\n" + message1 + "< 250\n",
			want: Counts{Connections: 1, Accepted: 1, Recipients: 1, Distinct: 1},
		},
		"PLAIN without": {
			opts: Options{Username: "u", Password: "p"}, script: hello + "> AUTH PLAIN\n< 334\n> AHUAcA==\n< 235\n",
			want: Counts{Connections: 1},
		},
		"PLAIN with a wrong password": { // "\0u\0x"
			opts: Options{Username: "u", Password: "p"}, script: hello + "> AUTH PLAIN AHUAeA==\n< 535 5.7.8\n> MAIL FROM:<a@x>\n< 530\n",
			want: Counts{Connections: 1, Refused: 2},
		},
		"PLAIN malformed": {
			opts: Options{Username: "u", Password: "p"}, script: hello + "> AUTH PLAIN dQ==\n< 501 5.5.2\n",
			want: Counts{Connections: 1},
		},
		"LOGIN": {
			opts: Options{Username: "u", Password: "p"}, script: hello + "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> dQ==\n< 334 UGFzc3dvcmQ6\n> cA==\n< 235\n",
			want: Counts{Connections: 1},
		},
		"LOGIN with the user at once": {
			opts: Options{Username: "u", Password: "p"}, script: hello + "> AUTH LOGIN dQ==\n< 334 UGFzc3dvcmQ6\n> eA==\n< 535\n",
			want: Counts{Connections: 1, Refused: 1},
		},
		"AUTH of one user": {
			opts: Options{Username: "u", Password: "p"}, fail: []string{"AUTH~^u$=454 4.7.0 later"}, script: hello + "> AUTH PLAIN AHUAcA==\n< 454 4.7.0 later\n",
			want: Counts{Connections: 1, Refused: 1},
		},
		"AUTH where none is wanted": {
			script: hello + "> AUTH PLAIN AHUAcA==\n< 502\n",
			want:   Counts{Connections: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.opts.Fail = rules(t, tt.fail...)
			server := start(t, tt.opts)
			dial(t, server).say(tt.script)
			if got := server.Counts(); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestAnnounced(t *testing.T) {
	c := dial(t, start(t, Options{}))
	c.say("< 220 localhost ESMTP\n> EHLO x\n")
	lines := strings.Split(c.reply(), "\n")
	want := []string{"250-PIPELINING", "250-8BITMIME", "250-ENHANCEDSTATUSCODES", "250-CHUNKING", "250-SMTPUTF8", "250-SIZE 67108864", "250 LIMITS RCPTMAX=10000"}
	if !reflect.DeepEqual(lines[1:], want) {
		t.Errorf("got %q, want %q", lines[1:], want)
	}
}

func TestProbability(t *testing.T) {
	server := start(t, Options{Fail: rules(t, "RCPT@0.5=451 4.3.0 try later")})
	c := dial(t, server)
	c.say(hello + "> MAIL FROM:<a@x>\n< 250\n")
	seen := map[string]bool{}
	// That one of the two does not come up in 200 goes has a chance of 2 to the power of -199.
	for range 200 {
		c.say("> RCPT TO:<b@x>\n")
		seen[c.reply()[:3]] = true
	}
	if !seen["250"] || !seen["451"] || len(seen) != 2 {
		t.Errorf("got replies %v, want 250 and 451", seen)
	}
}

// The content that arrives is what was sent, octet by octet, in the Maildir and for OnAccept.
func TestContent(t *testing.T) {
	long := strings.Repeat("x", inputBuffer-1)
	contents := map[string]string{
		"plain":                    "Subject: x\r\n\r\nhello\r\n",
		"empty":                    "",
		"dots":                     ".\r\n..\r\n.x\r\n...\r\n",
		"bare line feeds":          "a\n.\nb\n.\r\nc\r\n",
		"bare carriage returns":    "a\r.\rb\r\r\nc\r\n",
		"NUL and 8 bit":            "\x00\xff\xfeü\r\n",
		"line of 200,000":          strings.Repeat("x", 200_000) + "\r\n",
		"CR at the buffer's end":   long + "\r\n.x\r\n",
		"LF at the buffer's end":   long[1:] + "\r\n.x\r\n",
		"CRLF behind the buffer":   long + "x\r\n.x\r\n",
		"CR, then LF.LF at end":    long + "\r\r\n.\n.\n\r\n",
		"commands in the content":  "DATA\r\nBDAT 5\r\nQUIT\r\n",
		"no header, only new line": "\r\n",
	}
	for name, content := range contents {
		for _, how := range []string{"DATA", "BDAT"} {
			t.Run(name+", "+how, func(t *testing.T) {
				dir := t.TempDir()
				var got Message
				server := start(t, Options{Dir: dir, OnAccept: func(m Message) { got = m }})
				c := dial(t, server)
				c.say(hello + envelope)
				if how == "DATA" {
					c.say("> DATA\n< 354\n")
					io.WriteString(c.conn, stuff(content)+".\r\n")
				} else {
					half := len(content) / 2
					c.say("> BDAT " + itoa(half) + "\n")
					io.WriteString(c.conn, content[:half])
					c.say("< 250\n> BDAT " + itoa(len(content)-half) + " LAST\n")
					io.WriteString(c.conn, content[half:])
				}
				c.say("< 250 2.0.0 OK: message 1\n> QUIT\n< 221\n")
				if string(got.Data) != content {
					t.Errorf("got %.100q, want %.100q", got.Data, content)
				}
				files, err := filepath.Glob(filepath.Join(dir, "new", "*"))
				if err != nil || len(files) != 1 {
					t.Fatalf("got files %v, %v, want one", files, err)
				}
				if stored, err := os.ReadFile(files[0]); err != nil || string(stored) != content {
					t.Errorf("stored %.100q, %v, want %.100q", stored, err, content)
				}
				if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) != 0 {
					t.Errorf("left in tmp: %v", left)
				}
			})
		}
	}
}

// stuff is the sender's half of RFC 5321 section 4.5.2.
func stuff(content string) string {
	stuffed := strings.ReplaceAll(content, "\r\n.", "\r\n..")
	if strings.HasPrefix(content, ".") {
		stuffed = "." + stuffed
	}
	return stuffed
}

func TestAccepted(t *testing.T) {
	var got []Message
	server := start(t, Options{OnAccept: func(m Message) { got = append(got, m) }})
	dial(t, server).say(hello + "> MAIL FROM:<A@x>\n< 250\n> RCPT TO:<B@x>\n< 250\n> RCPT TO:<\"c d\"@x>\n< 250\n> DATA\n< 354\n> Message-id:\n>  <1@x>\n>\n> .\n< 250\n")
	if len(got) != 1 {
		t.Fatalf("got %d messages, want 1", len(got))
	}
	m := got[0]
	if m.ID != 1 || m.From != "A@x" || !reflect.DeepEqual(m.To, []string{"B@x", "c d@x"}) || m.MessageID != "1@x" || time.Since(m.Time) > hang {
		t.Errorf("got %+v", m)
	}
}

// Only a message whose 250 is on its way counts as answered.
func TestAnswered(t *testing.T) {
	twice := hello + envelope + "> DATA\n< 354\n> one\n> .\n< 250\n" + envelope + "> BDAT 5 LAST\n> two\n< 250\n"
	for _, test := range []struct {
		name   string
		opts   Options
		script string
		want   []int64
	}{
		{name: "at once", script: twice, want: []int64{1, 2}},
		{name: "later", opts: Options{Latency: time.Millisecond}, script: twice, want: []int64{1, 2}},
		{name: "dropped", opts: Options{DropAfterDot: 1}, script: hello + envelope + "> DATA\n< 354\n> one\n> .\n< closed"},
		{name: "refused", opts: Options{Fail: []Rule{{Stage: Dot, Reply: Reply{550, "no"}}}}, script: hello + envelope + "> DATA\n< 354\n> one\n> .\n< 550"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			var got []int64
			test.opts.OnReply = func(m Message) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, m.ID)
			}
			server := start(t, test.opts)
			dial(t, server).say(test.script)
			server.Close(t.Context()) // a client may have a reply before the server knows that it was written
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTooLargeIsReadToItsEnd(t *testing.T) {
	server := start(t, Options{OnAccept: func(Message) {}})
	c := dial(t, server)
	c.say(hello + envelope + "> DATA\n< 354\n")
	line := strings.Repeat("x", 1<<20-2) + "\r\n"
	for range maxMessage/len(line) + 1 {
		c.wait()
		if _, err := io.WriteString(c.conn, line); err != nil {
			t.Fatal(err)
		}
	}
	c.say("> .\n> NOOP\n< 552 5.3.4\n< 250\n")
}

func TestBrokenOffIsNotTaken(t *testing.T) {
	for name, script := range map[string]string{
		"in the content":      envelope + "> DATA\n< 354\n> Subject: half\n",
		"in a chunk":          envelope + "> BDAT 1000 LAST\n> half\n",
		"between the chunks":  envelope + "> BDAT 6\n> half\n< 250\n",
		"in the last BDAT":    envelope + "> BDAT 6\n> half\n< 250\n>> BDAT 0 LAST\n",
		"before the last dot": envelope + "> DATA\n< 354\n> .x\n",
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, Options{})
			c := dial(t, server)
			c.say(hello + script)
			c.conn.(*net.TCPConn).CloseWrite()
			for reply := c.reply(); reply != "closed"; reply = c.reply() {
				if !strings.HasPrefix(reply, "421 ") {
					t.Errorf("got %q, want 421 or nothing: the client may try again", reply)
				}
			}
			if got, want := server.Counts(), (Counts{Connections: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestNotStoredIsNotTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	server := start(t, Options{Dir: dir})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	dial(t, server).say(hello + message1 + "< 452 4.3.1\n")
	if got, want := server.Counts(), (Counts{Connections: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStartErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := start(t, Options{}).Addr().String()
	for name, opts := range map[string]Options{
		"address taken":             {Listen: taken},
		"page's address taken":      {Listen: "127.0.0.1:0", HTTP: taken},
		"Maildir is a file":         {Listen: "127.0.0.1:0", Dir: file},
		"TLS without a certificate": {Listen: "127.0.0.1:0", Security: TLS},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := Start(t.Context(), opts)
			if err == nil {
				server.Close(t.Context())
				t.Fatal("no error")
			}
			if !strings.HasPrefix(err.Error(), "sink: ") {
				t.Errorf("got %q", err)
			}
		})
	}
}

func TestCloseSaysGoodbye(t *testing.T) {
	server := start(t, Options{})
	idle, busy := dial(t, server), dial(t, server) // neither says QUIT
	idle.say(hello)
	busy.say(hello + envelope + "> DATA\n< 354\n")
	busy.say("> half\n")
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle.say("< 421 4.3.2\n< closed")
	busy.say("< 421 4.3.2\n< closed")
	if _, err := net.Dial("tcp", server.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

// A message whose dot has come when the server is closed is answered.
func TestCloseAnswersWhatCame(t *testing.T) {
	taken, goOn := make(chan struct{}), make(chan struct{})
	server := start(t, Options{OnAccept: func(Message) { close(taken); <-goOn }})
	c := dial(t, server)
	c.say(hello + message1)
	<-taken
	closed := make(chan error)
	go func() { closed <- server.Close(context.Background()) }()
	for { // until the listener is gone, and so the connections were told before
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	close(goOn)
	c.say("< 250 2.0.0 OK: message 1\n> MAIL FROM:<a@x>\n< 421 4.3.2\n< closed")
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestCloseCutsWhenTimeIsUp(t *testing.T) {
	goOn := make(chan struct{})
	taken := make(chan struct{})
	server, err := Start(t.Context(), Options{Listen: "127.0.0.1:0", OnAccept: func(Message) { close(taken); <-goOn }})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, server)
	c.say(hello + message1)
	<-taken
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := server.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	c.say("< closed")
	close(goOn)
}

func TestDelayLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var sent []string
		line := newDelayLine(40*time.Millisecond, func(p []byte, _ []Message) error {
			sent = append(sent, string(p)+" "+time.Since(start).String())
			return nil
		}, nil)
		line.push([]byte("a"), nil)
		time.Sleep(10 * time.Millisecond)
		line.push([]byte("b"), nil)
		line.close()
		if want := []string{"a 40ms", "b 50ms"}; !reflect.DeepEqual(sent, want) {
			t.Errorf("got %v, want %v", sent, want)
		}
	})
}

func TestDelayLineKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		killed := make(chan struct{})
		sends := 0
		line := newDelayLine(time.Hour, func([]byte, []Message) error { sends++; return io.ErrClosedPipe }, killed)
		line.push([]byte("a"), nil)
		line.push([]byte("b"), nil)
		close(killed)
		line.close()
		if sends != 1 || time.Since(start) != 0 {
			t.Errorf("%d sends in %v, want one at once and none after its error", sends, time.Since(start))
		}
	})
}
