package message

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
	"testing"

	"mailblast/campaign"
	"mailblast/campaign/list/address"
	"mailblast/campaign/mail"
	"mailblast/campaign/text"
)

// joined returns the content of a message in one piece.
func joined(m mail.Message) []byte {
	content := bytes.Join(m.Content, nil)
	if len(content) != m.Size {
		panic(fmt.Sprintf("Size is %d, the content has %d octets", m.Size, len(content)))
	}
	return content
}

func TestEnvelope(t *testing.T) {
	src := testSource(map[string]string{"newsletter.txt": "x"})
	for _, c := range []struct {
		returnPath, to string
		utf8           bool
	}{{"bounces@example.com", "ada@example.org", false}, {"bounces@example.com", "jörg@example.org", true}, {"jörg@example.com", "ada@example.org", true}} {
		row := testRow()
		var err error
		if src.File.ReturnPath, err = address.Parse(c.returnPath); err != nil {
			t.Fatal(err)
		}
		if row.Address, err = address.Parse(c.to); err != nil {
			t.Fatal(err)
		}
		m, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Composer().Compose(row)
		if err != nil || got.From != c.returnPath || got.To != c.to || got.UTF8 != c.utf8 {
			t.Errorf("got %s to %s (UTF8 %v, %v), want %+v", got.From, got.To, got.UTF8, err, c)
		}
	}
}

// Whatever stands in a row: the number of header fields stays, the lines are right, and the parts read as what the
// templates print.
func FuzzCompose(f *testing.F) {
	plain := "Hello {{ .first_name }},\nyou live in {{ .city }}.\n{{ if .items }}{{ range split \";\" .items }}- {{ . }}\n{{ end }}{{ end }}bye {{ .email }}"
	page := "<p>Hello <b>{{ .first_name }}</b>, ü</p>\n<a href=\"https://example.com/?c={{ .city }}\" title='{{ .items }}'>{{ .city }}</a>\n<script>x = {{ .items }}</script>"
	subject, header := "Hello {{ .first_name }}, {{ .city }}", "{{ .items | upper }}"
	files := map[string]string{"newsletter.txt": plain, "newsletter.html": page, "subject": subject, "X-Items": header}
	src := testSource(files)
	m, err := Compile(src)
	if err != nil {
		f.Fatal(err)
	}
	delete(files, "newsletter.txt")
	derived, err := Compile(testSource(files))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][3]string{
		{"Ada", "Rome", "a;b"}, {"", "", ""}, {"Zoë", "Köln", "ü"}, {"a\r\nBcc: b", "\r\n\r\n", "\n.\n"}, {"<script>", "\"'", "</script>"},
		{strings.Repeat("x", 1000), strings.Repeat("ü", 500), strings.Repeat("a;", 300)}, {"\x00\x1b", "\xff\xfe", "\u2028"},
		{"=?utf-8?q?x?=", "&amp;", "{{ .email }}"}, {"--=_", "From ", " trailing "}, {"\ufeff", "\u0085", "\ufffd"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, name, city, items string) {
		if len(name)+len(city)+len(items) > 4<<10 {
			return // the header field ends at 16 KB, as TestComposeErrors says
		}
		r := testRow(name, city, items)
		content, err := m.Composer().Compose(r)
		if err != nil {
			t.Fatal(err)
		}
		message := joined(content)
		checkLines(t, message)
		parsed := readMessage(t, message)
		if got := countFields(message); got != 8 {
			t.Errorf("%d header fields:\n%s", got, message)
		}
		data := rowData(t, src, r)
		decoder := mime.WordDecoder{}
		for field, template := range map[string]string{"Subject": subject, "X-Items": header} {
			got, err := decoder.DecodeHeader(parsed.Header.Get(field))
			// net/mail makes one space of a fold and the spaces after it, so runs of spaces cannot be compared.
			if want := renderText(t, template, nil, data); err != nil || !sameWords(got, text.OneLine(want)) {
				t.Errorf("%s is %q (%v), want %q", field, got, err, want)
			}
		}
		parts := leaves(t, map[string][]string(parsed.Header), parsed.Body)
		if len(parts) != 2 {
			t.Fatalf("%d parts:\n%s", len(parts), message)
		}
		if want := renderText(t, plain, nil, data); !sameText(parts[0].content, want) {
			t.Errorf("text is\n%q, want\n%q", parts[0].content, want)
		}
		if want := renderHTML(t, page, nil, data); !sameHTML(parts[1].content, want) {
			t.Errorf("HTML is\n%q, want\n%q", parts[1].content, want)
		}

		composer := derived.Composer()
		content, err = composer.Compose(r)
		if err != nil {
			t.Fatal(err)
		}
		made := joined(content)
		if again, err := composer.Compose(r); err != nil || !bytes.Equal(joined(again), made) {
			t.Errorf("the second message differs (%v):\n%s\n%s", err, made, joined(again))
		}
		checkLines(t, made)
		if strings.Contains(string(made), derived.placeholder) {
			t.Errorf("a word that stands for a value is left:\n%s", made)
		}
	})
}

// Whatever a file, a sender or a header field is called: the message and its parts have each of their header fields once,
// and the standard library finds the names in them.
func FuzzNames(f *testing.F) {
	f.Add("Example News", "catalogue.pdf", "Spring is here", "x")
	f.Add("Example, Inc.\r\nBcc: eve@example.com", "a\"\r\nContent-Type: text/html\r\n\r\n.pdf", "a\nTo: b", "\r\n\r\n--=_")
	f.Add("=?utf-8?q?=0D=0ABcc:_b?=", "Überraschung für Zoë.pdf", "\u2028\u0085", "\x00\xff")
	f.Add(strings.Repeat("ö", 300), strings.Repeat("%\"\\;", 100), strings.Repeat("x", 2000), strings.Repeat(" ", 1000))
	f.Add("\" <eve@example.com>, \"", "../../etc/passwd", "<>", ";\r\n")
	f.Add("", "\r\n", "\r\n", "\r\n")
	f.Add("a"+strings.Repeat(" ", 1500)+"b", "ü"+strings.Repeat(" ", 1500)+"b", "x"+strings.Repeat(" ", 1500)+"y", "z")
	f.Fuzz(func(t *testing.T, display, file, subject, value string) {
		if file == "" || strings.Contains(subject, "{{") || len(display)+len(file)+len(subject)+len(value) > 8<<10 {
			return
		}
		src := testSource(map[string]string{"newsletter.txt": "x", "newsletter.html": `<img src="cid:logo.png">`, "logo.png": "y", "subject": subject, "X-City": "{{ .city }}", "X-Fixed": "y"})
		src.File.From.Name, src.File.ReplyTo = display, campaign.Mailbox{Name: display, Address: src.File.From.Address}
		src.File.Attachments = []string{file}
		read := src.Read
		src.Read = func(path string) ([]byte, error) {
			if path == file {
				return []byte("content"), nil
			}
			return read(path)
		}
		m, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		content, err := m.Composer().Compose(testRow("", value))
		if err != nil {
			t.Fatal(err)
		}
		message := joined(content)
		checkLines(t, message)
		if got := countFields(message); got != 10 {
			t.Errorf("%d header fields:\n%s", got, message)
		}
		parsed := readMessage(t, message)
		for _, field := range []string{"From", "Reply-To"} {
			got, err := parsed.Header.AddressList(field)
			if err != nil || len(got) != 1 || got[0].Address != "news@example.com" || !sameWords(got[0].Name, text.OneLine(display)) {
				t.Errorf("%s is %v (%v), want the name %q", field, got, err, text.OneLine(display))
			}
		}
		parts := leaves(t, map[string][]string(parsed.Header), parsed.Body)
		if len(parts) != 4 || parts[3].content != "content" {
			t.Fatalf("%d parts:\n%s", len(parts), message)
		}
		if want := newAttachment(file, nil).name; !sameWords(parts[3].filename, want) {
			t.Errorf("the file is called %q, want %q", parts[3].filename, want)
		}
		for _, field := range []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} {
			if got, want := bytes.Count(message, []byte("\r\n"+field+":")), map[string]int{"Content-Type": 7, "Content-Transfer-Encoding": 4, "Content-Disposition": 2}[field]; got != want {
				t.Errorf("%s %d times, want %d:\n%s", field, got, want, message)
			}
		}
	})
}

func sameWords(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
