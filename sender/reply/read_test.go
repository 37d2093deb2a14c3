package reply

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		wire string
		want Reply
	}{
		{"250 2.0.0 Ok: queued as 4ABC\r\n", Reply{250, "2.0.0", "Ok: queued as 4ABC"}},
		{"250\r\n", Reply{250, "", ""}},
		{"250 \r\n", Reply{250, "", ""}},
		{"354 go on\r\n", Reply{354, "", "go on"}},
		{"250 ok\n", Reply{250, "", "ok"}},
		{"250 2.0.0\r\n", Reply{250, "2.0.0", ""}},
		{"550-5.1.1 no\r\n550 5.1.1 such user\r\n", Reply{550, "5.1.1", "no\nsuch user"}},
		{"550-5.1.1 no\r\n550 such user\r\n", Reply{550, "5.1.1", "no\nsuch user"}},
		{"550-sorry\r\n550 5.1.1 no such user\r\n", Reply{550, "5.1.1", "sorry\nno such user"}},
		{"550-5.1.1 no\n550 5.7.1 really\n", Reply{550, "5.1.1", "no\n5.7.1 really"}},
		{"250-mx.example.org\r\n250-SIZE 1000\r\n250-\r\n250 8BITMIME\r\n", Reply{250, "", "mx.example.org\nSIZE 1000\n\n8BITMIME"}},
		{"250-127.0.0.1 hello\r\n250 5.1\r\n", Reply{250, "", "127.0.0.1 hello\n5.1"}},
		{"550 #5.1.0 refused\r\n", Reply{550, "5.1.0", "refused"}},
		{"550 4.1.1 which class\r\n", Reply{550, "", "4.1.1 which class"}},
		{"354 3.0.0 no such class\r\n", Reply{354, "", "3.0.0 no such class"}},
		{"550 5.1000.1 too long\r\n", Reply{550, "", "5.1000.1 too long"}},
		{"550 5.123.456 three digits\r\n", Reply{550, "5.123.456", "three digits"}},
		{"550 5.1.1: colon\r\n", Reply{550, "", "5.1.1: colon"}},
		{"550 5.1. short\r\n", Reply{550, "", "5.1. short"}},
		{"550   5.1.1   spaces  \r\n", Reply{550, "5.1.1", "spaces"}},
		{"550 a\tb\r\n", Reply{550, "", "a b"}},
		{"550 b\xfccher\r\n", Reply{550, "", "b\ufffdcher"}},
		{"550 bücher\r\n", Reply{550, "", "bücher"}},
		{"550 \x1b[31;1mred\x1b[0m \x1b]0;title\x07alert\x1b]0;title\x1b\\!\x1bc\r\n", Reply{550, "", "red alert!"}},
		{"550 a\u009b31mb\u200b\u202ec\u2066d\u2028e\x7f\x08\r\n", Reply{550, "", "a31mbcd e"}},
		{"550 cut\x1b[3\r\n", Reply{550, "", "cut"}},
		{"550 cut\x1b\r\n", Reply{550, "", "cut"}},
		{"550 bare\rreturn\r\r\n", Reply{550, "", "barereturn"}},
		{"550 " + strings.Repeat("x", maxLine-6) + "\r\n", Reply{550, "", strings.Repeat("x", maxLine-6)}},
		{strings.Repeat("250-\r\n", maxLines-1) + "250 end\r\n", Reply{250, "", strings.Repeat("\n", maxLines-1) + "end"}},
	} {
		for _, size := range []int{16, 4096} {
			r := bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(c.wire+"next")), size)
			got, err := Read(r)
			if err != nil || got != c.want {
				t.Errorf("%.80q, buffer %d: %+v, %v, want %+v", c.wire, size, got, err, c.want)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "next" {
				t.Errorf("%.80q, buffer %d: left %q to read", c.wire, size, rest)
			}
		}
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct{ wire, want string }{
		{"hello\r\n", `line 1: not an SMTP reply: no three-digit code at the start: "hello"`},
		{"\r\n", "no three-digit code"},
		{"25\r\n", "no three-digit code"},
		{"HTTP/1.1 400 Bad Request\r\n", "no three-digit code"},
		{"2500 ok\r\n", `neither space nor hyphen after the code: "2500 ok"`},
		{"250ok\r\n", "neither space nor hyphen"},
		{"199 ok\r\n", "code outside 200 to 599"},
		{"600 ok\r\n", "code outside 200 to 599"},
		{"250 a\x00b\r\n", "NUL inside"},
		{"250-a\r\n251 b\r\n", "line 2: not an SMTP reply: code 251 inside a 250 reply"},
		{"250-a\r\nb\r\n", "line 2: not an SMTP reply: no three-digit code"},
		{"250 " + strings.Repeat("x", maxLine-5) + "\r\n", "longer than 2048 octets"},
		{strings.Repeat("x", 1<<20), "longer than 2048 octets"},
		{strings.Repeat("250-\r\n", maxLines) + "250 end\r\n", "line 1001: not an SMTP reply: reply longer than 1000 lines"},
		{strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 80), "reply longer than 65536 octets"},
	} {
		for _, size := range []int{16, 4096} {
			got, err := Read(bufio.NewReaderSize(strings.NewReader(c.wire), size))
			if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), c.want) || got != (Reply{}) {
				t.Errorf("%.80q, buffer %d: %+v, %v, want %s", c.wire, size, got, err, c.want)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("%.80q: error of %d octets", c.wire, len(err.Error()))
			}
		}
	}
}

func TestReadEnd(t *testing.T) {
	broken := errors.New("connection reset")
	for _, c := range []struct {
		wire string
		err  error // what the connection ends with
		want error
	}{
		{"", io.EOF, io.EOF},
		{"25", io.EOF, io.ErrUnexpectedEOF},
		{"250 ok", io.EOF, io.ErrUnexpectedEOF},
		{"250-ok\r\n", io.EOF, io.ErrUnexpectedEOF},
		{"250-ok\r\n250", io.EOF, io.ErrUnexpectedEOF},
		{"", broken, broken},
		{"250-ok\r\n25", broken, broken},
	} {
		_, err := Read(bufio.NewReader(io.MultiReader(strings.NewReader(c.wire), iotest.ErrReader(c.err))))
		if err != c.want {
			t.Errorf("%q and then %v: %v, want %v", c.wire, c.err, err, c.want)
		}
	}
}

func TestReadAllocates(t *testing.T) {
	const wire = "250 2.0.0 Ok: queued as 4ABC\r\n"
	src := strings.NewReader(wire)
	r := bufio.NewReader(src)
	n := testing.AllocsPerRun(100, func() {
		src.Reset(wire)
		r.Reset(src)
		if _, err := Read(r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 {
		t.Errorf("%v allocations a reply, want 1", n)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"250 ok", "250 ok", ""},
		{"550-5.1.1 a\n550 5.1.1 b\r\n", "550 5.1.1 a b", ""},
		{"", "", "nothing there"},
		{"250-ok", "", "not a hyphen"},
		{"250 ok\n250 ok", "", "more text after the last line"},
		{"hello", "", "no three-digit code"},
	} {
		got, err := Parse(c.in)
		if c.err != "" {
			if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %s", c.in, err, c.err)
			}
		} else if err != nil || got.String() != c.want {
			t.Errorf("%q: %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestLines(t *testing.T) {
	r := Reply{Text: "mx.example.org\nSIZE 1000\nPIPELINING"}
	if got := strings.Join(r.Lines(), "|"); got != "mx.example.org|SIZE 1000|PIPELINING" {
		t.Errorf("lines %q", got)
	}
	if n := len(Reply{}.Lines()); n != 1 {
		t.Errorf("an empty reply has %d lines, want 1", n)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"250 2.0.0 Ok: queued as 4ABC\r\n", "250\r\n", "250-a\r\n250 b\r\n", "550-5.1.1 no\r\n550 5.1.1 user\r\n", "250-a\r\n251 b\r\n", "hello\r\n",
		"550 \x1b[31mred\x1b]0;x\x07\x9b\xc2\x9b\xe2\x80\xae\r\n", "199 x\r\n", "250 a\x00b\r\n", "250 ok", "250-ok\r\n", "550 #5.1.0 x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := Read(bufio.NewReaderSize(strings.NewReader(string(wire)), 64))
		again, errAgain := Read(bufio.NewReader(iotest.HalfReader(strings.NewReader(string(wire)))))
		if got != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("%+v, %v; by another buffer %+v, %v", got, err, again, errAgain)
		}
		if err != nil {
			if got != (Reply{}) || err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrSyntax) {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		if got.Code < 200 || got.Code > 599 || len(got.Text) > 3*maxReply || len(got.Lines()) > maxLines {
			t.Fatalf("out of bounds: %d, %d octets, %d lines", got.Code, len(got.Text), len(got.Lines()))
		}
		if got.Status != "" && (statusLen(got.Status) != len(got.Status) || got.Status[0] != byte('0'+got.Code/100)) {
			t.Fatalf("status %q of %d", got.Status, got.Code)
		}
		if !utf8.ValidString(got.Text) {
			t.Fatalf("not UTF-8: %q", got.Text)
		}
		for _, c := range got.Text {
			if c != '\n' && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Fatalf("%q in %q", c, got.Text)
			}
		}
	})
}
