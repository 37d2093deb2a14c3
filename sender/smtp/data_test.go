package smtp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// hello is the envelope that a script's mail and rcpt are.
var hello = mail.Message{From: "from@example.com", To: "to@example.com"}

func pieces(s ...string) [][]byte {
	var content [][]byte
	for _, p := range s {
		content = append(content, []byte(p))
	}
	return content
}

// ready offers an envelope and returns what became of it: "ready", "rcpt 550" or "rcpt error".
func ready(s *Session, m mail.Message) string {
	s.Offer(&m)
	return answer(s)
}

var stageNames = []string{reply.Mail: "mail", reply.Rcpt: "rcpt", reply.Data: "data", reply.Dot: "dot", reply.Rset: "rset"}

// answer returns what the server says to the envelope that was offered. It checks that the explanation of an error says
// whether the server may have seen the recipient.
func answer(s *Session) string {
	ok, err := s.Ready()
	var e *reply.Error
	switch {
	case errors.As(err, &e):
		want := reply.Explanation{Verdict: reply.Retry, Scope: reply.Session}
		if e.Stage == reply.Rcpt || e.Stage == reply.Data {
			want.Scope = reply.Message
		}
		if e.Explanation.Verdict != want.Verdict || e.Explanation.Scope != want.Scope {
			return fmt.Sprintf("%v explained as %+v", err, e.Explanation)
		}
		return stageNames[e.Stage] + " error"
	case err != nil:
		return fmt.Sprintf("%T", err)
	case ok:
		return "ready"
	}
	a, err := s.Answer()
	if err != nil {
		return fmt.Sprint("no answer: ", err)
	}
	return fmt.Sprint(stageNames[a.Stage], " ", a.Code)
}

// carry takes one message through the session and returns what became of it: as ready does, or "unsent", "doubt", "dot
// 250".
func carry(s *Session, m mail.Message, content [][]byte) string {
	if got := ready(s, m); got != "ready" {
		return got
	}
	return send(s, content, nil)
}

func send(s *Session, content [][]byte, next *mail.Message) string {
	if gone, err := sendReady(s, content, next); err != nil && gone {
		return "doubt"
	} else if err != nil {
		return "unsent"
	}
	a, err := s.Answer()
	switch {
	case inDoubt(err):
		return "doubt"
	case err != nil:
		return err.Error()
	}
	return fmt.Sprint(stageNames[a.Stage], " ", a.Code)
}

// sendReady sends content for the message that is ready, with the envelope of the next one behind it unless that is
// nil. gone reports whether the last octet of the message may have left.
func sendReady(s *Session, content [][]byte, next *mail.Message) (gone bool, err error) {
	s.ready.Content = content
	if next != nil {
		m := *next
		s.Offer(&m)
	}
	err = s.Send()
	return err == nil || inDoubt(err), err
}

func inDoubt(err error) bool {
	var e *reply.Error
	return errors.As(err, &e) && e.Explanation.Verdict == reply.InDoubt
}

// modes are a server that wants one command at a time, and one with PIPELINING.
var modes = []struct{ name, open string }{{"stepwise", stepped}, {"pipelined", piped}}

// transaction returns the script of one transaction in a mode, with the server's answers to its steps.
func transaction(mode string, commands []string, answers map[string]string) string {
	say := func(command string) string {
		if a, ok := answers[command]; ok {
			return a + "|"
		}
		return map[string]string{"rset": "250 reset", "mail": "250 ok", "rcpt": "250 ok", "data": "354 go", "body": "250 taken", "dot": "554 no recipients"}[command] + "|"
	}
	together := func(c string) bool { return mode == "pipelined" && c != "body" && c != "dot" }
	var script, held strings.Builder
	for _, c := range commands {
		if !together(c) {
			script.WriteString(held.String())
			held.Reset()
		}
		script.WriteString(c + "|")
		if together(c) {
			held.WriteString(say(c))
		} else {
			script.WriteString(say(c))
		}
	}
	return script.String() + held.String()
}

// One way for a server to behave at one stage, and what becomes of the message. The content is complete if and only if
// the outcome is of the dot, or in doubt.
func TestTransaction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stage, answer string
		want          string // stepwise, and pipelined unless the next is set
		piped         string
	}{
		{"mail", "250", "dot 250", ""},
		{"mail", "drip 250 2.1.0 ok", "dot 250", ""},
		{"mail", `"250 ok\n"`, "dot 250", ""},
		{"mail", "250-one|250 two", "dot 250", ""},
		{"mail", "299 unusual", "dot 250", ""},
		{"mail", "354 go", "mail error broken", ""},
		{"mail", "334 what", "mail error broken", ""},
		{"mail", "421 bye", "mail 421 broken", "mail error broken"}, // it goes on to accept the recipient
		{"mail", "451 later", "mail 451", "mail error broken"},
		{"mail", "550 no", "mail 550", "mail error broken"},
		{"mail", "hang", "mail error broken", ""},
		{"mail", "close", "mail error broken", ""},
		{"mail", "rst", "mail error broken", ""},
		{"mail", "421 bye|close", "mail 421 broken", ""},
		{"mail", `"hello?\r\n"`, "mail error broken", ""},
		{"mail", `"250 a\x00b\r\n"`, "mail error broken", ""},
		{"mail", `"25"|close`, "mail error broken", ""},
		{"mail", "250-a|251 b", "mail error broken", ""},
		{"mail", "huge", "mail error broken", ""},
		{"mail", "many", "mail error broken", ""},
		{"mail", "250 ok|250 ok", "rcpt error broken", "data error broken"},
		{"mail", "250 ok|550 no", "rcpt error broken", "rcpt 550 broken"},

		{"rcpt", "250", "dot 250", ""},
		{"rcpt", "251 forwarded", "dot 250", ""},
		{"rcpt", `"250 ok\n"`, "dot 250", ""},
		{"rcpt", "354 go", "rcpt error broken", ""},
		{"rcpt", "421 bye", "rcpt 421 broken", ""},
		{"rcpt", "450 4.2.2 full", "rcpt 450", ""},
		{"rcpt", "550 5.1.1 who?", "rcpt 550", ""},
		{"rcpt", "hang", "rcpt error broken", ""},
		{"rcpt", "close", "rcpt error broken", ""},
		{"rcpt", "rst", "rcpt error broken", "any broken"}, // what came before it may be lost
		{"rcpt", "550 who?|close", "rcpt 550", "rcpt 550 broken"},
		{"rcpt", `"hello?\r\n"`, "rcpt error broken", ""},
		{"rcpt", `"250 a\x00b\r\n"`, "rcpt error broken", ""},
		{"rcpt", "250-a|250-b|450 c", "rcpt error broken", ""},
		{"rcpt", "huge", "rcpt error broken", ""},
		{"rcpt", "many", "rcpt error broken", ""},
		{"rcpt", "250 ok|250 ok", "data error broken", ""},

		{"data", "354", "dot 250", ""},
		{"data", "354-go|354 on", "dot 250", ""},
		{"data", `"354 go\n"`, "dot 250", ""},
		{"data", "250 ok", "data error broken", ""},
		{"data", "334 go", "data error broken", ""},
		{"data", "421 bye", "data 421 broken", ""},
		{"data", "451 later", "data 451", ""},
		{"data", "554 no", "data 554", ""},
		{"data", "554 no|421 bye", "data 554 broken", ""},
		{"data", "hang", "data error broken", ""},
		{"data", "close", "data error broken", ""},
		{"data", "rst", "data error broken", "any broken"},
		{"data", `"go on\r\n"`, "data error broken", ""},
		{"data", `"354 a\x00b\r\n"`, "data error broken", ""},
		{"data", "354-a|250 b", "data error broken", ""},
		{"data", "huge", "data error broken", ""},
		{"data", "many", "data error broken", ""},
		{"data", "354 go|354 go", "data error broken", ""},
		{"data", "354 go|250 taken", "data error broken", ""},
		{"data", "354 go|421 bye", "data error broken", ""},

		{"body", "250", "dot 250", ""},
		{"body", "250-2.0.0 one|250 2.0.0 two", "dot 250", ""},
		{"body", "drip 250 ok", "dot 250", ""},
		{"body", `"250 ok\n"`, "dot 250", ""},
		{"body", "299 fine", "dot 299", ""},
		{"body", "354 go", "doubt broken", ""},
		{"body", "421 bye", "dot 421 broken", ""},
		{"body", "451 later", "dot 451", ""},
		{"body", "554 spam", "dot 554", ""},
		{"body", "250 ok|250 ok", "dot 250 broken", ""},
		{"body", "250 ok|421 bye", "dot 250 broken", ""},
		{"body", "hang", "doubt broken", ""},
		{"body", "close", "doubt broken", ""},
		{"body", "rst", "doubt broken", ""},
		{"body", `"250-ok\r\n"|close`, "doubt broken", ""},
		{"body", `"thanks\r\n"`, "doubt broken", ""},
		{"body", `"250 a\x00b\r\n"`, "doubt broken", ""},
		{"body", "250-a|550 b", "doubt broken", ""},
		{"body", "huge", "doubt broken", ""},
		{"body", "many", "doubt broken", ""},
	} {
		for _, mode := range modes {
			t.Run(mode.name+"/"+c.stage+" "+c.answer, func(t *testing.T) {
				t.Parallel()
				server := play(t, mode.open+transaction(mode.name, []string{"mail", "rcpt", "data", "body"}, map[string]string{c.stage: c.answer}), nil)
				want := c.want
				if mode.name == "pipelined" && c.piped != "" {
					want = c.piped
				}
				config := server.config()
				if c.answer == "hang" {
					for _, d := range map[string][]*time.Duration{
						"mail": {&config.Timeouts.Mail}, "rcpt": {&config.Timeouts.Rcpt}, "data": {&config.Timeouts.DataInit}, "body": {&config.Timeouts.DataDone},
					}[c.stage] {
						*d = short
					}
				}
				s := dial(t, config)
				got := carry(s, hello, pieces("hi.\r\n"))
				complete := strings.HasPrefix(got, "dot") || got == "doubt"
				if s.Broken() {
					got += " broken"
				}
				if got != want && (want != "any broken" || complete || !s.Broken()) {
					t.Errorf("got %q, want %q", got, want)
				}
				s.Close()
				<-server.done
				// A lone dot ends a message for nobody.
				if taken := len(server.bodies) > 0 && server.bodies[0] != ".\r\n"; taken != complete || strings.Contains(server.rest, ".\r\n") {
					t.Errorf("%q, but the server has the message: %v (and %q)", got, taken, server.rest)
				}
			})
		}
	}
}

// What the refusal of a message leaves for the next one.
func TestAfterRefusal(t *testing.T) {
	t.Parallel()
	type answers = map[string]string
	for _, c := range []struct {
		name    string
		stage   string // at which the first message is refused, by first
		first   answers
		second  []string
		answers answers
		want    string // of the first message, of the second; "-": not tried
		only    string // mode
	}{
		{"RSET", "rcpt", answers{"rcpt": "550 who?", "data": "503 no recipients"}, []string{"rset", "mail", "rcpt", "data", "body"}, nil, "rcpt 550, dot 250", ""},
		{"RSET after DATA", "data", answers{"data": "451 later"}, []string{"rset", "mail", "rcpt", "data", "body"}, nil, "data 451, dot 250", ""},
		{"no RSET after MAIL", "mail", answers{"mail": "550 no", "rcpt": "503 no", "data": "503 no"}, []string{"mail", "rcpt", "data", "body"}, nil, "mail 550, dot 250", ""},
		{"no RSET after the dot", "body", answers{"body": "550 spam"}, []string{"mail", "rcpt", "data", "body"}, nil, "dot 550, dot 250", ""},
		{"RSET 421", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "421 bye"}, "rcpt 550, rset error broken", ""},
		{"RSET 500", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "500 what?"}, "rcpt 550, rset error broken", ""},
		{"RSET 354", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "354 go"}, "rcpt 550, rset error broken", ""},
		{"RSET closed", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "close"}, "rcpt 550, rset error broken", ""},
		{"RSET reset", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "rst"}, "rcpt 550, rset error broken", ""},
		{"RSET hangs", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "hang"}, "rcpt 550, rset error broken", ""},
		{"RSET garbage", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": `"ok\r\n"`}, "rcpt 550, rset error broken", ""},
		{"RSET doubled", "rcpt", answers{"rcpt": "550 who?", "data": "503 no"}, []string{"rset", "mail", "rcpt", "data"}, answers{"rset": "250 ok|250 ok"}, "rcpt 550, data error broken", "pipelined"},
		{"lone dot", "dot", answers{"rcpt": "550 who?"}, []string{"mail", "rcpt", "data", "body"}, nil, "rcpt 550, dot 250", "pipelined"},
		{"lone dot taken", "dot", answers{"rcpt": "550 who?", "dot": "250 ok"}, []string{"mail", "rcpt", "data", "body"}, nil, "rcpt 550, dot 250", "pipelined"},
		{"lone dot 421", "dot", answers{"rcpt": "550 who?", "dot": "421 bye"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"lone dot 354", "dot", answers{"rcpt": "550 who?", "dot": "354 go"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"lone dot closed", "dot", answers{"rcpt": "550 who?", "dot": "close"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"lone dot garbage", "dot", answers{"rcpt": "550 who?", "dot": `"what?\r\n"`}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"354 doubled, no dot", "data", answers{"rcpt": "550 who?", "data": "354 go|354 go"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"354 to RCPT, no dot", "data", answers{"rcpt": "354 go"}, nil, nil, "rcpt error broken, -", "pipelined"},
		{"MAIL refused but 354, no dot", "data", answers{"mail": "550 no", "rcpt": "503 no"}, nil, nil, "mail error broken, -", "pipelined"},
		{"refused twice", "body", answers{"body": "550 spam|550 spam"}, []string{"mail", "rcpt", "data"}, nil, "dot 550 broken, -", "stepwise"},
		{"RCPT refused, then 250 to DATA", "data", answers{"rcpt": "550 who?", "data": "250 ok"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"RCPT refused, then 421", "data", answers{"rcpt": "550 who?", "data": "421 bye"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"RCPT refused, then closed", "data", answers{"rcpt": "550 who?", "data": "close"}, nil, nil, "rcpt 550 broken, -", "pipelined"},
		{"MAIL refused, then closed", "data", answers{"mail": "550 no", "rcpt": "close"}, nil, nil, "mail 550 broken, -", "pipelined"},
	} {
		for _, mode := range modes {
			if c.only != "" && c.only != mode.name {
				continue
			}
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				all := []string{"mail", "rcpt", "data", "body"}
				first := all[:slices.Index(all, c.stage)+1]
				switch {
				case c.stage == "dot":
					first = []string{"mail", "rcpt", "data", "dot"}
				case mode.name == "pipelined" && c.stage != "body":
					first = all[:3]
				}
				server := play(t, mode.open+transaction(mode.name, first, c.first)+transaction(mode.name, c.second, c.answers), nil)
				config := server.config()
				if c.answers["rset"] == "hang" {
					config.Timeouts.Mail = short
				}
				s := dial(t, config)
				outcome := func(got string) string {
					if s.Broken() {
						got += " broken"
					}
					return got
				}
				got := outcome(carry(s, hello, pieces("first\r\n"))) + ", "
				if s.Broken() {
					got += "-"
				} else {
					got += outcome(carry(s, hello, pieces("second\r\n")))
				}
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				s.Close()
				<-server.done
				if strings.Contains(server.rest, ".\r\n") {
					t.Errorf("the server got %q besides", server.rest)
				}
			})
		}
	}
}

// Three messages in a row. The server with PIPELINING answers a final dot only after the next envelope, so the test
// hangs unless that comes in the same flight; the other server gets nothing early.
func TestThree(t *testing.T) {
	t.Parallel()
	const envelope = "mail|rcpt|data|"
	for _, c := range []struct{ mode, script string }{
		{"stepwise", stepped + strings.Repeat("mail|250 ok|rcpt|250 ok|data|354 go|body|250 taken|", 3) + "quit|221 bye"},
		{"pipelined", piped + envelope + "250 ok|250 ok|354 go|" +
			strings.Repeat("body|"+envelope+"250 taken|250 ok|250 ok|354 go|", 2) + "body|250 taken|quit|221 bye"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, nil)
			s := dial(t, server.config())
			m := hello
			s.Offer(&m)
			for i, next := range []*mail.Message{&hello, &hello, nil} {
				if got := answer(s); got != "ready" {
					t.Fatal(i, got)
				}
				if got := send(s, pieces(fmt.Sprintf("message %d\r\n", i), ".\r\n"), next); got != "dot 250" {
					t.Fatal(i, got)
				}
			}
			s.Quit()
			<-server.done
			want := []string{"message 0\r\n..\r\n.\r\n", "message 1\r\n..\r\n.\r\n", "message 2\r\n..\r\n.\r\n"}
			if !server.finished || server.rest != "" || !slices.Equal(server.bodies, want) {
				t.Errorf("finished %v, messages %q, rest %q", server.finished, server.bodies, server.rest)
			}
		})
	}
}

// The message whose envelope went out behind another one.
func TestNext(t *testing.T) {
	t.Parallel()
	const group, ok = "mail|rcpt|data|", "250 ok|250 ok|354 go|"
	for _, c := range []struct{ name, script, want string }{
		{"refused one, next sent", piped + group + ok + "body|" + group + "550 spam|" + ok + "body|250 taken", "dot 550, dot 250"},
		{"next refused", piped + group + ok + "body|" + group + "250 taken|250 ok|550 who?|503 no", "dot 250, rcpt 550"},
		{"421 to the dot", piped + group + ok + "body|" + group + "421 bye", "dot 421 broken, -"},
		{"farewell behind it", piped + group + ok + "body|" + group + "250 taken|421 bye|close", "dot 250, mail 421 broken"},
		{"dot answered twice", piped + group + ok + "body|" + group + "250 taken|250 taken|" + ok, "dot 250, data error broken"},
		{"dot not answered", piped + group + ok + "body|" + group + "250 ok|250 ok|354 go|", "dot 250, rcpt error broken"},
		{"354 to the dot", piped + group + ok + "body|" + group + "354 go|" + ok, "doubt broken, -"},
		{"closed behind the reply", piped + group + ok + "body|" + group + "250 taken|close", "dot 250, mail error broken"},
		{"closed before the reply", piped + group + ok + "body|" + group + "close", "doubt broken, -"},
		{"stepwise, farewell behind it", stepped + "mail|250 ok|rcpt|250 ok|data|354 go|body|250 taken|421 bye", "dot 250 broken, -"},
		{"stepwise, dot answered twice", stepped + "mail|250 ok|rcpt|250 ok|data|354 go|body|250 taken|250 taken", "dot 250 broken, -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, nil)
			s := dial(t, server.config())
			if got := ready(s, hello); got != "ready" {
				t.Fatal(got)
			}
			broken := map[bool]string{true: " broken"}
			got := send(s, pieces("one\r\n"), &hello)
			if got += broken[s.Broken()]; s.Broken() {
				got += ", -"
			} else {
				if got += ", "; c.name == "dot not answered" {
					// The group's last reply never comes.
					s.timeouts.DataInit, s.timeouts.Rcpt, s.timeouts.Mail = short, short, short
				}
				second := answer(s)
				if second == "ready" {
					second = send(s, pieces("two\r\n"), nil)
				}
				got += second + broken[s.Broken()]
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The parameters of MAIL, by what the server offers, and the addresses that are never sent.
func TestParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, offers string
		e            mail.Message
		mail, rcpt   string // "" when nothing is to leave
		status       string // of the local refusal
	}{
		{"plain", "8BITMIME", mail.Message{From: "a@b", To: "c@d", Size: 7}, "MAIL FROM:<a@b>", "RCPT TO:<c@d>", ""},
		{"null sender", "SIZE", mail.Message{To: "c@d"}, "MAIL FROM:<>", "RCPT TO:<c@d>", ""},
		{"size", "SIZE 1000", mail.Message{From: "a@b", To: "c@d", Size: 7}, "MAIL FROM:<a@b> SIZE=7", "RCPT TO:<c@d>", ""},
		{"size unlimited", "SIZE", mail.Message{From: "a@b", To: "c@d", Size: 1 << 40}, "MAIL FROM:<a@b> SIZE=1099511627776", "RCPT TO:<c@d>", ""},
		{"UTF-8 not needed", "SMTPUTF8", mail.Message{From: "a@b", To: "c@d"}, "MAIL FROM:<a@b>", "RCPT TO:<c@d>", ""},
		{"UTF-8", "SMTPUTF8", mail.Message{From: "a@b", To: "dörte@d", UTF8: true}, "MAIL FROM:<a@b> SMTPUTF8", "RCPT TO:<dörte@d>", ""},
		{"UTF-8 not offered", "SIZE", mail.Message{From: "a@b", To: "dörte@d", UTF8: true}, "", "", "5.6.7"},
		{"UTF-8 not declared", "SMTPUTF8", mail.Message{From: "a@b", To: "dörte@d"}, "", "", "5.1.3"},
		{"CR LF", "SIZE", mail.Message{From: "a@b", To: "c@d>\r\nRCPT TO:<e@f"}, "", "", "5.1.3"},
		{"LF in the sender", "SIZE", mail.Message{From: "a@b\n", To: "c@d"}, "", "", "5.1.3"},
		{"NUL", "SIZE", mail.Message{From: "a@b", To: "c\x00@d"}, "", "", "5.1.3"},
		{"tab", "SIZE", mail.Message{From: "a@b", To: "c\t@d"}, "", "", "5.1.3"},
		{"DEL", "SIZE", mail.Message{From: "a@b", To: "c\x7f@d"}, "", "", "5.1.3"},
		{"bracket", "SIZE", mail.Message{From: "a@b", To: "c@d>"}, "", "", "5.1.3"},
		{"parameter", "SIZE", mail.Message{From: "a@b", To: `"v@x> ORCPT=a@b"@c`}, "", "", "5.1.3"},
		{"space", "SIZE", mail.Message{From: "a@b BODY=8BITMIME", To: "c@d"}, "", "", "5.1.3"},
		{"nobody", "SIZE", mail.Message{From: "a@b"}, "", "", "5.1.3"},
	} {
		for _, mode := range modes {
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				offers := "250-mx|250-" + c.offers + "|"
				if mode.name == "pipelined" {
					offers += "250-PIPELINING|"
				}
				script := greet + offers + "250 HELP|"
				if c.mail != "" {
					script += strings.NewReplacer("mail|", "> "+c.mail+"|", "rcpt|", "> "+c.rcpt+"|").Replace(transaction(mode.name, []string{"mail", "rcpt", "data"}, map[string]string{"data": "451 enough"}))
				}
				server := play(t, script, nil)
				s := dial(t, server.config())
				s.Offer(&c.e)
				ok, err := s.Ready()
				if ok || err != nil || s.Broken() {
					t.Fatalf("ready %v, %v, broken %v", ok, err, s.Broken())
				}
				if a, err := s.Answer(); err != nil || a.Status != c.status {
					t.Errorf("%v, %v", a, err)
				}
				s.Close()
				<-server.done
				if !server.finished || server.rest != "" {
					t.Errorf("finished %v, and the server got %q", server.finished, server.rest)
				}
			})
		}
	}
}

// A message that is refused without the server must not disturb the one before it, nor the one after.
func TestLocalRefusalBetween(t *testing.T) {
	t.Parallel()
	server := play(t, piped+"mail|rcpt|data|250 ok|250 ok|354 go|body|250 taken|mail|rcpt|data|250 ok|250 ok|354 go|body|250 taken", nil)
	s := dial(t, server.config())
	got := []string{ready(s, hello), send(s, pieces("one\r\n"), &mail.Message{From: "a@b", To: "<"}), answer(s), carry(s, hello, pieces("three\r\n"))}
	if want := []string{"ready", "dot 250", "mail 553", "dot 250"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Close from another goroutine ends the wait for a reply.
func TestCloseUnblocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"MAIL", stepped + "mail|signal|hang", "mail error"},
		{"the dot", stepped + "mail|250 ok|rcpt|250 ok|data|354 go|body|signal|hang", "doubt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, c.script, nil)
			s := dial(t, server.config())
			go func() {
				<-server.signal
				s.Close()
			}()
			if got := carry(s, hello, pieces("hi.\r\n")); got != c.want || !s.Broken() {
				t.Errorf("got %q, want %q; broken %v", got, c.want, s.Broken())
			}
		})
	}
}
