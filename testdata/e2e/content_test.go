package e2e

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"mailblast/sender/sink"
)

// Whatever stands in a list or a template: each recipient gets one message, with the header fields of all the others,
// and reads the text in it.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	const smuggled = "\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nsubject: evil\r\n\r\nevil\r\n.\r\n"
	maildir := filepath.Join(t.TempDir(), "maildir")
	port, w := startSink(t, sink.Options{Dir: maildir})
	wire := newTap(t, port)
	s := newSite(t, wire.port)
	cells := map[string]string{
		"smuggled": smuggled, "lf": strings.ReplaceAll(smuggled, "\r\n", "\n"), "cr": strings.ReplaceAll(smuggled, "\r\n", "\r"), "lfdot": "a\n.\r\nb\r\n.\nc", "crdot": "a\r.\rb\n\r.\n\rc",
		"header": "x\r\nBcc: victim@example.com\r\nSubject: evil\r\n\r\n<b>evil</b>", "folded": "x\r\n Bcc: victim@example.com\n\tb", "separator": "a\u2028Bcc: b\u2029c\u0085Bcc: d",
		"words": "=?utf-8?q?=0D=0ABcc:_victim=40example.com?=", "boundary": "\r\n--=_\r\nContent-Type: text/html\r\n\r\n", "dots": ".\n..\n.", "long": strings.Repeat("x", 5000),
		"escape": "\x1b[2J\x07\x7f\b", "empty": "", "template": "{{ .email }}{{ define \"x\" }}", "bidi": "\u202egpj.exe",
	}
	list := bytes.NewBufferString("email,cell\n")
	for name, cell := range cells {
		fmt.Fprintf(list, "%s@example.com,\"%s\"\n", name, strings.ReplaceAll(cell, `"`, `""`))
	}
	// Not UTF-8, overlong forms of CR and LF, and NUL: such rows are refused.
	list.WriteString("octet@example.com,a\xff\noverlong@example.com,a\xc0\x8d\xc0\x8aBcc: b\nsurrogate@example.com,a\xed\xa0\x80\nnul@example.com,a\x00b\n")
	s.write(map[string]string{
		"evil.csv": list.String(),
		"evil.txt": "first line\r.\r\nMAIL FROM:<eve@example.com>\n.\n\x00\x1b[2J\r\n\r\n[{{ .cell }}]\n.\r\n",
		"evil.yaml": `
name: evil
from: '"Eve \"\\; <eve@example.com>, " <news@example.com>'
subject: 'Hello {{ .cell }}'
headers: {X-Cell: '{{ .cell }}'}
recipients: evil.csv
text: evil.txt
attachments: ['a "b"; filename=evil.exe; .pdf']
smtp: {host: localhost, port: '${SMTP_PORT}', security: none, connections: 2}
`, `a "b"; filename=evil.exe; .pdf`: "x"})
	if code, out := s.output("send", "evil.yaml"); code != 2 || !bytes.Contains(out, []byte("not UTF-8")) {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if code := s.run("send", "evil.yaml", "--skip-invalid", "--encoding", "utf-8"); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	taken := w.record()
	if len(taken) != len(cells) {
		t.Errorf("%d recipients, want %d: %v", len(taken), len(cells), taken)
	}
	for name := range cells {
		if n := taken[name+"@example.com"]; n != 1 {
			t.Errorf("%s got %d messages", name, n)
		}
	}
	wire.lines(t)
	files, err := filepath.Glob(filepath.Join(maildir, "new", "*"))
	if err != nil || len(files) != len(cells) {
		t.Fatalf("%d messages in the Maildir, want %d (%v)", len(files), len(cells), err)
	}
	for _, file := range files {
		checkHostile(t, file, cells)
	}
}

// checkHostile looks at one message of TestHostileContent.
func checkHostile(t *testing.T, file string, cells map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	fields := 0
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if line[0] != ' ' && line[0] != '\t' {
			fields++
		}
	}
	if fields != 8 {
		t.Errorf("%d header fields, want 8:\n%s", fields, header)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(m.Header.Get("To"), "@")
	cell, known := cells[name]
	if !known || m.Header.Get("Bcc") != "" {
		t.Fatalf("an unknown message:\n%s", raw)
	}
	words := func(s string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }), " ")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if want := "Hello " + cell; err != nil || words(subject) != words(want) {
		t.Errorf("%s: subject %q (%v), want %q", name, subject, err, want)
	}
	_, rest, _ := bytes.Cut(raw, []byte("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "))
	encoding, rest, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	part, _, _ := bytes.Cut(rest, []byte("\r\n--=_"))
	if name == "boundary" && string(encoding) == "7bit" { // the text has a line that begins like a boundary
		part, _, _ = bytes.Cut(rest, []byte("\r\nContent-Type: application/pdf"))
		part = part[:bytes.LastIndex(part, []byte("\r\n--=_"))]
	}
	text := string(part)
	if string(encoding) == "quoted-printable" {
		decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(part)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text = string(decoded)
	}
	if want := "first line . MAIL FROM:<eve@example.com> . [2J [" + cell + "] ."; words(text) != words(want) {
		t.Errorf("%s: the text is\n%q, want\n%q", name, words(text), words(want))
	}
}
