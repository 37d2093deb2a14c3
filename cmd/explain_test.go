package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"mailblast/sender/reply"
)

// explain runs the command and returns what it wrote.
func explain(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, problems bytes.Buffer
	cmd := explainCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&problems)
	cmd.SetArgs(args)
	err = cmd.Execute()
	return out.String(), problems.String(), err
}

func TestExplainTable(t *testing.T) {
	out, _, err := explain(t, "", "550 5.1.1 <bob@example.org>: user unknown")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"reply   550 5.1.1 <bob@example.org>: user unknown\n", "class   hard_bounce\n", "scope   recipient\n", "rule    recipient-unknown: ", "action  count the recipient as failed",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestExplainJSON(t *testing.T) {
	out, _, err := explain(t, "", "--format", "json", `421-4.7.0 Too many connections\n421 4.7.0 from <your> address`)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if got["action"] == "" || strings.Count(out, "\n") != 1 {
		t.Errorf("not one line with an action: %s", out)
	}
	delete(got, "action")
	want := map[string]any{
		"reply": "421 4.7.0 Too many connections from <your> address", "code": 421.0, "status": "4.7.0", "class": "throttle", "scope": "session", "rule": "concurrency",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("fields %v", got)
	}
}

func TestExplainActions(t *testing.T) {
	for _, c := range []struct{ reply, stage, want string }{
		{"250 2.0.0 Ok", "dot", "count the recipient as sent"},
		{"421 4.7.0 too many connections", "rcpt", "slow down and use fewer connections"},
		{"451 4.7.1 sending rate exceeded", "rcpt", "slow down; try"},
		{"452 4.2.2 mailbox full", "rcpt", "try the recipient again later"},
		{"421 4.3.2 shutting down", "connect", "close the connection"},
		{"535 5.7.8 bad password", "auth", "stop sending"},
		{"550 5.1.1 unknown user", "rcpt", "count the recipient as failed; put the address on the suppression list"},
		{"550 5.7.1 spam", "dot", "count the recipient as failed; the address may be good"},
	} {
		out, _, err := explain(t, "", "--stage", c.stage, c.reply)
		if err != nil || !strings.Contains(out, "action  "+c.want) {
			t.Errorf("%s at %s: %v\n%s", c.reply, c.stage, err, out)
		}
	}
}

func TestExplainStandardInput(t *testing.T) {
	out, problems, err := explain(t, "250 Ok\r\n\nhello\n199 no\n550 \x1b[31mno such user\n550-\n", "--format", "json")
	if code := exitCode(err, io.Discard); code != exitUsage {
		t.Errorf("bad lines, but exit code %d", code)
	}
	if n := strings.Count(out, "\n"); n != 2 {
		t.Errorf("%d good lines, want 2:\n%s", n, out)
	}
	if strings.Contains(out, "\\u001b") || !strings.Contains(out, `"reply":"550 no such user"`) {
		t.Errorf("the terminal sequence came through: %s", out)
	}
	for _, want := range []string{"standard input:3: ", `"hello"`, "standard input:4: ", "code outside 200 to 599", "standard input:6: "} {
		if !strings.Contains(problems, want) {
			t.Errorf("%q is missing in:\n%s", want, problems)
		}
	}
	if n := strings.Count(problems, "\n"); n != 3 {
		t.Errorf("%d problems, want 3:\n%s", n, problems)
	}
}

// Nothing that comes in keeps the lines after it from being explained, and nothing of it reaches the terminal as it is.
func TestExplainHostileInput(t *testing.T) {
	for _, line := range []string{
		"550 " + strings.Repeat("x", 1<<20), strings.Repeat("\x00", 1<<20), "550 \x00", "\x1b]0;owned\x07", "\xff\xfe", "-", "550-", "99999 x", "0", "5.", "1.2.3", "...",
	} {
		out, problems, err := explain(t, line+"\n550 no such user\n", "--format", "json")
		if exitCode(err, io.Discard) != exitUsage || strings.Count(problems, "\n") != 1 || !strings.HasPrefix(problems, "standard input:1: ") {
			t.Errorf("%.20q: %v, %q", line, err, problems)
		}
		if !strings.HasPrefix(out, `{"reply":"550 no such user",`) {
			t.Errorf("%.20q: the line after it is lost: %s", line, out)
		}
		if len(problems) > 1000 || strings.ContainsAny(out+problems, "\x00\x1b\x07") {
			t.Errorf("%.20q comes through: %.1000q", line, problems)
		}
	}
}

// However the lines of a reply are joined to one, it is the same reply; and one whose code got lost is judged by its
// words.
func TestExplainForms(t *testing.T) {
	for _, c := range []struct{ line, reply, class string }{
		{`550-5.1.1 There is\n550 5.1.1 no such user`, "550 5.1.1 There is no such user", "hard_bounce"},
		{`550 5.1.1 There is\n550 5.1.1 no such user`, "550 5.1.1 There is no such user", "hard_bounce"},
		{`550 5.1.1 There is\n5.1.1 no such user`, "550 5.1.1 There is no such user", "hard_bounce"},
		{`550 There is\nno such user`, "550 There is no such user", "hard_bounce"},
		{`550-There is\n550-no such user`, "550 There is no such user", "hard_bounce"},
		{`550-5.1.1 There is 550-5.1.1 no such user`, "550 5.1.1 There is 550-5.1.1 no such user", "hard_bounce"},
		{"5.1.1 no such user", "5.1.1 no such user", "hard_bounce"},
		{"host mx.example.com said: 5.2.2 mailbox full", "host mx.example.com said: 5.2.2 mailbox full", "transient"},
		{"Rate limit exceeded", "Rate limit exceeded", "throttle"},
	} {
		out, problems, err := explain(t, c.line+"\n", "--format", "json")
		if err != nil || !strings.Contains(out, `"class":"`+c.class+`"`) || !strings.Contains(out, `"reply":"`+c.reply+`"`) {
			t.Errorf("%s: %v %s\n%s", c.line, err, problems, out)
		}
	}
}

func TestExplainSaysWhatTheServerAsksFor(t *testing.T) {
	for _, c := range []struct{ reply, want string }{
		{"451 4.7.1 greylisted, try again in 5 minutes", "uses up one of its attempts (the server asks for 5m0s)"},
		{"550 5.4.5 daily sending limit exceeded", "then mailblast resume (the quota is new within 24h0m0s)"},
		{"550 5.1.1 user unknown since today", "so that it is not mailed again\n"},
	} {
		if out, _, err := explain(t, "", c.reply); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", c.reply, err, out)
		}
	}
}

// Whatever is in a line, it is explained on one line without control characters, or refused.
func FuzzExplain(f *testing.F) {
	for _, line := range []string{"550 5.1.1 no such user", `421-4.7.0 a\n421 4.7.0 b`, `550 a\n5.1.1 b`, "5.1.1 x", "rate limit", "\x1b[31m550", "55", `\n`, "-", "\u202e450"} {
		f.Add(line)
	}
	replies := reply.NewClassifier(nil)
	f.Fuzz(func(t *testing.T, line string) {
		var out bytes.Buffer
		e := &explainer{out: &out, replies: replies, stage: reply.Rcpt, json: true}
		err := e.explain(line)
		switch {
		case err != nil && (!errors.Is(err, reply.ErrSyntax) || out.Len() > 0):
			t.Fatalf("%q: %v, %q", line, err, out.String())
		case err == nil && (bytes.Count(out.Bytes(), []byte("\n")) != 1 || bytes.ContainsAny(bytes.TrimSuffix(out.Bytes(), []byte("\n")), "\x00\x1b\r\n")):
			t.Fatalf("%q: %q", line, out.String())
		}
	})
}

func TestExplainBadUse(t *testing.T) {
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"go away"}, "no three-digit code"},
		{"", []string{""}, "nothing there"},
		{"", []string{"--stage", "lunch", "250 ok"}, `unknown stage "lunch"`},
		{"", []string{"--format", "xml", "250 ok"}, `unknown format "xml"`},
		{"", []string{"250 ok", "250 ok"}, "at most 1 arg"},
		{"", []string{"--campaign", "testdata/none.yaml", "250 ok"}, "no such file"},
	} {
		if _, _, err := explain(t, c.stdin, c.args...); err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err, io.Discard) != exitUsage {
			t.Errorf("%q %q: error %v, want %q", c.stdin[:min(len(c.stdin), 20)], c.args, err, c.want)
		}
	}
}
