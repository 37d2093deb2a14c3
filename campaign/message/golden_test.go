package message

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	texttemplate "text/template"
	"time"

	"mailblast/campaign"
	"mailblast/campaign/list"
	"mailblast/campaign/text"
)

var update = flag.Bool("update", false, "write the golden messages anew")

var testDate = time.Date(2026, 3, 20, 9, 30, 0, 0, time.FixedZone("", 3600))

// A case is a campaign with its files in testdata/golden/NAME.txtar; the message for its first recipient is NAME.eml.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			src, row := openCampaign(t, readArchive(t, file))
			m, err := Compile(src)
			if err != nil {
				t.Fatal(err)
			}
			composer := m.Composer()
			content, err := composer.Compose(row)
			if err != nil {
				t.Fatal(err)
			}
			got := joined(content)
			golden := strings.TrimSuffix(file, ".txtar") + ".eml"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the message is not that in %s (look at it, then go test -run TestGolden -update):\n%s", golden, got)
			}
			checkMessage(t, got, src, row)
			again, err := composer.Compose(row)
			if err != nil || !bytes.Equal(joined(again), got) {
				t.Errorf("the second message differs from the first (%v):\n%s", err, joined(again))
			}
		})
	}
}

// readArchive reads the files of a txtar archive: each begins with a line "-- NAME --".
func readArchive(t *testing.T, file string) map[string]string {
	t.Helper()
	archive, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files, name := map[string]string{}, ""
	for line := range strings.Lines(string(archive)) {
		if n, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(n, " --\n") {
			name = strings.TrimSuffix(n, " --\n")
			continue
		}
		files[name] += line
	}
	return files
}

// openCampaign reads campaign.yaml and the first recipient of recipients.csv.
func openCampaign(t testing.TB, files map[string]string) (Source, Recipient) {
	t.Helper()
	f, err := campaign.Parse("campaign.yaml", []byte(files["campaign.yaml"]), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	recipients, err := list.ReadRecipients(strings.NewReader(files["recipients.csv"]), list.Options{Name: "recipients.csv"})
	if err != nil {
		t.Fatal(err)
	}
	row, err := recipients.Next()
	if err != nil || row.Err != nil {
		t.Fatal(err, row.Err)
	}
	src := Source{File: f, Columns: recipients.Columns(), Read: readFrom(files)}
	return src, Recipient{Address: row.Address, Values: row.Values, MessageID: "0123456789abcdef@example.com", Date: testDate}
}

func readFrom(files map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if content, ok := files[path]; ok {
			return []byte(content), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
}

// checkMessage reads a message with the standard library and compares what it says with the campaign.
func checkMessage(t *testing.T, message []byte, src Source, r Recipient) {
	t.Helper()
	checkLines(t, message)
	parsed := readMessage(t, message)
	f, data := src.File, rowData(t, src, r)
	decoder := mime.WordDecoder{}
	for name, want := range map[string]string{
		"Subject":      renderText(t, f.Subject, nil, data),
		"Message-Id":   "<" + r.MessageID + ">",
		"Mime-Version": "1.0",
		"To":           r.Address.String(),
		"Date":         "Fri, 20 Mar 2026 09:30:00 +0100",
	} {
		got, err := decoder.DecodeHeader(parsed.Header.Get(name))
		if err != nil || got != text.OneLine(want) {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	for _, h := range f.Headers {
		got, err := decoder.DecodeHeader(parsed.Header.Get(h.Name))
		// DecodeHeader keeps what is no encoded-word; ours is always one when it looks like one.
		if want := text.OneLine(renderText(t, h.Value, nil, data)); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", h.Name, got, err, want)
		}
	}
	for name, want := range map[string]campaign.Mailbox{"From": f.From, "Reply-To": f.ReplyTo} {
		if want == (campaign.Mailbox{}) {
			continue
		}
		got, err := mail.ParseAddress(parsed.Header.Get(name))
		if err != nil || got.Name != want.Name || got.Address != want.Address.String() {
			t.Errorf("%s is %v (%v), want %v", name, got, err, want)
		}
	}
	if got, want := countFields(message), fieldCount(f, parsed); got != want {
		t.Errorf("%d header fields, want %d", got, want)
	}

	parts := leaves(t, map[string][]string(parsed.Header), parsed.Body)
	next := 0
	take := func(mediaType string) string {
		t.Helper()
		if next == len(parts) {
			t.Fatalf("there is no part for %s", mediaType)
		}
		p := parts[next]
		next++
		if !strings.HasPrefix(p.mediaType, mediaType) {
			t.Errorf("part %d is %s, want %s", next, p.mediaType, mediaType)
		}
		return p.content
	}
	text := take("text/plain")
	if f.Text != "" {
		want := renderText(t, source(t, src, f.Text), partials(t, src, ".txt"), data)
		if !sameText(text, want) {
			t.Errorf("text is\n%q, want\n%q", text, want)
		}
	}
	if f.HTML != "" || f.Markdown != "" {
		html := take("text/html")
		if f.HTML != "" {
			for _, path := range f.Inline {
				html = mustReplaceCID(t, html, filepath.Base(path))
			}
			want := renderHTML(t, source(t, src, f.HTML), partials(t, src, ".html"), data)
			if !sameHTML(html, want) {
				t.Errorf("HTML is\n%q, want\n%q", html, want)
			}
		}
	}
	for _, path := range append(append([]string{}, f.Inline...), f.Attachments...) {
		if got, want := take(""), source(t, src, path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
		if name := parts[next-1].filename; name != filepath.Base(path) {
			t.Errorf("the file name is %q, want %q", name, filepath.Base(path))
		}
	}
	if next != len(parts) {
		t.Errorf("there are %d parts, want %d", len(parts), next)
	}
}

func readMessage(t *testing.T, message []byte) *mail.Message {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatalf("%v:\n%s", err, message)
	}
	return parsed
}

// checkLines checks what is true of every message: CRLF only, no line over 998 octets, no control characters, no octet over
// 127 below the header.
func checkLines(t *testing.T, message []byte) {
	t.Helper()
	if !bytes.HasSuffix(message, crlf) {
		t.Errorf("the message does not end with CRLF: %q", message[max(0, len(message)-20):])
	}
	body := false
	for i, line := range bytes.Split(message, crlf) {
		if len(line) > maxLine {
			t.Errorf("line %d has %d octets", i+1, len(line))
		}
		if len(line) == 0 {
			body = true
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c == 0x7f || body && c > 0x7f {
				t.Errorf("line %d has the octet %#x: %q", i+1, c, line)
				break
			}
		}
		if !body && i > 0 && len(bytes.TrimSpace(line)) == 0 {
			t.Errorf("line %d of the header is blank", i+1)
		}
	}
}

func countFields(message []byte) int {
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	n := 0
	for _, line := range bytes.Split(header, crlf) {
		if line[0] != ' ' && line[0] != '\t' {
			n++
		}
	}
	return n
}

// fieldCount returns how many header fields a message of the campaign has.
func fieldCount(f *campaign.File, parsed *mail.Message) int {
	n := len(f.Headers) + 7 // From, To, Subject, Date, Message-ID, MIME-Version, Content-Type
	if f.ReplyTo != (campaign.Mailbox{}) {
		n++
	}
	if !strings.HasPrefix(parsed.Header.Get("Content-Type"), "multipart/") {
		n++ // Content-Transfer-Encoding
	}
	return n
}

type leaf struct{ mediaType, filename, id, content string }

// leaves decodes the parts of a message that are not multipart.
func leaves(t *testing.T, header map[string][]string, body io.Reader) []leaf {
	t.Helper()
	get := mail.Header(header).Get
	mediaType, params, err := mime.ParseMediaType(get("Content-Type"))
	if err != nil {
		t.Fatalf("Content-Type %q: %v", get("Content-Type"), err)
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		var all []leaf
		for r := multipart.NewReader(body, params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, leaves(t, map[string][]string(p.Header), p)...)
		}
	}
	switch encoding := get("Content-Transfer-Encoding"); encoding {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "7bit":
	default:
		t.Errorf("encoding %q", encoding)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	l := leaf{mediaType: mediaType, id: get("Content-Id"), content: string(content)}
	if d := get("Content-Disposition"); d != "" {
		_, params, err := mime.ParseMediaType(d)
		if err != nil {
			t.Errorf("Content-Disposition %q: %v", d, err)
		}
		l.filename = params["filename"]
	}
	return []leaf{l}
}

// rowData returns what Compose should give to the templates.
func rowData(t *testing.T, src Source, r Recipient) map[string]string {
	t.Helper()
	fields, err := list.FieldNames(src.Columns)
	if err != nil {
		t.Fatal(err)
	}
	data := map[string]string{}
	for name, i := range fields {
		data[name] = string(appendClean(nil, r.Values[i]))
	}
	data["email"] = r.Address.String()
	return data
}

func source(t *testing.T, src Source, path string) string {
	t.Helper()
	content, err := src.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func partials(t *testing.T, src Source, ext string) map[string]string {
	all := map[string]string{}
	for _, path := range src.File.Partials {
		if filepath.Ext(path) == ext {
			all[strings.TrimSuffix(filepath.Base(path), ext)] = source(t, src, path)
		}
	}
	return all
}

func renderText(t *testing.T, text string, partials, data map[string]string) string {
	t.Helper()
	tmpl := texttemplate.New("").Funcs(functions())
	for name, partial := range partials {
		texttemplate.Must(tmpl.New(name).Parse(partial))
	}
	var b strings.Builder
	if err := texttemplate.Must(tmpl.New("main").Parse(text)).Execute(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sameHTML compares a decoded HTML part with what html/template, which others wrote, makes of the same template. Both may
// write the same octet of a URL or of a script in two ways.
func sameHTML(decoded, want string) bool {
	return sameText(oneSpelling(decoded), oneSpelling(want))
}

var spelledTwice = regexp.MustCompile(`%[0-9A-F]{2}|\\u000[9ad]|&#43;`)

func oneSpelling(s string) string {
	return spelledTwice.ReplaceAllStringFunc(s, func(octet string) string {
		switch octet {
		case `\u0009`:
			return `\t`
		case `\u000a`:
			return `\n`
		case `\u000d`:
			return `\r`
		case "&#43;":
			return "+"
		}
		return strings.ToLower(octet)
	})
}

func renderHTML(t *testing.T, text string, partials, data map[string]string) string {
	t.Helper()
	tmpl := htmltemplate.New("").Funcs(functions())
	for name, partial := range partials {
		htmltemplate.Must(tmpl.New(name).Parse(partial))
	}
	var b strings.Builder
	if err := htmltemplate.Must(tmpl.New("main").Parse(text)).Execute(&b, maps.Clone(data)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sameText compares a decoded part with the text it was made of. The last line end is that of the MIME structure.
func sameText(decoded, want string) bool {
	want = string(endLine(appendCRLF(nil, appendClean(nil, want))))
	return decoded == want || decoded+"\r\n" == want
}

// mustReplaceCID turns the reference to an inline file back into what stands in the template.
func mustReplaceCID(t *testing.T, html, name string) string {
	t.Helper()
	i := strings.Index(html, "cid:"+name+"@")
	if i < 0 {
		t.Fatalf("nothing refers to %s in %s", name, html)
	}
	end := i + strings.IndexAny(html[i:], `"'`)
	return strings.ReplaceAll(html, html[i:end], fmt.Sprintf("cid:%s", name))
}
