package campaign

import (
	"bytes"
	"mime"
	"strings"
	"testing"
)

// Whatever stands in a row: the number of header fields stays, the lines are right, and the parts read as what the
// templates print.
func FuzzCompose(f *testing.F) {
	text := "Hello {{ .first_name }},\nyou live in {{ .city }}.\n{{ if .items }}{{ range split \";\" .items }}- {{ . }}\n{{ end }}{{ end }}bye {{ .email }}"
	page := "<p>Hello <b>{{ .first_name }}</b>, ü</p>\n<a href=\"https://example.com/?c={{ .city }}\" title='{{ .items }}'>{{ .city }}</a>\n<script>x = {{ .items }}</script>"
	subject, header := "Hello {{ .first_name }}, {{ .city }}", "{{ .items | upper }}"
	files := map[string]string{"newsletter.txt": text, "newsletter.html": page, "subject": subject, "X-Items": header}
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
		message := bytes.Join(content, nil)
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
			if want := renderText(t, template, nil, data); err != nil || !sameWords(got, oneLine(want)) {
				t.Errorf("%s is %q (%v), want %q", field, got, err, want)
			}
		}
		parts := leaves(t, map[string][]string(parsed.Header), parsed.Body)
		if len(parts) != 2 {
			t.Fatalf("%d parts:\n%s", len(parts), message)
		}
		if want := renderText(t, text, nil, data); !sameText(parts[0].content, want) {
			t.Errorf("text is\n%q, want\n%q", parts[0].content, want)
		}
		if want := renderHTML(t, page, nil, data); !sameText(parts[1].content, want) {
			t.Errorf("HTML is\n%q, want\n%q", parts[1].content, want)
		}

		composer := derived.Composer()
		content, err = composer.Compose(r)
		if err != nil {
			t.Fatal(err)
		}
		made := bytes.Join(content, nil)
		if again, err := composer.Compose(r); err != nil || !bytes.Equal(bytes.Join(again, nil), made) {
			t.Errorf("the second message differs (%v):\n%s\n%s", err, made, again)
		}
		checkLines(t, made)
		if strings.Contains(string(made), derived.word) {
			t.Errorf("a word that stands for a value is left:\n%s", made)
		}
	})
}

func sameWords(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
