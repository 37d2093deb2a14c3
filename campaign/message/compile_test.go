package message

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"mailblast/campaign"
	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
)

// testSource is a campaign with the columns email, First Name, city and items. "subject" is the subject, "order_by" a column,
// X-… a header field, and anything else a file: newsletter.html, .md and .txt are the main templates, other .html, .md and
// .txt files are partials.
func testSource(files map[string]string) Source {
	f := &campaign.File{
		Name:    "test",
		From:    campaign.Mailbox{Name: "Example", Address: address.Address{Local: "news", Domain: "example.com"}},
		Subject: "Hello",
		Path:    "campaign.yaml",
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case name == "subject":
			f.Subject = files[name]
		case name == "order_by":
			f.OrderBy = campaign.Order{Field: files[name]}
		case name == "newsletter.html":
			f.HTML = name
		case name == "newsletter.md":
			f.Markdown = name
		case name == "newsletter.txt":
			f.Text = name
		case strings.HasPrefix(name, "X-"):
			f.Headers = append(f.Headers, campaign.Header{Name: name, Value: files[name]})
		case strings.HasSuffix(name, ".png"):
			f.Inline = append(f.Inline, name)
		case strings.HasSuffix(name, ".pdf"):
			f.Attachments = append(f.Attachments, name)
		default:
			f.Partials = append(f.Partials, name)
		}
	}
	return Source{File: f, Columns: []string{"email", "First Name", "city", "items"}, Read: readFrom(files)}
}

func testRow(values ...string) Recipient {
	return Recipient{
		Address:   address.Address{Local: "ada", Domain: "example.org"},
		Values:    append([]string{"Ada@Example.org"}, values...),
		MessageID: "1@example.com",
		Date:      testDate,
	}
}

func mustCompile(t testing.TB, files map[string]string) *Compiled {
	t.Helper()
	m, err := Compile(testSource(files))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// composed returns the decoded parts of the message for one row, CRLF as LF, without the last line end.
func composed(t *testing.T, c *Composer, r Recipient) []string {
	t.Helper()
	message, err := c.Compose(r)
	if err != nil {
		t.Fatal(err)
	}
	return decodedParts(t, joined(message))
}

func decodedParts(t *testing.T, message []byte) []string {
	t.Helper()
	checkLines(t, message)
	parsed := readMessage(t, message)
	var parts []string
	for _, l := range leaves(t, map[string][]string(parsed.Header), parsed.Body) {
		parts = append(parts, strings.TrimSuffix(strings.ReplaceAll(l.content, "\r\n", "\n"), "\n"))
	}
	return parts
}

func TestCompileFindings(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"field", "newsletter.txt", "a\nbä {{ .frist_name }}", `newsletter.txt:2:7: unknown field "frist_name" (did you mean "first_name"? columns: "email", "First Name" as .first_name, "city", "items")`},
		{"order by no column", "order_by", "-city", `campaign.yaml:1:1: order_by: there is no column "-city" (did you mean "city"? columns: "email", "First Name", "city", "items")`},
		{"order by nothing like it", "order_by", "score", `order_by: there is no column "score" (columns: "email", "First Name", "city", "items")`},
		{"field of another case", "newsletter.txt", "{{ .City }}", `newsletter.txt:1:4: unknown field "City" (did you mean "city"? columns: `},
		{"second field", "newsletter.txt", "{{ .nix }}{{ .nex }}", `newsletter.txt:1:14: unknown field "nex"`},
		{"field in index", "newsletter.txt", `{{ index . "Last Name" }}`, `newsletter.txt:1:12: unknown field "Last Name"`},
		{"field of $ in with", "newsletter.txt", `{{ with .city }}{{ $.town }}{{ end }}`, `newsletter.txt:1:21: unknown field "town"`},
		{"field of $ in range", "newsletter.txt", `{{ range $i, $x := split ";" .items }}{{ $.town }}{{ end }}`, `unknown field "town"`},
		{"field of a variable", "newsletter.txt", `{{ $row := . }}{{ $row.town }}`, `newsletter.txt:1:23: unknown field "town"`},
		{"field of the dot in with", "newsletter.txt", `{{ with .city }}{{ .first_name }}{{ end }}`, `a text has no field "first_name" (inside {{ with }} and {{ range }} the dot is the value at hand: write $.first_name)`},
		{"field of a loop variable", "newsletter.txt", `{{ range $x := split ";" .items }}{{ $x.price }}{{ end }}`, `a text has no field "price"`},
		{"field of a field", "newsletter.txt", `{{ .city.name }}`, `a text has no field "name"`},
		{"field of a chain", "newsletter.txt", `{{ (.).town }}`, `unknown field "town"`},
		{"field after else", "newsletter.txt", `{{ with .city }}{{ . }}{{ else }}{{ .town }}{{ end }}`, `unknown field "town"`},
		{"field in a pipe", "newsletter.txt", `{{ if and .city (eq .town "x") }}{{ end }}`, `unknown field "town"`},
		{"field in the subject", "subject", `{{ .town }}`, `campaign.yaml:1:1: subject: unknown field "town"`},
		{"field in a header", "X-Town", `{{ .town }}`, `headers.X-Town: unknown field "town"`},
		{"field in HTML", "newsletter.html", "<p>\n<a href='{{ .link }}'>", `newsletter.html:2:13: unknown field "link"`},
		{"field in Markdown", "newsletter.md", "# A\n\n[b](https://example.com/{{ .link }})", `newsletter.md:3:28: unknown field "link"`},
		{"field in a partial nobody calls", "footer.html", "{{ .town }}", `footer.html:1:4: unknown field "town"`},
		{"field in a definition nobody calls", "newsletter.txt", `{{ define "x" }}{{ .town }}{{ end }}`, `unknown field "town"`},
		{"call without data", "newsletter.txt", `{{ define "x" }}{{ .city }}{{ end }}{{ template "x" }}`, `field "city" in a template that is called without the fields (call it as {{ template "x" . }})`},
		{"call with a text", "newsletter.txt", `{{ define "x" }}{{ .city }}{{ end }}{{ template "x" .city }}`, `a text has no field "city"`},
		{"template", "newsletter.txt", `{{ template "foter" . }}`, `there is no template "foter" (list its file under partials:)`},
		{"misspelt template", "newsletter.txt", `{{ define "footer" }}{{ end }}{{ template "foter" . }}`, `newsletter.txt:1:43: there is no template "foter" (did you mean "footer"?)`},
		{"recursion", "newsletter.txt", `{{ define "x" }}{{ template "y" . }}{{ end }}{{ define "y" }}{{ template "x" . }}{{ end }}{{ template "x" . }}`, `template "x" calls itself`},
		{"recursion in HTML", "footer.html", `{{ template "footer" . }}`, `footer.html:1:13: template "footer" calls itself`},
		{"function", "newsletter.txt", `{{ .city | uper }}`, `newsletter.txt:1:12: unknown function "uper" (did you mean "upper"?)`},
		{"raw HTML", "newsletter.html", `{{ .city | safeHTML }}`, `unknown function "safeHTML"`},
		{"builtin that is taken away", "newsletter.txt", `{{ js .city }}`, `unknown function "js"`},
		{"call", "newsletter.txt", `{{ call .city }}`, `unknown function "call"`},
		{"date layout", "newsletter.txt", `{{ .city | date "DD.MM.YYYY" }}`, `newsletter.txt:1:17: "DD.MM.YYYY" is not a layout`},
		{"syntax", "newsletter.txt", "a\n{{ if }}", `newsletter.txt:2:1: missing value for if`},
		{"unclosed action", "newsletter.html", "a\n{{ .city", `newsletter.html:2:1: unclosed action`},
		{"missing end", "newsletter.html", "{{ if .city }}", `unexpected EOF`},
		{"syntax in the subject", "subject", "{{ .", `campaign.yaml:1:1: subject: `},
		{"HTML context", "newsletter.html", `<a href="{{ if .city }}x" {{ end }}>`, `newsletter.html:1:16: {{ if }} has ways that end in different places of the HTML: in a tag and in the value of an attribute`},
		{"extension", "footer.docx", "x", `footer.docx: a partial cannot have the extension ".docx"`},
		{"same name", "footer.md", "x", ""}, // alone it is fine
		{"inline nobody refers to", "logo.png", "x", `inline: nothing in the HTML refers to "logo.png"`},
		{"unknown cid", "newsletter.html", "<p>\n<img src=\"cid:lgo.png\">", `newsletter.html:2:11: cid:lgo.png refers to no inline file`},
		{"unknown cid in Markdown", "newsletter.md", "x\n\n![logo](cid:lgo.png)", `newsletter.md:3:9: cid:lgo.png refers to no inline file`},
		{"cid from a field", "newsletter.html", `<img src="cid:{{ .city }}">`, `cid: refers to no inline file (list the file under inline:, and write its name out in the template)`},
		{"inline name", "my logo.png", "x", `inline: "my logo.png" cannot stand in a cid: address`},
		{"Latin-1", "newsletter.txt", "a\nb\xe4", `newsletter.txt:2:2: is not UTF-8 (save it as UTF-8)`},
		{"size", "newsletter.txt", strings.Repeat("x", maxTemplate+1), `newsletter.txt: is larger than 2097152 octets`},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{c.file: c.text}
			if !strings.HasPrefix(c.file, "newsletter") {
				files["newsletter.html"] = "<p>x</p>"
			}
			_, err := Compile(testSource(files))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestCompileTakes(t *testing.T) {
	for _, text := range []string{
		`{{ .email }} {{ .first_name }} {{ index . "First Name" }} {{ index $ "city" }}`,
		`{{ with .city }}{{ . }}{{ $.first_name }}{{ end }}`,
		`{{ range $i, $x := split ";" .items }}{{ $i }}{{ $x }}{{ $.city }}{{ . }}{{ else }}{{ .city }}{{ end }}`,
		`{{ $x := .city }}{{ if eq $x "Rome" }}{{ $x = "x" }}{{ end }}{{ $x }}{{ with $y := . }}{{ $y.city }}{{ .city }}{{ end }}`,
		`{{ define "x" }}{{ . }}{{ end }}{{ template "x" .city }}{{ template "x" "y" }}`,
		`{{ define "x" }}{{ .city }}{{ end }}{{ template "x" . }}{{ with .city }}{{ template "x" $ }}{{ end }}`,
		`{{ define "x" }}-{{ end }}{{ template "x" . }}{{ template "x" }}`,
		`{{ range $k, $v := . }}{{ $k }}{{ $v }}{{ end }}`,
		`{{ range 3 }}{{ if . }}{{ break }}{{ end }}{{ end }}{{ block "b" . }}{{ .city }}{{ end }}{{/* .x */}}`,
		"\ufeffa\r\nb\rc",
	} {
		if _, err := Compile(testSource(map[string]string{"newsletter.txt": text})); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCompileReportsAllAtOnce(t *testing.T) {
	src := testSource(map[string]string{"newsletter.html": "{{ .a1 }}{{ nofunc }}", "newsletter.txt": "{{ .b2 }}", "subject": "{{ .c3 }}", "footer.txt": "{{ .d4 }}"})
	src.File.Attachments = []string{"missing.pdf"}
	src.File.Inline = []string{"missing.png"}
	_, err := Compile(src)
	var findings finding.Findings
	if !errors.As(err, &findings) || len(findings) != 8 {
		t.Fatalf("%d findings, want 8:\n%v", len(findings), err)
	}
}

func TestCompileSameName(t *testing.T) {
	_, err := Compile(testSource(map[string]string{"newsletter.html": "x", "footer.html": "a", "footer.md": "b"}))
	if want := `there is already a template "footer", in footer.html`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	// The parts do not share their templates.
	mustCompile(t, map[string]string{"newsletter.html": `{{ template "footer" . }}`, "newsletter.txt": `{{ template "footer" . }}`, "footer.html": "a", "footer.txt": "b"})
}

func TestCompileColumns(t *testing.T) {
	src := testSource(map[string]string{"newsletter.txt": "x"})
	src.Columns = []string{"name"}
	if _, err := Compile(src); err == nil || !strings.Contains(err.Error(), "there is no column email") {
		t.Errorf("got %v", err)
	}
}

// A recipient's text cannot become markup, wherever it stands.
func TestEscaping(t *testing.T) {
	page := `<p>{{ .city }}</p><p title="{{ .city }}">a</p><p title={{ .city }}>b</p><a href="https://example.com/?q={{ .city }}">c</a>` +
		`<script>var x = {{ .city }}; var y = "{{ .city }}";</script><style>p:after { content: "{{ .city }}" }</style>` +
		`{{ template "card" . }}<div title="{{ template "card" . }}">e</div>`
	m := mustCompile(t, map[string]string{"newsletter.html": page, "card.html": "{{ .city }}", "layout.html": "x"})
	c := m.Composer()
	for _, evil := range []string{`<script>alert(1)</script>`, `"><script>alert(1)</script>`, `';</script><script>alert(1)//`, `</style><script>`, "` onload=alert(1) x=", `</title><script>`} {
		html := composed(t, c, testRow("", evil))[1]
		if got := strings.Count(html, "<script"); got != 1 {
			t.Errorf("%q: %d script elements, want only that of the template:\n%s", evil, got, html)
		}
		if strings.Contains(html, "title=` onload") {
			t.Errorf("%q left its attribute:\n%s", evil, html)
		}
	}
	text := composed(t, c, testRow("x", "<b>&amp;"))[0]
	if !strings.Contains(text, "<b>&amp;") {
		t.Errorf("the text part is escaped: %q", text)
	}
}

// A value that cannot stand where its action does is an error of its row, with the place and the value, and is never
// replaced.
func TestRefusedValues(t *testing.T) {
	for _, c := range []struct{ name, page, value, want string }{
		{"address", `<p>x</p><a href="{{ .city }}">`, "javascript:alert(1)", `newsletter.html:1:21: {{ .city }}: "javascript:alert(1)" is a URL with the scheme "javascript"`},
		{"address, not linear", `{{ if .city }}<a href="{{ .city | trim }}">{{ end }}`, "vbscript:x", `newsletter.html:1:27: {{ .city | trim }}: "vbscript:x" is a URL with the scheme "vbscript"`},
		{"data", `<img src="{{ .city }}">`, "data:text/html,x", `is a data: URL`},
		{"style", `<p style="width: {{ .city }}">`, "1px;position:fixed", `holds ';', which cannot stand in a value of CSS`},
		{"partial", `{{ template "footer" . }}`, "javascript:x", `footer.html:1:13: {{ .city }}: "javascript:x" is a URL`},
	} {
		t.Run(c.name, func(t *testing.T) {
			composer := mustCompile(t, map[string]string{"newsletter.html": c.page, "footer.html": `<a href="{{ .city }}">`}).Composer()
			_, err := composer.Compose(testRow("Ada", c.value))
			var f finding.Finding
			if err == nil || !strings.HasPrefix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want) || !errors.As(err, &f) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if m, err := composer.Compose(testRow("Ada", "")); err != nil {
				t.Errorf("after it: %v, %v", m, err)
			}
		})
	}
}

func TestHeaderInjection(t *testing.T) {
	m := mustCompile(t, map[string]string{"newsletter.txt": "x", "subject": "Hi {{ .city }}", "X-City": "{{ .city }}"})
	c := m.Composer()
	plain, err := c.Compose(testRow("", "Rome"))
	if err != nil {
		t.Fatal(err)
	}
	want := countFields(joined(plain))
	for _, evil := range []string{"a\r\nBcc: eve@example.com", "a\nBcc: b", "a\rBcc: b", "\r\n\r\nbody", "a\x00b", "a\u2028Bcc: b", "a\u0085b", " \r\n ", "", strings.Repeat("word ", 300), strings.Repeat("x", 3000)} {
		content, err := c.Compose(testRow("", evil))
		if err != nil {
			t.Fatal(err)
		}
		message := joined(content)
		checkLines(t, message)
		if got := countFields(message); got != want {
			t.Errorf("%q makes %d header fields, want %d:\n%s", evil, got, want, message)
		}
	}
}

func TestComposeRefusesBadEnvelope(t *testing.T) {
	c := mustCompile(t, map[string]string{"newsletter.txt": "x"}).Composer()
	for name, change := range map[string]func(*Recipient){
		"no address":            func(r *Recipient) { r.Address = address.Address{} },
		"line end in address":   func(r *Recipient) { r.Address.Local = "a\r\nBcc: b" },
		"bracket in domain":     func(r *Recipient) { r.Address.Domain = "a>b" },
		"line end in the id":    func(r *Recipient) { r.MessageID = "a\nb" },
		"id of too many octets": func(r *Recipient) { r.MessageID = strings.Repeat("x", 1000) },
		"no id":                 func(r *Recipient) { r.MessageID = "" },
	} {
		r := testRow()
		change(&r)
		if _, err := c.Compose(r); err == nil || !strings.Contains(err.Error(), "is not part of an address or a message id") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestComposeErrors(t *testing.T) {
	// Forty templates, each calling the next one twice: 2^40 calls that print nothing.
	laughs := `{{ define "t40" }}{{ end }}{{ template "t0" }}`
	for i := range 40 {
		laughs += fmt.Sprintf(`{{ define "t%d" }}{{ template "t%d" }}{{ template "t%d" }}{{ end }}`, i, i+1, i+1)
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"date", "newsletter.html", "<p>\n{{ .city | date \"2006\" }}", `newsletter.html:2:12: executing "newsletter.html" at <date "2006">: error calling date: "Rome" is not a date`},
		{"partial", "footer.html", "\n{{ .city | date \"2006\" }}", `footer.html:2:12: executing "footer"`},
		{"subject", "subject", "{{ .city | date \"2006\" }}", `header Subject: subject:1:12: executing`},
		{"field known only at run time", "newsletter.txt", `{{ index (split ";" .city) 5 }}`, `newsletter.txt:1:4: executing`},
		{"width", "newsletter.txt", `{{ printf "%1000000000d" 1 }}`, `printf takes widths up to 999`},
		{"width from an argument", "newsletter.txt", `{{ printf "%*d" 1000000000 1 }}`, `printf takes widths up to 999`},
		{"precision", "newsletter.txt", `{{ printf "%.1000000000f" 1.0 }}`, `printf takes widths up to 999`},
		{"endless text", "newsletter.txt", `{{ range 1000000000 }}x{{ end }}`, `newsletter.txt:1:10: the loops and templates of this message take more than 10000 rounds (look for a {{ range }}`},
		{"long text", "newsletter.txt", `{{ $x := printf "%999d" 1 }}{{ range 7 }}{{ $x = print $x $x }}{{ end }}{{ range 900 }}{{ $x }}{{ end }}`, `newsletter.txt:1:82: the rendered message is larger than 10485760 octets (look for a {{ range }}`},
		{"endless nothing", "newsletter.txt", `{{ range 9999999999 }}{{ end }}`, `newsletter.txt:1:10: the loops`},
		{"endless empty text", "newsletter.txt", "a\n{{ range 9999999999 }}{{ \"\" }}{{ end }}", `newsletter.txt:2:10: the loops`},
		{"endless assignment", "newsletter.txt", `{{ $x := 1 }}{{ range 9999999999 }}{{ $x = . }}{{ end }}`, `newsletter.txt:1:23: the loops`},
		{"endless continue", "newsletter.txt", `{{ range 9999999999 }}{{ continue }}x{{ end }}`, `newsletter.txt:1:10: the loops`},
		{"endless HTML", "newsletter.html", `{{ range 9999999999 }}{{ end }}`, `newsletter.html:1:10: the loops`},
		{"endless attribute", "newsletter.html", `<p title="{{ range 9999999999 }}{{ end }}">`, `newsletter.html:1:20: the loops`},
		{"endless partial", "footer.html", `{{ range 9999999999 }}{{ end }}`, `footer.html:1:10: the loops`},
		{"endless partial in an attribute", "newsletter.html", `{{ define "x" }}{{ range 9999999999 }}{{ end }}{{ end }}{{ template "x" }}<p title="{{ template "x" }}">`, `newsletter.html:1:26: the loops`},
		{"endless partial only in an attribute", "newsletter.html", `{{ define "x" }}{{ range 9999999999 }}{{ end }}{{ end }}<p title="{{ template "x" }}">`, `newsletter.html:1:26: the loops and templates`},
		{"endless Markdown", "newsletter.md", "# a\n\n{{ range 9999999999 }}{{ end }}", `newsletter.md, as HTML:`},
		{"endless header", "subject", `{{ range 9999999999 }}{{ end }}`, `header Subject: campaign.yaml:1:1: subject: the loops`},
		{"long header", "subject", `{{ range 9000 }}xx{{ end }}`, `header Subject: campaign.yaml:1:1: subject: it is longer than 16384 octets`},
		{"loops in loops", "newsletter.txt", `{{ range 900 }}{{ range 900 }}{{ range 900 }}{{ end }}{{ end }}{{ end }}`, `the loops and templates`},
		{"loops over a text in loops", "newsletter.txt", `{{ $x := replace " " "a;" (printf "%900d" 1) }}{{ range split ";" $x }}{{ range split ";" $x }}{{ range split ";" $x }}{{ end }}{{ end }}{{ end }}`, `the loops and templates`},
		{"loop over the row", "newsletter.txt", `{{ range . }}{{ range $ }}{{ range $ }}{{ range $ }}{{ range $ }}{{ range $ }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}`, `the loops and templates`},
		{"templates that call each other", "newsletter.txt", laughs, `the loops and templates`},
		{"HTML templates that call each other", "newsletter.html", laughs, `the loops and templates`},
		{"slow rounds", "newsletter.txt", `{{ $x := replace " " "ab" (printf "%900d" 1) }}{{ range 6 }}{{ $x = print $x $x }}{{ end }}{{ range 99999 }}{{ $y := title $x }}{{ end }}`, `newsletter.txt:1:101: the loops and templates of this message take longer than 1s`},
		{"items", "newsletter.txt", `{{ $x := printf "%900d" 1 }}{{ range 4 }}{{ $x = print $x $x }}{{ end }}{{ split " " $x }}`, `error calling split: split makes more than 10000 items`},
		{"growing", "newsletter.txt", `{{ $x := replace " " "%" (printf "%900d" 1) }}{{ range 9999 }}{{ $x = urlquery $x }}{{ end }}`, `error calling urlquery: the result is longer than 131072 octets`},
		{"doubling", "newsletter.txt", `{{ $x := "xx" }}{{ range 99 }}{{ $x = print $x $x }}{{ end }}`, `the result is longer than 131072 octets`},
		{"replacing", "newsletter.txt", `{{ $x := "xx" }}{{ range 99 }}{{ $x = replace "x" "xxxx" $x }}{{ end }}`, `the result is longer than 131072 octets`},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{c.file: c.text}
			if !strings.HasPrefix(c.file, "newsletter") {
				files["newsletter.html"] = `{{ template "footer" . }}`
				files["footer.html"] = cmp.Or(files["footer.html"], "x")
			}
			_, err := mustCompile(t, files).Composer().Compose(testRow("Ada", "Rome"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// One composer serves many recipients; nothing of one is left for the next.
func TestComposerIsReused(t *testing.T) {
	m := mustCompile(t, map[string]string{"newsletter.txt": "{{ .first_name }} {{ .city }}{{ .email }}", "x.pdf": strings.Repeat("x", 2000)})
	a, b := m.Composer(), m.Composer()
	parts := composed(t, a, testRow("Ada", "Rome"))
	if want := "Ada Romeada@example.org"; parts[0] != want {
		t.Errorf("got %q, want %q", parts[0], want)
	}
	parts = composed(t, a, testRow()) // short row
	if want := " ada@example.org"; parts[0] != want {
		t.Errorf("got %q, want %q", parts[0], want)
	}
	first, _ := a.Compose(testRow("A"))
	second, _ := b.Compose(testRow("B"))
	if len(first.Content) != 2 || &first.Content[1][0] != &second.Content[1][0] {
		t.Error("the attachment is not shared between messages")
	}
}

// The boundary of the parts is known to whoever has received the message before.
func TestBoundaryInAValue(t *testing.T) {
	m := mustCompile(t, map[string]string{"newsletter.html": "<p>x</p>", "newsletter.txt": "{{ .city }}"})
	evil := "a\n--" + m.tree.boundary + "a--\nb"
	parts := composed(t, m.Composer(), testRow("", evil))
	if len(parts) != 2 || parts[0] != evil {
		t.Errorf("got %q", parts)
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	files := map[string]string{"newsletter.html": `<img src="cid:a.png">{{ template "x" . }}`, "x.html": "y", "a.png": "z", "b.pdf": "w"}
	var first []byte
	for i := range 5 {
		content, err := mustCompile(t, files).Composer().Compose(testRow("Ada", "Rome"))
		if err != nil {
			t.Fatal(err)
		}
		message := joined(content)
		if i == 0 {
			first = message
		} else if !bytes.Equal(message, first) {
			t.Fatalf("differs:\n%s\n%s", first, message)
		}
	}
}

// Workers share a compiled message, each with a composer of its own.
func TestComposersInParallel(t *testing.T) {
	m := mustCompile(t, map[string]string{"newsletter.html": "<p>{{ .first_name }} {{ title .city }} ü</p>", "subject": "Hi {{ .first_name }}", "x.pdf": "y"})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			composer := m.Composer()
			for i := range 100 {
				name := fmt.Sprintf("worker%d-%d", worker, i)
				content, err := composer.Compose(testRow(name, "Rome"))
				message := joined(content)
				if err != nil || bytes.Count(message, []byte(name)) != 3 {
					t.Errorf("%s (%v):\n%s", name, err, message)
				}
			}
		})
	}
	group.Wait()
}

func TestCompileMissingFiles(t *testing.T) {
	src := testSource(map[string]string{"newsletter.txt": "x"})
	src.File.Attachments = []string{"catalogue.pdf"}
	_, err := Compile(src)
	if want := "campaign.yaml:1:1: attachments[0]: open catalogue.pdf: file does not exist"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func BenchmarkCompose(b *testing.B) {
	paragraph := "<p>Spring has come, and with it a hundred new kinds of roses, tulips and daffodils for your garden; look at them.</p>\n"
	page := "<!DOCTYPE html>\n<html><body>\n<h1>Hello {{ .first_name }}</h1>\n" + strings.Repeat(paragraph, 43) +
		`<p>You live in {{ .city }}.</p>` + "\n" + strings.Repeat(paragraph, 43) +
		`<p><a href="https://example.com/unsubscribe?who={{ .email }}">Unsubscribe</a></p>` + "\n</body></html>\n"
	text := "Hello {{ .first_name }},\n\n" + strings.Repeat("Spring has come, and with it a hundred new kinds of roses.\n", 20) + "\nYou live in {{ .city }}.\n"
	umlauts := func(s string) string { return strings.ReplaceAll(s, "roses", "Röschen") }
	for _, c := range []struct{ name, page, text, city string }{
		{"ascii", page, text, "Rome"},
		{"umlauts", umlauts(page), umlauts(text), "Köln"},
		{"derived text", page, "", "Rome"},
		{"derived text, each converted", page + `<p {{ template "title" . }}></p>`, "", "Rome"},
	} {
		b.Run(fmt.Sprintf("%s/%dkB", c.name, len(c.page)/1000), func(b *testing.B) {
			files := map[string]string{"newsletter.html": c.page, "subject": "Spring is here, {{ .first_name }}", "title.html": `title="{{ .city }}"`}
			if c.text != "" {
				files["newsletter.txt"] = c.text
			}
			composer := mustCompile(b, files).Composer()
			r := testRow("Ada", c.city, "")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := composer.Compose(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
