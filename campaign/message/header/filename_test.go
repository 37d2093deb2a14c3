package header

import (
	"mime"
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"mailblast/campaign/text"
)

func TestAppendFilename(t *testing.T) {
	for _, name := range []string{"a.pdf", `with "quotes" and \.txt`, "Übersicht.pdf", "春の目録.pdf", strings.Repeat("long name ", 20) + ".pdf", strings.Repeat("ü", 120) + ".pdf", strings.Repeat("ü", 400) + ".pdf", strings.Repeat("x", 2000), "100%'*.txt", "=?utf-8?q?x?=.pdf"} {
		field := string(AppendFilename([]byte("Content-Disposition: attachment"), name))
		for _, line := range strings.Split(field, "\r\n") {
			if len(line) > maxLine {
				t.Errorf("%q: a line of %d octets: %s", name, len(line), line)
			}
		}
		value := strings.ReplaceAll(strings.TrimPrefix(field, "Content-Disposition: "), "\r\n", "")
		_, params, err := mime.ParseMediaType(value)
		if err != nil || params["filename"] != name {
			t.Errorf("%q reads as %q (%v): %s", name, params["filename"], err, field)
		}
		// Sections are for what no line has room for.
		if got := strings.Count(field, "filename"); len(name) < 250 && got != 1 {
			t.Errorf("%q: the parameter is there %d times: %s", name, got, field)
		}
	}
}

func TestAppendName(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"a b.pdf", "application/pdf"},
		{"Übersicht.pdf", "application/pdf;\r\n name=\"=?utf-8?q?=C3=9Cbersicht=2Epdf?=\""},
		{"見積書.pdf", "application/pdf;\r\n name=\"=?utf-8?b?6KaL56mN5pu4LnBkZg==?=\""},
		{strings.Repeat("ü", 30), "application/pdf;\r\n name=\"=?utf-8?b?" + strings.Repeat("w7zDvMO8", 7) + "?=\r\n =?utf-8?b?" + strings.Repeat("w7zDvMO8", 3) + "?=\""},
	} {
		if got := string(AppendName([]byte("application/pdf"), c.name)); got != c.want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

// Whatever a file is called: one parameter in each field, in lines of the right length, that reads as the name.
func FuzzFilename(f *testing.F) {
	for _, name := range []string{"a.pdf", "Übersicht.pdf", "見積書.pdf", `a"\.txt`, "=?utf-8?q?x?=", "a;b=c", "utf-8''x", strings.Repeat("春", 300), strings.Repeat(`"`, 500), "\r\nX: y", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		name = text.OneLine(name) // as the names of attachments are
		if len(name) > 8<<10 {
			return
		}
		message := "Content-Type: " + string(AppendName([]byte("application/pdf"), name)) +
			"\r\nContent-Disposition: " + string(AppendFilename([]byte("attachment"), name)) + "\r\n\r\n"
		for line := range strings.SplitSeq(message, crlf) {
			if len(line) > maxLine || !text.IsASCII(line) || strings.ContainsFunc(line, unicode.IsControl) {
				t.Errorf("the line %q is too long or no text", line)
			}
		}
		parsed, err := mail.ReadMessage(strings.NewReader(message))
		if err != nil || len(parsed.Header) != 2 {
			t.Fatalf("%q: %v", message, err)
		}
		words := func(s string) string { return strings.Join(strings.Fields(s), " ") } // net/mail joins folded lines with one space
		_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Disposition"))
		if err != nil || len(params) != 1 || words(params["filename"]) != words(name) {
			t.Errorf("%q reads as %q (%v): %s", name, params, err, message)
		}
		_, params, err = mime.ParseMediaType(parsed.Header.Get("Content-Type"))
		decoder := mime.WordDecoder{}
		if got, _ := decoder.DecodeHeader(params["name"]); err != nil || len(params) > 1 || got != "" && words(got) != words(name) {
			t.Errorf("%q reads as %q (%v): %s", name, params, err, message)
		}
	})
}
