package cmd

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"mailblast/campaign/text"
)

func TestScreen(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n": "plain\ttext\n", "Grüße, 名前 👩‍👧\n": "Grüße, 名前 👩‍👧\n",
		"\x1b[31mred": "\ufffd[31mred", "\x1b]0;title\x07": "\ufffd]0;title\ufffd", "a\rb\bc\x00\x7f": "a\ufffdb\ufffdc\ufffd\ufffd",
		"\u009b31m": "\ufffd31m", "\x9b31m": "\ufffd31m", "user\u202egpj.exe": "user\ufffdgpj.exe", "\u2066x\u2069": "\ufffdx\ufffd",
		"a\u2028b\u2029c\u0085d": "a\ufffdb\ufffdc\ufffdd", "\xc0\x9b\xed\xa0\x80x": "\ufffd\ufffd\ufffd\ufffd\ufffdx",
	} {
		var all, bytewise bytes.Buffer
		if n, err := (&screen{out: &all}).Write([]byte(in)); n != len(in) || err != nil || all.String() != want {
			t.Errorf("%q: got %q (%d, %v), want %q", in, all.String(), n, err, want)
		}
		s := &screen{out: &bytewise}
		for i := range len(in) {
			if n, err := s.Write([]byte{in[i]}); n != 1 || err != nil {
				t.Errorf("%q: %d, %v", in, n, err)
			}
		}
		if bytewise.String() != want {
			t.Errorf("%q octet by octet: got %q, want %q", in, bytewise.String(), want)
		}
	}
}

func FuzzScreen(f *testing.F) {
	f.Add("a\x1b[2J", "\u009b\xff")
	f.Add("\xe2\x80", "\xae evil")
	f.Add("\xc2", "\x9b0m\n")
	f.Add("\xf0\x9f\x91", "\xa9")
	f.Fuzz(func(t *testing.T, a, b string) {
		var out bytes.Buffer
		s := &screen{out: &out}
		for _, part := range []string{a, b, "\n"} {
			if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if got := out.String(); !utf8.ValidString(got) || strings.ContainsFunc(got, text.SteersTerminal) {
			t.Errorf("%q", got)
		}
		if got, want := out.String(), text.ForTerminal(a+b)+"\n"; got != want && utf8.ValidString(a+b) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// https://owasp.org/www-community/attacks/CSV_Injection
func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "ada@example.com": "ada@example.com", "250 ok": "250 ok", "a=b": "a=b", "'=1": "'=1", "...": "...",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\tx": "'\tx", "\r=1": "'\r=1", "\rx": "'\rx", "\n=1": "'\n=1", "\nx": "'\nx",
		" =1": "' =1", "\u00a0=1": "'\u00a0=1", "\u200b=1": "'\u200b=1", "\ufeff=1": "'\ufeff=1", "＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠x": "'＠x", " x": " x",
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", `=HYPERLINK("https://evil.example","x")`: `'=HYPERLINK("https://evil.example","x")`, "-2+3+cmd|' /C calc'!D2": "'-2+3+cmd|' /C calc'!D2",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
