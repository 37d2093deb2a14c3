package message

import (
	"crypto/sha256"
	"strings"
	"testing"

	"mailblast/campaign"
)

func TestRenderMarkdown(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"text", "Hello **{{ .a }}**!", "<p>Hello <strong>{{ .a }}</strong>!</p>\n"},
		{"link", "[x](https://e.com/{{ .a }}?b={{ .b | urlquery }} \"{{ .c }}\")", `<p><a href="https://e.com/{{ .a }}?b={{ .b | urlquery }}" title="{{ .c }}">x</a></p>` + "\n"},
		{"bare link", "https://e.com/{{ .a }}", `<p><a href="https://e.com/{{ .a }}">https://e.com/{{ .a }}</a></p>` + "\n"},
		{"reference", "[x]\n\n[x]: https://e.com/{{ .a }}", `<p><a href="https://e.com/{{ .a }}">x</a></p>` + "\n"},
		{"code", "`{{ .a }}`\n\n```\n{{ .b }}\n{{ if .c }}\n{{ end }}\n```", "<p><code>{{ .a }}</code></p>\n<pre><code>{{ .b }}\n{{ if .c }}\n{{ end }}\n</code></pre>\n"},
		{"strings with braces", "{{ \"}} **x** {{\" }} {{ `}}` }} {{ '}' }}", "<p>{{ \"}} **x** {{\" }} {{ `}}` }} {{ '}' }}</p>\n"},
		{"escaped quote", `{{ "\"}}" }}`, `<p>{{ "\"}}" }}</p>` + "\n"},
		{"comment", "a {{/* }} \" */}} b", "<p>a {{/* }} \" */}} b</p>\n"},
		{"trim markers", "a\n\n{{- if .a -}}\n\nb\n\n{{- end }}", "<p>a</p>\n{{- if .a -}}\n<p>b</p>\n{{- end }}"},
		{"control lines", "{{ if .a }}\n- x\n{{ else }}\n- y\n{{ end }}\nz", "{{ if .a }}\n<ul>\n<li>x</li>\n</ul>\n{{ else }}\n<ul>\n<li>y</li>\n</ul>\n{{ end }}\n<p>z</p>\n"},
		{"control in a line", "a {{ if .a }}b{{ end }} c", "<p>a {{ if .a }}b{{ end }} c</p>\n"},
		{"a value alone", "{{ .a }}", "<p>{{ .a }}</p>\n"},
		{"a template alone", "{{ template \"x\" . }}", "{{ template \"x\" . }}"},
		{"a variable", "{{ $x := .a }}\n{{ $x = .b }}\n{{ $x }}", "{{ $x := .a }}\n{{ $x = .b }}\n<p>{{ $x }}</p>\n"},
		{"HTML", "<div>{{ .a }}</div>\n\n<!-- {{ .b }} -->", "<div>{{ .a }}</div>\n<!-- {{ .b }} -->"},
		{"table", "| a |\n| - |\n| {{ .a | upper }} |", "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>{{ .a | upper }}</td>\n</tr>\n</tbody>\n</table>\n"},
		{"a loop between rows", "| a | b |\n|---|:-:|\n{{ range .x }}\n| {{ . }} | 1 |\n{{ end }}\n{{ if .y }}\n\n| c | d |\n{{ else }}\n| e | f |\n{{ end }}\n| g | h |\n\nend",
			"<table>\n<thead>\n<tr>\n<th>a</th>\n<th style=\"text-align:center\">b</th>\n</tr>\n</thead>\n<tbody>\n{{ range .x }}\n<tr>\n<td>{{ . }}</td>\n<td style=\"text-align:center\">1</td>\n</tr>\n{{ end }}\n" +
				"{{ if .y }}\n<tr>\n<td>c</td>\n<td style=\"text-align:center\">d</td>\n</tr>\n{{ else }}\n<tr>\n<td>e</td>\n<td style=\"text-align:center\">f</td>\n</tr>\n{{ end }}\n" +
				"<tr>\n<td>g</td>\n<td style=\"text-align:center\">h</td>\n</tr>\n</tbody>\n</table>\n<p>end</p>\n"},
		{"a condition around a table", "{{ if .x }}\n| a |\n|---|\n| b |\n{{ end }}\n{{ template \"foot\" . }}\n", "{{ if .x }}\n<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>b</td>\n</tr>\n</tbody>\n</table>\n{{ end }}\n{{ template \"foot\" . }}\n"},
		{"a value as a link", "see <{{ .url }}>, `<{{ .url }}>` and <{{ .email }}>", "<p>see <a href=\"{{ .url }}\">{{ .url }}</a>, <code>&lt;{{ .url }}&gt;</code> and <a href=\"mailto:{{ .email }}\">{{ .email }}</a></p>\n"},
		{"a value as the target of a link", "[{{ .a }}]({{ .url }} \"{{ .b | upper }}\") ![{{ .a }}]({{ .img }})", "<p><a href=\"{{ .url }}\" title=\"{{ .b | upper }}\">{{ .a }}</a> <img src=\"{{ .img }}\" alt=\"{{ .a }}\"></p>\n"},
		{"the stand-in itself", "action0z actionx {{ .a }}", "<p>action0z actionx {{ .a }}</p>\n"},
	} {
		got, err := renderMarkdown(c.source)
		if err != nil || got != c.want {
			t.Errorf("%s (%v):\ngot  %q\nwant %q", c.name, err, got, c.want)
		}
	}
}

func TestMarkdownPages(t *testing.T) {
	row := testRow("Ada", "<Rome>")
	for _, c := range []struct {
		name, want string
		files      map[string]string
	}{
		{"built-in page", "<title>Roses &amp; more</title>", map[string]string{"newsletter.md": "x", "subject": "Roses & more"}},
		{"escaped", "<p>in &lt;Rome&gt;</p>", map[string]string{"newsletter.md": "in {{ .city }}"}},
		{"layout", "<main><p>x</p>\n</main>", map[string]string{"newsletter.md": "x", "layout.html": `<main>{{ template "content" . }}</main>`}},
		{"partial", "<p>x</p>\n<p><em>y</em> Ada</p>", map[string]string{"newsletter.md": "x\n\n{{ template \"footer\" . }}", "footer.md": "*y* {{ .first_name }}"}},
	} {
		if got := composed(t, mustCompile(t, c.files).Composer(), row)[1]; !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, got, c.want)
		}
	}
}

// Markdown that separates an action from its end is a finding.
func TestMarkdownTornApart(t *testing.T) {
	_, err := Compile(testSource(map[string]string{"newsletter.md": "{{ if .city }}x\n\n[unused]: https://example.com/{{ end }}"}))
	if want := "newsletter.md: its actions do not fit the HTML that it becomes: unexpected EOF"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// A layout that leaves the content out sends empty mails.
func TestLayoutWithoutContent(t *testing.T) {
	_, err := Compile(testSource(map[string]string{"newsletter.md": "x", "layout.html": "<main></main>"}))
	if want := `layout.html: does not say where the Markdown goes`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// No template makes the parser, the Markdown renderer or the checker panic or run on.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"Hello {{ .city }}", "{{ if .x }}\n- a\n{{ end }}", "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}", "{{/* }} */}}", "{{- \"}}\" -}}", "{{",
		"[a](b{{ .c }})", "{{ range $i, $x := split \",\" . }}{{ $x.y }}{{ break }}{{ else }}{{ end }}", "{{ $x := 1 }}{{ $x = .y }}", "{{ (index . \"x\").y }}",
		"{{ with $x := . }}{{ $x.a }}{{ end }}", "`{{ '}' }}`", "{{ block \"b\" . }}{{ .z }}{{ end }}", "<!--action0z-->{{ .a }}", "{{ nil }}", "{{ .a.b.c | printf \"%d\" | index }}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []format{formatText, formatHTML, formatMarkdown} {
			c := &compiler{
				file: &campaign.File{}, read: readFrom(map[string]string{"a.md": text}), hash: sha256.New(), sources: map[string]string{},
				fields: []string{"email", "city"}, columns: "email",
			}
			set := newTemplateSet()
			c.loadTemplate(set, "a", "a.md", format)
			c.check(set, "a")
			for _, f := range c.findings {
				if f.File != "a.md" || f.Message == "" {
					t.Errorf("a finding without a position: %+v", f)
				}
			}
		}
	})
}
