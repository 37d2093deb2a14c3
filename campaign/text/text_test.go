package text

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestCleaners(t *testing.T) {
	for _, c := range []struct{ in, oneLine, visible, terminal, strip, control string }{
		{"plain text", "plain text", "plain text", "plain text", "plain text", "plain text"},
		{"Grüße, 名前", "Grüße, 名前", "Grüße, 名前", "Grüße, 名前", "Grüße, 名前", "Grüße, 名前"},
		{" a\tb\r\n", "a b", " a\ufffdb\ufffd\ufffd", " a\tb\ufffd\n", "a b", `" a\tb\r\n"`},
		{"\x1b[31mred", "[31mred", "\ufffd[31mred", "\ufffd[31mred", "red", `"\x1b[31mred"`},
		{"a\u2028b", "a b", "a\ufffdb", "a\ufffdb", "a b", "a\u2028b"},
		{"a\u202eb", "a\u202eb", "a\ufffdb", "a\ufffdb", "ab", "a\u202eb"},
		{"👩‍👧", "👩‍👧", "👩\ufffd👧", "👩‍👧", "👩👧", "👩‍👧"},
		{"a\xffb", "a\ufffdb", "a\ufffdb", "a\ufffdb", "a\ufffdb", "a\xffb"},
	} {
		for name, got := range map[string][2]string{
			"OneLine": {OneLine(c.in), c.oneLine}, "Visible": {Visible(c.in), c.visible}, "ForTerminal": {ForTerminal(c.in), c.terminal},
			"StripControl": {StripControl([]byte(c.in)), c.strip}, "QuoteControl": {QuoteControl(c.in), c.control},
		} {
			if got[0] != got[1] {
				t.Errorf("%s(%q) is %q, want %q", name, c.in, got[0], got[1])
			}
		}
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab…"}, {"aöö", 5, "aöö"}, {"aööx", 5, "a…"}, {"", 5, ""}, {"\x80\x80\x80\x80\x80\x80\x80\x80\x80", 8, "\x80…"}} {
		if got := Short(c.in, c.most); got != c.want {
			t.Errorf("Short(%q, %d) is %q, want %q", c.in, c.most, got, c.want)
		}
	}
	if got, want := Quoted(strings.Repeat("ö", 41)), `"`+strings.Repeat("ö", 40)+`"…`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "an hour", 24 * time.Hour: "24 hours", 72 * time.Hour: "3 days", time.Minute: "1m0s"} {
		if got := Period(d); got != want {
			t.Errorf("Period(%v) is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{1234567: "1ms", 1234 * time.Millisecond: "1.2s", 61234 * time.Millisecond: "1m1s"} {
		if got := Rounded(d); got != want {
			t.Errorf("Rounded(%v) is %q, want %q", d, got, want)
		}
	}
}

// Whatever comes in, nothing goes out that a terminal obeys.
func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J\u009b\xff")
	f.Add("\x1b]0;t\x1b\\x\xc2")
	f.Fuzz(func(t *testing.T, s string) {
		for name, got := range map[string]string{"OneLine": OneLine(s), "Visible": Visible(s), "ForTerminal": ForTerminal(s), "StripControl": StripControl([]byte(s))} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
				t.Errorf("%s(%q) is %q", name, s, got)
			}
			if name != "ForTerminal" && strings.ContainsAny(got, "\n\t\u2028\u2029") {
				t.Errorf("%s(%q) is more than one line: %q", name, s, got)
			}
		}
	})
}
