package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailblast/campaign"
	"mailblast/campaign/text"
)

// A reading is what a mail reader finds in a message.
type reading struct {
	Mailboxes map[string][]mailbox
	Texts     map[string]string
	Files     []readFile
	Defects   []string
	Leave     []string // the URLs of List-Unsubscribe, by a reader that takes them apart
}

type mailbox struct{ Name, Address string }

// A readFile is an attachment. The readers do not tell all of it.
type readFile struct{ Name, TypeName, Type, Method, Content string }

// A letter is a message for the readers to read, and what they should find in it besides From and Subject.
type letter struct {
	from, replyTo string
	subject       string
	headers       map[string]string
	row           []string
	files         map[string]string

	mailboxes map[string][]mailbox
	texts     map[string]string
	readFiles []readFile
}

const longName = "Example News of the Royal Society for Gardens, Roses and Other Things that Grow (UK)"

// letters are messages with everything in which readers are known to differ.
var letters = []letter{
	{
		from: "Café <cafe@example.com>", subject: "Spring is here",
		headers: map[string]string{
			"Sender": "Café <cafe@example.com>", "List-Id": "Café <news.example.com>",
			"List-Unsubscribe": "<https://example.com/u?n={{ .first_name }}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		},
		row:       []string{"Zoë Müller"},
		mailboxes: map[string][]mailbox{"From": {{"Café", "cafe@example.com"}}, "Sender": {{"Café", "cafe@example.com"}}},
		texts: map[string]string{
			"Subject": "Spring is here", "List-Id": "Café <news.example.com>",
			"List-Unsubscribe": "<https://example.com/u?n=Zo%C3%AB%20M%C3%BCller>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		},
	},
	{
		from: `"` + longName + `" <news@example.com>`, replyTo: strings.Repeat("Ada ", 30) + "<ada@example.com>", subject: "{{ .city }}",
		headers: map[string]string{
			"Sender":                      `{{ .first_name }} <{{ .items }}@example.com>`,
			"Errors-To":                   `"Example, Inc." <a@example.com>, Zoë Müller <b@example.com>, c@example.com, {{ .first_name }} <d@example.com>`,
			"Disposition-Notification-To": `"{{ .first_name }} \"of\" Example" <a@example.com>`,
			"X-City":                      "{{ .city }}",
		},
		row: []string{`O'Brien, "Con" \ <eve@example.com>`, "Köln " + strings.Repeat("am schönen Rhein ", 10) + "=?utf-8?q?x?=", "ada+x"},
		mailboxes: map[string][]mailbox{
			"From": {{longName, "news@example.com"}}, "Reply-To": {{strings.TrimSpace(strings.Repeat("Ada ", 30)), "ada@example.com"}},
			"Sender":                      {{`O'Brien, "Con" \ <eve@example.com>`, "ada+x@example.com"}},
			"Errors-To":                   {{"Example, Inc.", "a@example.com"}, {"Zoë Müller", "b@example.com"}, {"", "c@example.com"}, {`O'Brien, "Con" \ <eve@example.com>`, "d@example.com"}},
			"Disposition-Notification-To": {{`O'Brien, "Con" \ <eve@example.com> "of" Example`, "a@example.com"}},
		},
		texts: map[string]string{
			"Subject": "Köln " + strings.Repeat("am schönen Rhein ", 10) + "=?utf-8?q?x?=",
			"X-City":  "Köln " + strings.Repeat("am schönen Rhein ", 10) + "=?utf-8?q?x?=",
		},
	},
	{
		from: "山田太郎 <news@example.com>", subject: strings.Repeat("A long subject in ASCII ", 10) + "{{ .city }}",
		headers: map[string]string{
			"Sender":           "=?iso-8859-1?q?J=F6rg?= <joerg@example.com>",
			"Errors-To":        strings.Repeat("Zoë und ", 30) + "Ada <a@example.com>, b@example.com",
			"List-Id":          `"News, of {{ .first_name }}" <news.grün.example>`,
			"List-Unsubscribe": "<mailto:leave+{{ .city }}@example.com?subject=leave%20{{ .city }}>, <{{ .items }}&x={{ .first_name }}>",
			"List-Help":        "<https://example.com/help> (see there)",
			"List-Post":        "NO",
			"References":       strings.Repeat("<0123456789abcdef@example.com> ", 5) + "<{{ .city }}@example.com>",
			"In-Reply-To":      "<{{ .city }}@example.com>",
			"Feedback-ID":      "spring:{{ .city }}:news:example",
		},
		row: []string{"A=b&c ü", "x+y", "https://example.com/ü?a=b"},
		mailboxes: map[string][]mailbox{
			"From": {{"山田太郎", "news@example.com"}}, "Sender": {{"Jörg", "joerg@example.com"}},
			"Errors-To": {{strings.Repeat("Zoë und ", 30) + "Ada", "a@example.com"}, {"", "b@example.com"}},
		},
		texts: map[string]string{
			"Subject":          strings.Repeat("A long subject in ASCII ", 10) + "x+y",
			"List-Id":          `News, of A=b&c ü <news.xn--grn-ioa.example>`,
			"List-Unsubscribe": "<mailto:leave+x+y@example.com?subject=leave%20x%2By>, <https://example.com/%C3%BC?a=b&x=A%3Db%26c%20%C3%BC>",
			"List-Help":        "<https://example.com/help> (see there)",
			"List-Post":        "NO",
			"References":       strings.Repeat("<0123456789abcdef@example.com> ", 5) + "<x+y@example.com>",
			"In-Reply-To":      "<x+y@example.com>",
			"Feedback-ID":      "spring:x+y:news:example",
		},
	},
	{
		from: "news@example.com", subject: "Attachments",
		files: map[string]string{
			"catalogue.pdf": "a", "見積書.pdf": "b", "請求書.pdf": "c", "Übersicht.pdf": "d", `plain "quoted".txt`: "e",
			"Preisliste (1), 100% für Zoë's; name=x.csv": "f", "utf-8''x%20y.pdf": "g", "😀.png": "h", "a;b,c.txt": "i",
			strings.Repeat("long name ", 20) + ".pdf": "j", strings.Repeat("春", 80) + ".pdf": "k", strings.Repeat("x", 250) + ".pdf": "l",
			"invite.ics":         "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n",
			"Termin für Zoë.ics": "BEGIN:VCALENDAR\r\nMETHOD:PUBLISH\r\nEND:VCALENDAR\r\n",
		},
		mailboxes: map[string][]mailbox{"From": {{"", "news@example.com"}}},
		texts:     map[string]string{"Subject": "Attachments"},
	},
}

// message composes the letter.
func (l *letter) message(t *testing.T) []byte {
	t.Helper()
	yaml := fmt.Sprintf("name: x\nfrom: %q\nsubject: %q\nrecipients: r.csv\ntext: newsletter.txt\nsmtp: {host: localhost}\n", l.from, l.subject)
	if l.replyTo != "" {
		yaml += fmt.Sprintf("reply_to: %q\n", l.replyTo)
	}
	f, err := campaign.Parse("campaign.yaml", []byte(yaml), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(l.headers)) {
		f.Headers = append(f.Headers, campaign.Header{Name: name, Value: l.headers[name]})
	}
	files := map[string]string{"newsletter.txt": "hello"}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		files[name] = l.files[name]
		f.Attachments = append(f.Attachments, name)
		file := readFile{Name: name, Content: l.files[name]}
		file.Type, _, _ = strings.Cut(mediaType(name, []byte(file.Content)), ";")
		file.Method = calendarMethod([]byte(file.Content))
		if !text.IsASCII(name) {
			file.TypeName = name
		}
		l.readFiles = append(l.readFiles, file)
	}
	m, err := Compile(Source{File: f, Columns: []string{"email", "First Name", "city", "items"}, Read: readFrom(files)})
	if err != nil {
		t.Fatal(err)
	}
	content, err := m.Composer().Compose(testRow(l.row...))
	if err != nil {
		t.Fatal(err)
	}
	checkLines(t, joined(content))
	return joined(content)
}

// Other people's readers find in our messages what the campaign says: names, addresses, URLs and file names.
func TestReaders(t *testing.T) {
	dir := t.TempDir()
	all := slices.Clone(letters)
	var paths []string
	for i := range all {
		path := filepath.Join(dir, fmt.Sprintf("%d.eml", i))
		if err := os.WriteFile(path, all[i].message(t), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	python := "python3"
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		python = "/usr/bin/python3" // the system's own, not one in front of it that takes longer to start
	}
	for _, r := range []struct {
		name  string
		knows int // how many fields of the letters it tells
		run   []string
	}{
		{"python", 26, []string{python, "testdata/readers/read.py"}},
		{"mailparser", 19, []string{"node", "testdata/readers/read.js", "mailparser"}},
		{"postal-mime", 26, []string{"node", "testdata/readers/read.js", "postal-mime"}},
		{"perl", 26, []string{"perl", "testdata/readers/read.pl"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			out, err := runReader(t, append(r.run, paths...))
			if exit := (*exec.ExitError)(nil); errors.Is(err, exec.ErrNotFound) || errors.As(err, &exit) && exit.ExitCode() == 77 {
				if os.Getenv("MAILBLAST_TEST_READERS") == "required" {
					t.Fatalf("%s is required and not there: %v", r.name, err)
				}
				t.Skipf("%s is not installed; .ci/run says how", r.name)
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []reading
			if err := json.Unmarshal(out, &got); err != nil || len(got) != len(all) {
				t.Fatalf("%d messages (%v): %s", len(got), err, out)
			}
			known := 0
			for i := range all {
				all[i].compare(t, fmt.Sprintf("message %d", i), got[i])
				known += len(got[i].Mailboxes) + len(got[i].Texts)
			}
			if known < r.knows {
				t.Errorf("it tells %d fields, want %d", known, r.knows)
			}
		})
	}
}

// runReader runs a command. Packages of npm are looked for in NODE_PATH, and where .ci/run puts them.
func runReader(t *testing.T, command []string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+strings.Join([]string{os.Getenv("NODE_PATH"), filepath.Join(os.TempDir(), "mailblast-readers", "node_modules")}, string(os.PathListSeparator)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", command[0], err, stderr.Bytes())
	}
	return out, err
}

// compare compares what a reader found with what it should.
func (l *letter) compare(t *testing.T, at string, got reading) {
	t.Helper()
	if len(got.Defects) > 0 {
		t.Errorf("%s: defects: %v", at, got.Defects)
	}
	for name, want := range l.mailboxes {
		if found, ok := got.Mailboxes[name]; ok && !slices.Equal(found, want) {
			t.Errorf("%s: %s:\ngot  %q\nwant %q", at, name, found, want)
		}
	}
	for name, want := range l.texts {
		found, ok := got.Texts[name]
		if name == "List-Id" { // a phrase may stand in quotes
			found = strings.ReplaceAll(found, `"`, "")
		}
		if ok && found != want {
			t.Errorf("%s: %s:\ngot  %q\nwant %q", at, name, found, want)
		}
	}
	for _, url := range got.Leave {
		if want := l.texts["List-Unsubscribe"]; !strings.Contains(want, "<"+url+">") {
			t.Errorf("%s: List-Unsubscribe has %q, want %q", at, url, want)
		}
	}
	if len(got.Files) != len(l.readFiles) {
		t.Fatalf("%s: %d files, want %d: %q", at, len(got.Files), len(l.readFiles), got.Files)
	}
	for i, want := range l.readFiles {
		found := got.Files[i]
		if found.TypeName == "" {
			want.TypeName = ""
		}
		if found.Method == "" {
			want.Method = ""
		}
		want.Content, found.Content = strings.ReplaceAll(want.Content, "\r", ""), strings.ReplaceAll(found.Content, "\r", "")
		if found != want {
			t.Errorf("%s: file %d:\ngot  %q\nwant %q", at, i, found, want)
		}
	}
}
