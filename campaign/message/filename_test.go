package message

import (
	"mime"
	"strings"
	"testing"
)

func TestAppendFilename(t *testing.T) {
	for _, name := range []string{"a.pdf", `with "quotes" and \.txt`, "Übersicht.pdf", "春の目録.pdf", strings.Repeat("long name ", 20) + ".pdf", strings.Repeat("ü", 120) + ".pdf", strings.Repeat("ü", 400) + ".pdf", strings.Repeat("x", 2000), "100%'*.txt", "=?utf-8?q?x?=.pdf"} {
		field := string(appendFilename([]byte("Content-Disposition: attachment"), name))
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
		if got := string(appendName([]byte("application/pdf"), c.name)); got != c.want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestMediaTypeOfCalendar(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.ics", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nDESCRIPTION:METHOD:X\r\n", "text/calendar; charset=utf-8; method=REQUEST"},
		{"a.ICS", "BEGIN:VCALENDAR\nMeth\n od;X-A=\"b\":publish \nEND:VCALENDAR\n", "text/calendar; charset=utf-8; method=PUBLISH"},
		{"a.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n METHOD:REQUEST\r\n", "text/calendar; charset=utf-8"},
		{"a.ics", "METHOD:RE QUEST; x=\"y\r\n", "text/calendar; charset=utf-8"},
		{"a.ics", "METHOD:\r\n", "text/calendar; charset=utf-8"},
		{"a.txt", "METHOD:REQUEST\r\n", "text/plain; charset=utf-8"},
	} {
		if got := mediaType(c.name, []byte(c.content)); got != c.want {
			t.Errorf("%s: %q is %s, want %s", c.name, c.content, got, c.want)
		}
	}
}

// Whatever a file is called: one parameter in each field, in lines of the right length, that reads as the name.
func FuzzFilename(f *testing.F) {
	for _, name := range []string{"a.pdf", "Übersicht.pdf", "見積書.pdf", `a"\.txt`, "=?utf-8?q?x?=", "a;b=c", "utf-8''x", strings.Repeat("春", 300), strings.Repeat(`"`, 500), "\r\nX: y", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, file string) {
		name := newAttachment(file, nil).name
		if len(name) > 8<<10 {
			return
		}
		message := "Content-Type: " + string(appendName([]byte("application/pdf"), name)) +
			"\r\nContent-Disposition: " + string(appendFilename([]byte("attachment"), name)) + "\r\n\r\n"
		checkLines(t, []byte(message))
		header := readMessage(t, []byte(message)).Header
		if len(header) != 2 {
			t.Fatalf("%d fields: %q", len(header), message)
		}
		_, params, err := mime.ParseMediaType(header.Get("Content-Disposition"))
		if err != nil || len(params) != 1 || !sameWords(params["filename"], name) {
			t.Errorf("%q reads as %q (%v): %s", name, params, err, message)
		}
		_, params, err = mime.ParseMediaType(header.Get("Content-Type"))
		decoder := mime.WordDecoder{}
		if got, _ := decoder.DecodeHeader(params["name"]); err != nil || len(params) > 1 || got != "" && !sameWords(got, name) {
			t.Errorf("%q reads as %q (%v): %s", name, params, err, message)
		}
	})
}
