package message

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"mailblast/campaign/text"
)

// newBody writes texts to a body: those beginning with # are known segments.
func newBody(texts ...string) *body {
	b := &body{known: map[*byte]*segment{}}
	for _, text := range texts {
		p := []byte(strings.TrimPrefix(text, "#"))
		if strings.HasPrefix(text, "#") && len(p) > 0 {
			b.known[&p[0]] = newSegment(p)
		}
		b.Write(p)
	}
	return b
}

func TestIsPlain(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name  string
		texts []string
		want  bool
	}{
		{"nothing", nil, true},
		{"ASCII", []string{"#a\n", "b"}, true},
		{"998", []string{x(998)}, true},
		{"999", []string{x(999)}, false},
		{"998 in a segment", []string{"#" + x(998)}, true},
		{"999 in a segment", []string{"#a\n" + x(999) + "\nb"}, false},
		{"998 put together", []string{"#" + x(400), x(198), "#" + x(400)}, true},
		{"999 put together", []string{"#" + x(400), x(199), "#" + x(400)}, false},
		{"999 with the end of one line", []string{"#a\n" + x(500), "#" + x(499) + "\n"}, false},
		{"998 with the end of one line", []string{"#a\n" + x(500), "#" + x(498) + "\n"}, true},
		{"two lines", []string{"#" + x(500) + "\n", x(600) + "\n", "#" + x(700)}, true},
		{"umlaut in a segment", []string{"#ü"}, false},
		{"umlaut in a value", []string{"#u", "ü"}, false},
	} {
		if got := newBody(c.texts...).isPlain(); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestAppendQuoted(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"a value", []string{"ü=a"}, "=C3=BC=3Da\r\n"},
		{"white space at the end of a line", []string{"a \nb\t\n "}, "a=20\r\nb=09\r\n=20\r\n"},
		{"75 fit", []string{x(75)}, x(75) + "\r\n"},
		{"76 do not", []string{x(76)}, x(75) + "=\r\nx\r\n"},
		{"an escape is not split", []string{x(73) + "ü"}, x(73) + "=\r\n=C3=BC\r\n"},
		{"a segment that fits goes on", []string{"ab", "#cd", "ef", "#gh\ni", "j"}, "abcdefgh\r\nij\r\n"},
		{"a segment that does not fit breaks", []string{x(70), "#" + x(6)}, x(70) + "=\r\n" + x(6) + "\r\n"},
		{"with a line end behind it", []string{x(70), "#" + x(6) + "\n"}, x(70) + x(6) + "\r\n"},
		{"one that is full already", []string{"x", "#" + x(76)}, "x=\r\n" + x(75) + "=\r\nx\r\n"},
		{"an empty one", []string{"x", "#", "", "y"}, "xy\r\n"},
	} {
		if got := string(newBody(c.texts...).appendQuoted(nil)); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestAppendClean(t *testing.T) {
	for text, want := range map[string]string{
		"a\r\nb\rc\nd\r":      "a\nb\nc\nd\n",
		"a\x00b\x1b[31mc\x7f": "a b [31mc ",
		"tab\tand ü":          "tab\tand ü",
		"\xff\xfeü":           "\ufffd\ufffdü",
	} {
		if got := string(appendClean(nil, text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// However a text is cut into segments and values, both encodings give it back, in lines of the right length.
func FuzzBody(f *testing.F) {
	f.Add("Hello ü\nworld = \n", uint64(0x5555), uint8(3))
	f.Add(strings.Repeat("x", 300), uint64(1), uint8(75))
	f.Add(strings.Repeat("ü \n", 40), uint64(0), uint8(1))
	f.Add(strings.Repeat("y", 990), uint64(3), uint8(9))
	f.Fuzz(func(t *testing.T, source string, known uint64, step uint8) {
		source = string(appendClean(nil, source))
		var texts []string
		for rest := source; rest != ""; known = known>>1 | known<<63 {
			n := min(int(step)+1, len(rest))
			for n < len(rest) && rest[n]&0xc0 == 0x80 {
				n++ // a template is never cut inside a character
			}
			piece := rest[:n]
			rest = rest[n:]
			if known&1 == 1 || strings.HasPrefix(piece, "#") {
				piece = "#" + piece
			}
			texts = append(texts, piece)
		}
		b := newBody(texts...)
		want := string(endLine(appendCRLF(nil, []byte(source))))
		quoted := b.appendQuoted(nil)
		back, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(quoted)))
		if err != nil || string(back) != want {
			t.Errorf("quoted-printable %q reads as %q (%v), want %q", quoted, back, err, want)
		}
		for _, line := range bytes.Split(quoted, crlf) {
			if len(line) > 76 || bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t")) {
				t.Errorf("the line %q in %q", line, quoted)
			}
		}
		if b.isPlain() {
			plain := b.appendPlain(nil)
			if string(plain) != want {
				t.Errorf("7bit is %q, want %q", plain, want)
			}
			checkLines(t, append([]byte("A: b\r\n\r\n"), plain...))
		} else if text.IsASCII(source) {
			long := false
			for line := range strings.SplitSeq(source, "\n") {
				long = long || len(line) > maxLine
			}
			if !long {
				t.Errorf("7bit was possible for %q", source)
			}
		}
	})
}
