package smtp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// The commands of a message, and of one behind it.
const (
	first  = "mail|rcpt|bdat|"
	second = "rset|mail|rcpt|bdat|"
)

// outcome returns what the server said to the oldest message in flight: "dot 250", "rcpt 550" or "doubt", and "broken"
// if the session takes no more.
func outcome(s *Session) string {
	a, err := s.Answer()
	var got string
	var e *reply.Error
	switch {
	case err == nil:
		got = fmt.Sprint(stageNames[a.Stage], " ", a.Code)
	case inDoubt(err):
		got = "doubt"
	case errors.As(err, &e): // the server was not ready for it, and has not seen its recipient
		got = fmt.Sprint(stageNames[e.Stage], " ", e.Reply.Code)
		if e.Explanation.Verdict != reply.Retry || e.Explanation.Scope != reply.Session {
			got = fmt.Sprintf("%v explained as %+v", err, e.Explanation)
		}
	}
	if s.Broken() {
		got += " broken"
	}
	return got
}

// sendWhole takes a message through the session but for its answer.
func sendWhole(s *Session, m mail.Message, content [][]byte) error {
	m.Content = content
	s.Offer(&m)
	if ok, err := s.Ready(); !ok {
		return err
	}
	return s.Send()
}

// chunkedConfig is for a client that sends whole messages.
func (s *server) chunkedConfig() Config {
	c := s.config()
	c.Depth = 8
	return c
}

// Two messages are in flight when the server answers. Each reply counts for the message that it answers.
func TestAnswer(t *testing.T) {
	t.Parallel()
	const ok, ok2 = "250 from|250 to|250 taken|", "250 reset|250 from|250 to|250 taken|"
	for _, c := range []struct{ name, answers, want string }{
		{"both taken", ok + ok2, "dot 250, dot 250"},
		{"slowly", "drip 250-2.1.0 one|drip 250 2.1.0 two|250 to|drip 250 taken|" + ok2, "dot 250, dot 250"},
		{"MAIL refused", "451 later|503 what?|503 what?|" + ok2, "mail 451, dot 250"},
		{"recipient refused", "250 from|550 who?|554 nobody|" + ok2, "rcpt 550, dot 250"},
		{"content refused", "250 from|250 to|552 too large|" + ok2, "dot 552, dot 250"},
		{"second refused", ok + "250 reset|250 from|450 full|503 nobody", "dot 250, rcpt 450"},
		{"both refused", "250 from|550 who?|554 nobody|250 reset|250 from|551 not here|554 nobody", "rcpt 550, rcpt 551"},
		{"421, and it goes on", "421 too many|503 what?|503 what?|250 reset|421 too many|503 what?|503 what?", "mail 421 broken, mail 421 broken"},
		{"421 to BDAT", "250 from|250 to|421 bye|close", "dot 421 broken, doubt broken"},
		{"421 to MAIL", "421 bye|close", "mail 421 broken, doubt broken"},
		{"421 behind the first", ok + "421 bye|close", "dot 250, rset 421 broken"},
		{"421 to the second's MAIL", ok + "250 reset|421 bye|close", "dot 250, mail 421 broken"},
		{"closed", "close", "doubt broken, doubt broken"},
		{"reset", "rst", "doubt broken, doubt broken"},
		{"closed behind the first", ok + "close", "dot 250, doubt broken"},
		{"closed behind a refusal", "250 from|550 who?|close", "rcpt 550 broken, doubt broken"},
		{"closed before BDAT's reply", "250 from|250 to|close", "doubt broken, doubt broken"},
		{"closed in a reply", `250 from|250 to|"250-ta"|close`, "doubt broken, doubt broken"},
		{"hangs at MAIL", "hang", "doubt broken, doubt broken"},
		{"hangs at RCPT", "250 from|hang", "doubt broken, doubt broken"},
		{"hangs at BDAT", "250 from|250 to|hang", "doubt broken, doubt broken"},
		{"hangs at RSET", ok + "hang", "dot 250, doubt broken"},
		{"garbage", `250 from|250 to|"thanks\r\n"|` + ok2, "doubt broken, doubt broken"},
		{"huge", "250 from|250 to|huge", "doubt broken, doubt broken"},
		{"354 to MAIL", "354 go|250 to|250 taken|" + ok2, "doubt broken, doubt broken"},
		{"354 to BDAT", "250 from|250 to|354 go|" + ok2, "doubt broken, doubt broken"},
		{"MAIL refused, and taken", "550 no|250 to|250 taken|" + ok2, "doubt broken, doubt broken"},
		{"recipient refused, and taken", "250 from|550 who?|250 taken|" + ok2, "doubt broken, doubt broken"},
		{"recipient refused, 354 to BDAT", "250 from|550 who?|354 go|" + ok2, "rcpt 550 broken, doubt broken"},
		{"RSET refused", ok + "502 what?|503 nested|250 to|554 no", "dot 250, rset 502 broken"},
		{"RSET refused, then closed", ok + "502 what?|close", "dot 250, doubt broken"},
		{"RSET refused, closed before BDAT's reply", ok + "502 what?|250 from|250 to|close", "dot 250, doubt broken"},
		{"RSET refused, and taken", ok + "502 what?|503 nested|250 to|250 taken", "dot 250, doubt broken"},
		{"one reply too many", ok + ok2 + "250 taken", "dot 250, dot 250 broken"},
		{"one reply too many at MAIL", "250 from|" + ok + ok2, "dot 250, dot 250 broken"},
		{"a refusal twice", "250 from|550 who?|550 who?|554 nobody|" + ok2, "rcpt 550, doubt broken"},
		{"farewell behind", ok + ok2 + "421 idle", "dot 250, dot 250 broken"},
		{"a refusal too many", ok + "550 spam|" + ok2, "dot 250, doubt broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, chunked+first+second+c.answers, nil)
			config := server.chunkedConfig()
			switch c.name {
			case "hangs at MAIL", "hangs at RSET":
				config.Timeouts.Mail = short
			case "hangs at RCPT":
				config.Timeouts.Rcpt = short
			case "hangs at BDAT":
				config.Timeouts.DataDone = short
			}
			s := dial(t, config)
			for _, content := range []string{"one\r\n", "two\r\n"} {
				if err := sendWhole(s, hello, pieces(content)); err != nil {
					t.Fatal(err)
				}
			}
			if got := outcome(s) + ", " + outcome(s); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			s.Close()
			<-server.done
			if want := []string{"one\r\n", "two\r\n"}; !slices.Equal(server.bodies, want) {
				t.Errorf("the server has %q, want %q", server.bodies, want)
			}
		})
	}
}

// A message that was refused leaves nothing behind for the next one; one that was taken needs no RSET.
func TestAfterChunk(t *testing.T) {
	t.Parallel()
	server := play(t, chunked+first+"250 from|550 who?|554 nobody|"+second+"250 reset|250 from|250 to|250 taken|"+
		first+"250 from|250 to|452 full|"+second+"250 reset|250 from|250 to|250 taken|quit|221 bye", nil)
	s := dial(t, server.chunkedConfig())
	if s.Depth() != 8 {
		t.Fatal("no CHUNKING")
	}
	sent := func() string {
		if err := sendWhole(s, hello, pieces("sent\r\n")); err != nil {
			t.Fatal(err)
		}
		return outcome(s)
	}
	got := []string{sent(), sent(), sent(), sent()}
	if want := []string{"rcpt 550", "dot 250", "dot 452", "dot 250"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s.Quit()
	<-server.done
	if !server.finished || server.rest != "" {
		t.Errorf("finished %v, rest %q", server.finished, server.rest)
	}
}

func TestChunking(t *testing.T) {
	t.Parallel()
	for _, open := range []string{stepped, piped, greet + "250-mx.example.com|250 CHUNKING|"} {
		if s := dial(t, play(t, open, nil).chunkedConfig()); s.Depth() > 1 {
			t.Errorf("chunking with a server that says %q", open)
		}
	}
}

// The octets that become of pieces on the wire. Content that does not consist of lines is not sent: its refusal comes
// in its turn, and disturbs nobody else.
func TestChunkedContent(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(strings.Repeat("x", 75)+"\r\n", 8000) // 616 KB
	edge := strings.Repeat("y", blockSize-2) + "\r\n"
	for _, c := range []struct {
		name   string
		pieces []string
		want   string // "-": nothing leaves
	}{
		{"one line", []string{"a\r\n"}, "a\r\n"},
		{"nothing", nil, ""},
		{"empty pieces", []string{"", "a\r\n", "", ""}, "a\r\n"},
		{"last line open", []string{"a\r\nb", ""}, "a\r\nb\r\n"},
		{"dots", []string{".\r\n..\r\n", ".a\r\n"}, ".\r\n..\r\n.a\r\n"},
		{"large", []string{"a\r\n", large, large}, "a\r\n" + large + large},
		{"large, last line open", []string{large[:len(large)-2]}, large},
		{"as large as a block", []string{edge}, edge},
		{"LF", []string{"a\nb\r\n"}, "-"},
		{"LF first", []string{"\n"}, "-"},
		{"CR", []string{"a\rb\r\n"}, "-"},
		{"CR last", []string{"a\r"}, "-"},
		{"CR CR LF", []string{"a\r\r\n"}, "-"},
		{"CR, border, LF", []string{"a\r", "\n"}, "-"},
		{"LF behind much", []string{large, "a\nb\r\n"}, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			script, want, bodies := chunked+first+second+second+strings.Repeat("250 ok|", 11), "dot 250, dot 250, dot 250", []string{"before\r\n", c.want, "after\r\n"}
			if c.want == "-" {
				script, want, bodies = chunked+first+second+strings.Repeat("250 ok|", 7), "dot 250, mail 554, dot 250", []string{"before\r\n", "after\r\n"}
			}
			server := play(t, script, nil)
			s := dial(t, server.chunkedConfig())
			for _, content := range [][]string{{"before\r\n"}, c.pieces, {"after\r\n"}} {
				if err := sendWhole(s, hello, pieces(content...)); err != nil {
					t.Fatal(err)
				}
			}
			if got := outcome(s) + ", " + outcome(s) + ", " + outcome(s); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			s.Close()
			<-server.done
			if !slices.Equal(server.bodies, bodies) {
				t.Errorf("the server got %.200q, want %.200q", server.bodies, bodies)
			}
		})
	}
}

// A message is as large as many buffers, and the server does not wait for its end. Unless it has refused the recipient,
// it does not get the end. What it has said to the message before stays.
func TestChunkInterrupted(t *testing.T) {
	t.Parallel()
	const before, head = "mail|rcpt|bdat|", "rset|mail|rcpt|part|"
	const ok, yes = "250 from|250 to|250 taken|", "250 reset|250 from|250 to|"
	content := slices.Repeat(pieces(strings.Repeat("some line of some message\r\n", 40_000)), 32)
	size := len(bytes.Join(content, nil))
	for _, c := range []struct {
		name, script string
		before       string // the outcome of the message before
		want         string // part of the error; "" for none
		after        string // the outcome when there is none
	}{
		{"early acceptance", ok + yes + "250 taken", "dot 250 broken", "250 taken", ""},
		{"early refusal", ok + yes + "552 too large", "dot 250 broken", "552 too large", ""},
		{"farewell", ok + yes + "421 bye", "dot 250 broken", "421 bye", ""},
		{"farewell to MAIL", ok + "250 reset|421 bye|close", "dot 250 broken", "421 bye", ""},
		{"garbage", ok + yes + `"oops\r\n"`, "dot 250 broken", "not an SMTP reply", ""},
		{"huge", ok + yes + "huge", "dot 250 broken", "not an SMTP reply", ""},
		{"closed", ok + yes + "close", "dot 250 broken", "DATA: ", ""},
		{"closed, not a word", "close", "doubt broken", "DATA: ", ""},
		{"reset", ok + "rst", "any", "DATA: ", ""},
		{"hangs", ok + "deaf", "dot 250 broken", "timeout", ""},
		{"recipient refused", ok + "250 reset|250 from|550 who?", "dot 250", "", "rcpt 550"},
		{"recipient refused, early reply", ok + "250 reset|250 from|550 who?|554 nobody", "dot 250", "", "rcpt 550"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			script := chunked + before + head + c.script
			if c.want == "" {
				script += fmt.Sprint("|all ", size+len(fmt.Sprintf("BDAT %d LAST\r\n", size))-1000)
				if !strings.HasSuffix(c.script, "nobody") {
					script += "|554 nobody"
				}
			}
			server := play(t, script, nil)
			config := server.chunkedConfig()
			if c.name == "hangs" {
				config.Timeouts.DataBlock = short
			}
			s := dial(t, config)
			if err := sendWhole(s, hello, pieces("before\r\n")); err != nil {
				t.Fatal(err)
			}
			err := sendWhole(s, hello, content)
			var e *reply.Error
			if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &e) || e.Stage != reply.Data || !strings.Contains(err.Error(), c.want) || !s.Broken()) {
				t.Errorf("error %v, broken %v; want %q", err, s.Broken(), c.want)
			}
			if got := outcome(s); got != c.before && c.before != "any" {
				t.Errorf("the message before: %q, want %q", got, c.before)
			}
			if err == nil {
				if got := outcome(s); got != c.after {
					t.Errorf("got %q, want %q", got, c.after)
				}
			}
			if err := sendWhole(s, hello, pieces("more\r\n")); s.Broken() && err == nil {
				t.Error("a broken session takes a message")
			}
			s.Close()
			server.hear()
			<-server.done
			if got := len(server.rest); err != nil && got >= size {
				t.Errorf("the message was completed: the server got %d octets of %d", got, size)
			}
		})
	}
}

// It is the last octet that decides whether the server can have the message.
func TestChunkCut(t *testing.T) {
	t.Parallel()
	const wire = "MAIL FROM:<from@example.com>\r\nRCPT TO:<to@example.com>\r\nBDAT 7 LAST\r\nhi.\r\n\r\n"
	content := wire[len(wire)-len("hi.\r\n\r\n"):]
	for left := len(wire) - len(content) - 2; left <= len(wire); left++ {
		server := play(t, chunked, nil)
		s := dial(t, server.chunkedConfig())
		s.conn = &cut{Conn: s.conn, left: left}
		err := sendWhole(s, hello, pieces("hi.\r\n", "\r\n"))
		s.Close()
		<-server.done
		if complete := server.rest == wire; complete != (err == nil) {
			t.Errorf("cut after %d octets: error %v, and the server has %q", left, err, server.rest)
		}
	}
}

// The answers that came before the connection broke are not lost.
func TestAnsweredBeforeItBroke(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"close", "rst"} {
		server := play(t, chunked+first+second+"250 from|250 to|250 taken|250 reset|250 from|550 who?|554 nobody|"+end, nil)
		s := dial(t, server.chunkedConfig())
		for range 2 {
			if err := sendWhole(s, hello, pieces("hi.\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		<-server.done
		err := sendWhole(s, hello, pieces("hi.\r\n"))
		var e *reply.Error
		if got := outcome(s) + ", " + outcome(s); !errors.As(err, &e) || e.Stage != reply.Mail || got != "dot 250 broken, rcpt 550 broken" {
			t.Errorf("%s: send %v, then %q", end, err, got)
		}
	}
}

// In TLS too, eight messages are in flight, the server answers while the client writes, and what it says before it
// closes is read.
func TestChunksInTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	script := "tls|" + chunked + first + "250 from|250 to|250 taken|"
	for range 7 {
		script += second + "250 reset|250 from|250 to|250 taken|"
	}
	server := play(t, script+"421 bye|close", ours.serverFor(t, "", time.Now().AddDate(0, 1, 0)))
	config := server.chunkedConfig()
	config.Security, config.TLS = TLS, &tls.Config{RootCAs: ours.pool()}
	s := dial(t, config)
	content := strings.Repeat("some line of some message\r\n", 20_000)
	for range 8 {
		if err := sendWhole(s, hello, pieces(content)); err != nil {
			t.Fatal(err)
		}
	}
	<-server.done
	if err := sendWhole(s, hello, pieces(content)); err == nil || !strings.Contains(err.Error(), "421 bye") {
		t.Errorf("behind the farewell: error %v", err)
	}
	for i := range 8 {
		if got := outcome(s); got != "dot 250 broken" {
			t.Errorf("message %d: %s", i, got)
		}
	}
	if len(server.bodies) != 8 || slices.ContainsFunc(server.bodies, func(b string) bool { return b != content }) {
		t.Errorf("the server has %d messages, or not what was sent", len(server.bodies))
	}
}
