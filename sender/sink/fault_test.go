package sink

import (
	"strings"
	"testing"

	"golang.org/x/time/rate"
)

func TestParseRule(t *testing.T) {
	tests := []struct {
		in          string
		stage       Stage
		pattern     string
		probability float64
		first       int
		reply       string
	}{
		{"DOT=452 4.3.1 disk full", Dot, "", 0, 0, "452 4.3.1 disk full"},
		{"connect=554 no", Connect, "", 0, 0, "554 no"},
		{`RCPT~^bob@example\.net$=550 5.1.1 no such user`, Rcpt, `^bob@example\.net$`, 0, 0, "550 5.1.1 no such user"},
		{"RCPT@0.1~x=451 4.3.0 try later", Rcpt, "x", 0.1, 0, "451 4.3.0 try later"},
		{"MAIL@1=451 a", Mail, "", 1, 0, "451 a"},
		{"RCPT#2=450 4.2.0 greylisted", Rcpt, "", 0, 2, "450 4.2.0 greylisted"},
		{"RCPT#2~a=b@c#d=450 x=550 y", Rcpt, "a=b@c#d", 0, 2, "450 x=550 y"},
		{"AUTH~==454 a", Auth, "=", 0, 0, "454 a"},
	}
	for _, tt := range tests {
		got, err := ParseRule(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		pattern := ""
		if got.Pattern != nil {
			pattern = got.Pattern.String()
		}
		if got.Stage != tt.stage || pattern != tt.pattern || got.Probability != tt.probability || got.First != tt.first || got.Reply.String() != tt.reply {
			t.Errorf("%s: got %+v, pattern %q", tt.in, got, pattern)
		}
	}
}

func TestParseRuleErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "column 1 of \"\": no =REPLY",
		"RCPT":                      `column 5 of "RCPT": no =REPLY`,
		"RCTP=550 no":               `column 1 of "RCTP=550 no": unknown stage "RCTP"`,
		"RCPT@=550 no":              `column 6 of "RCPT@=550 no": probability ""`,
		"RCPT@0=550 no":             `column 6 of "RCPT@0=550 no": probability "0"`,
		"RCPT@1.1=550 no":           `column 6 of "RCPT@1.1=550 no": probability "1.1"`,
		"RCPT@NaN=550 no":           `column 6 of "RCPT@NaN=550 no": probability "NaN"`,
		"RCPT#0=550 no":             `column 6 of "RCPT#0=550 no": count "0"`,
		"RCPT#x=550 no":             `column 6 of "RCPT#x=550 no": count "x"`,
		"RCPT#2@0.1=550 no":         `column 7 of "RCPT#2@0.1=550 no": "@0.1" where ~REGEXP or =REPLY`,
		"RCPT~=550 no":              `column 6 of "RCPT~=550 no": empty pattern`,
		"RCPT~(=550 no":             `column 6 of "RCPT~(=550 no": "error parsing regexp`,
		"RCPT~a":                    `column 5 of "RCPT~a": no reply`,
		"RCPT=no":                   `column 6 of "RCPT=no": no reply`,
		"RCPT=250 fine":             `column 6 of "RCPT=250 fine": reply code "250"`,
		"RCPT=600 what":             `column 6 of "RCPT=600 what": reply code "600"`,
		"RCPT=550":                  `column 6 of "RCPT=550": the reply has no text`,
		"RCPT=550 a\r\n250 b":       `column 6 of "RCPT=550 a\r\n250 b": the reply has a control character`,
		"RCPT=550 \x1b[31mred":      `column 6 of "RCPT=550 \x1b[31mred": the reply has a control character`,
		"RCPT~\x1b=550 a":           "",
		"RCPT~\x1b(=550 a":          `column 6 of "RCPT~\x1b(=550 a": "error parsing regexp`,
		"DOT=550 " + long("x", 507): `column 5 of "DOT=550 x`,
	} {
		_, err := ParseRule(in)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", in, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%q:\ngot  %v\nwant %s", in, err, want)
		case want != "" && !strings.HasSuffix(err.Error(), "; write for example "+ruleExample):
			t.Errorf("%q: no example in %v", in, err)
		}
	}
	if _, err := ParseRule(ruleExample); err != nil {
		t.Errorf("the example is wrong: %v", err)
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{
		rateExample:       {14, 14, Bucket, Reply{454, "4.7.0 Throttling failure: faster than the account may send."}},
		"30/m=432 slow":   {0.5, 30, Bucket, Reply{432, "slow"}},
		"9/s:fixed=451 a": {9, 9, Fixed, Reply{451, "a"}},
		"3600/h=451 a=b":  {1, 3600, Bucket, Reply{451, "a=b"}},
	} {
		if got, err := ParseRate(in); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                 "column 1 of",
		"14=454 a":         "column 1 of",
		"0/s=454 a":        "column 1 of",
		"-1/s=454 a":       "column 1 of",
		"14/d=454 a":       `column 4 of "14/d=454 a": unit "d"`,
		"14/s:leaky=454 a": `column 6 of "14/s:leaky=454 a": kind "leaky" is not`,
		"14/s":             `column 5 of "14/s": no =REPLY`,
		"14/s=45 a":        `column 6 of "14/s=45 a": reply code "45"`,
		"14/s=454 \x00":    `column 6 of "14/s=454 \x00": the reply has a control`,
	} {
		if _, err := ParseRate(in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}

func FuzzParseRule(f *testing.F) {
	for _, seed := range []string{ruleExample, "DOT=452 4.3.1 full", "RCPT#2=450 4.2.0 grey", "MAIL@0.1~a=b=451 x", "RCPT@NaN=550 a", "~=", "RCPT~=550"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		rule, err := ParseRule(in)
		if err != nil {
			for _, r := range err.Error() {
				if r < ' ' || r == 0x7f {
					t.Fatalf("control character in %q", err)
				}
			}
			return
		}
		if line := rule.Reply.String(); rule.Reply.Code < 400 || rule.Reply.Code > 599 || len(line) > 510 || strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("reply %q from %q", line, in)
		}
		if rule.Probability < 0 || rule.Probability > 1 || rule.First < 0 || rule.Probability > 0 && rule.First > 0 {
			t.Fatalf("got %+v from %q", rule, in)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{rateExample, "30/m=432 slow", "0/s=454 a", "1/d=454 a", "99999999999999999999/s=454 a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseRate(in)
		if err == nil && (got.Limit <= 0 || got.Limit > rate.Limit(got.Burst) || got.Reply.Code < 400) {
			t.Fatalf("got %+v from %q", got, in)
		}
	})
}
