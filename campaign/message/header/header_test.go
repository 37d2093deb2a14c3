package header

import (
	"bytes"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"mailblast/campaign/text"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"Subject", "Hello", "Subject: Hello\r\n"},
		{"Subject", "", "Subject:\r\n"},
		{"Subject", "  Hello\t\r\n ", "Subject: Hello\r\n"},
		{"Subject", "a\r\nb\x00c\x7fd", "Subject: a  b c d\r\n"},
		{"Subject", "Grün", "Subject: =?utf-8?b?R3LDvG4=?=\r\n"},
		{"Subject", "a\u2028b\u0085c", "Subject: a b c\r\n"},
		{"Subject", "Die Gärten", "Subject: =?utf-8?q?Die_G=C3=A4rten?=\r\n"},
		{"Subject", "春", "Subject: =?utf-8?b?5pil?=\r\n"},
		{"Subject", "a\xffb", "Subject: =?utf-8?b?Ye+/vWI=?=\r\n"},
		{"Subject", "=?utf-8?q?x?=", "Subject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?=\r\n"},
		{"Subject", "a =? b", "Subject: a =? b\r\n"},
		{"S", strings.Repeat("x", 75), "S: " + strings.Repeat("x", 75) + "\r\n"},
		{"S", strings.Repeat("x", 76), "S:\r\n " + strings.Repeat("x", 76) + "\r\n"},
		{"S", strings.Repeat("x", 500), "S: " + strings.Repeat("x", 500) + "\r\n"},
		{"S", strings.Repeat("x", 70) + "  " + strings.Repeat("y", 10), "S: " + strings.Repeat("x", 70) + "\r\n  " + strings.Repeat("y", 10) + "\r\n"},
		{strings.Repeat("N", 70), "ü", strings.Repeat("N", 70) + ":\r\n =?utf-8?b?w7w=?=\r\n"},
	} {
		if got := string(Append(nil, c.name, c.value)); got != c.want {
			t.Errorf("%s: %q:\ngot  %q\nwant %q", c.name, c.value, got, c.want)
		}
	}
}

func TestAppendMailbox(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"", "From: a@example.com\r\n"},
		{"Ada Lovelace", "From: Ada Lovelace <a@example.com>\r\n"},
		{"Ada  Lovelace", "From: \"Ada  Lovelace\" <a@example.com>\r\n"},
		{`Ada "the" \ Lovelace, Inc.`, `From: "Ada \"the\" \\ Lovelace, Inc." <a@example.com>` + "\r\n"},
		{"Zoë", "From: =?utf-8?q?Zo=C3=AB?= <a@example.com>\r\n"},
		{"=?utf-8?q?x?=", "From: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@example.com>\r\n"},
		{"a\r\nBcc: b", "From: \"a  Bcc: b\" <a@example.com>\r\n"},
		{strings.Repeat("ab ", 20) + "c", "From: " + strings.Repeat("ab ", 20) + "c\r\n <a@example.com>\r\n"},
		{strings.Repeat("ab, ", 20) + "c", `From: "` + strings.TrimSuffix(strings.Repeat("ab, ", 18), " ") + "\r\n" + strings.Repeat(" ab,", 2) + ` c" <a@example.com>` + "\r\n"},
		{"a" + strings.Repeat(" ", 1000) + "b", "From: =?utf-8?q?a" + strings.Repeat("_", 59) + "?=\r\n" + strings.Repeat(" =?utf-8?q?"+strings.Repeat("_", 63)+"?=\r\n", 14) + " =?utf-8?q?" + strings.Repeat("_", 59) + "b?=\r\n <a@example.com>\r\n"},
		{"Zoë " + strings.Repeat("of the Garden ", 5) + "of Zoë", "From: =?utf-8?q?Zo=C3=AB?= " + strings.Repeat("of the Garden ", 3) + "of the\r\n Garden of the Garden of =?utf-8?q?Zo=C3=AB?= <a@example.com>\r\n"},
		{strings.Repeat("x", 900), "From: " + strings.Repeat("x", 900) + "\r\n <a@example.com>\r\n"},
	} {
		got := string(AppendMailbox(nil, "From", c.name, "a@example.com"))
		if got != c.want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.name, got, c.want)
		}
		value := strings.TrimPrefix(strings.TrimSuffix(got, "\r\n"), "From: ")
		if parsed, err := mail.ParseAddress(strings.ReplaceAll(value, "\r\n", "")); err != nil || parsed.Name != text.OneLine(c.name) {
			t.Errorf("%q reads as %v (%v)", got, parsed, err)
		}
	}
}

// Whatever the value is: one field, in lines of the right length, that reads as what was written.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"", "Hello", "Grüße aus Köln", "a\r\nBcc: b", "=?utf-8?q?x?=", "=?", strings.Repeat("word ", 100), strings.Repeat("x", 2000),
		strings.Repeat("春", 200), "😀", "a\xff", "\x00", "a \t b", "\u2028x", " ", strings.Repeat("x ü", 50), strings.Repeat(" ", 1500) + "x", "x" + strings.Repeat(" ", 1500) + "x",
	} {
		f.Add("Subject", seed)
		f.Add("X-"+strings.Repeat("Long", 18), seed)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if name == "" || len(name) > 76 || strings.ContainsFunc(name, func(r rune) bool { return r < 33 || r > 126 || r == ':' }) {
			name = "Subject"
		}
		got := Append(nil, name, value)
		lines := bytes.Split(bytes.TrimSuffix(got, []byte(crlf)), []byte(crlf))
		if !bytes.HasSuffix(got, []byte(crlf)) || bytes.ContainsAny(bytes.Join(lines, nil), "\r\n") {
			t.Fatalf("not in lines that end with CRLF: %q", got)
		}
		for i, line := range lines {
			if (line[0] == ' ') == (i == 0) {
				t.Errorf("line %d begins another field: %q", i, got)
			}
			if len(line) > maxLine || len(bytes.TrimSpace(line)) == 0 {
				t.Errorf("line %d is blank or has %d octets: %q", i, len(line), got)
			}
			for _, word := range bytes.Fields(line) {
				if bytes.HasPrefix(word, []byte("=?")) && bytes.HasSuffix(word, []byte("?=")) && len(word) > maxWord {
					t.Errorf("an encoded-word of %d octets: %q", len(word), got)
				}
			}
		}
		for _, c := range got {
			if c >= utf8.RuneSelf || c < ' ' && c != '\r' && c != '\n' || c == 0x7f {
				t.Fatalf("octet %#x in %q", c, got)
			}
		}
		message, err := mail.ReadMessage(bytes.NewReader(append(got, crlf...)))
		if err != nil || len(message.Header) != 1 {
			t.Fatalf("%d fields (%v): %q", len(message.Header), err, got)
		}
		_, unfolded, _ := strings.Cut(strings.ReplaceAll(string(got), "\r\n", ""), ":")
		decoder := mime.WordDecoder{}
		back, err := decoder.DecodeHeader(strings.TrimSpace(unfolded))
		if want := text.OneLine(value); err != nil || back != want {
			t.Errorf("%q reads as %q (%v), want %q", got, back, err, want)
		}
	})
}
