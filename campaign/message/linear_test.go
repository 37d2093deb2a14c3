package message

import (
	"slices"
	"strings"
	"testing"
)

// Linear templates print what text/template and html/template print of the same trees.
func FuzzLinear(f *testing.F) {
	for _, page := range []string{
		`<p title="{{ .city }}" id='{{ .items }}'>Hello {{ .first_name }} & {{ .city | default "you" | upper }}</p>`,
		`<title>{{ .first_name }}</title><a href="https://example.com/?c={{ .city }}&amp;e={{ .email }}">{{ template "foot" . }}</a>`,
		`<script>x = {{ .items }}</script><p style="color:{{ .city }}" onclick="f({{ .city }})"><a href="{{ .items }}">`,
		`{{ if .city }}{{ .city }}{{ end }}{{ define "x" }}{{ .city | trim }}{{ end }}{{ template "x" . }}<p class={{ .city }}>`,
		`{{ range split ";" .items }}{{ . }}{{ end }}{{ printf "%s" .city }}{{ default "x" .city }}{{ $ }}{{ "text" }}`,
	} {
		for _, value := range []string{"Ada", "", " ", "\"<a'&+>`=/", "\x00\xff\u2028", "javascript:alert(1)", "Köln\r\n."} {
			f.Add(page, value, "Rome", "a;b")
		}
	}
	f.Fuzz(func(t *testing.T, page, name, city, items string) {
		m, err := Compile(testSource(map[string]string{"newsletter.html": page, "newsletter.txt": page, "subject": page, "foot.html": "{{ .items }}", "foot.txt": "{{ .items }}"}))
		if err != nil {
			return
		}
		c := m.Composer()
		row := testRow(name, city, items)
		c.fill(row.Values, row.Address.String())
		compare := func(part string, steps linear, execute func(*body) error) {
			if steps == nil {
				return
			}
			var direct, standard body
			for _, b := range []*body{&direct, &standard} {
				b.known, b.rounds.marks = m.segments, m.marks
			}
			directErr, standardErr := steps.execute(&direct, c.data, &c.scratch), execute(&standard)
			if (directErr == nil) != (standardErr == nil) || string(direct.own) != string(standard.own) || !slices.Equal(direct.pieces, standard.pieces) {
				t.Errorf("%s: %q (%v), want %q (%v)", part, direct.all(), directErr, standard.all(), standardErr)
			}
		}
		compare("HTML", m.linearHTML, func(b *body) error { return m.html.Execute(b, c.data) })
		compare("text", m.linearText, func(b *body) error { return m.text.Execute(b, c.data) })
		if m.subject.template != nil {
			compare("subject", m.subject.linear, func(b *body) error { return m.subject.template.Execute(b, c.data) })
		}
	})
}

// Most of what people write is linear. Without this test nobody would notice that html/template renamed its escapers.
func TestLinear(t *testing.T) {
	page := `<p title="{{ .city }}">Hello {{ .first_name | default "you" }}</p><a href="https://example.com/?c={{ .city }}">{{ template "foot" . }}</a>`
	m := mustCompile(t, map[string]string{"newsletter.html": page, "newsletter.txt": "Hello {{ .first_name | upper }}", "subject": "News for {{ .first_name }}", "foot.html": "{{ .items }}"})
	if m.linearHTML == nil || m.linearText == nil || m.subject.linear == nil {
		t.Errorf("HTML %d, text %d, subject %d steps", len(m.linearHTML), len(m.linearText), len(m.subject.linear))
	}
	many := strings.Repeat(`{{ template "b" . }}`, 200)
	m = mustCompile(t, map[string]string{"newsletter.txt": `{{ define "b" }}` + strings.Repeat(`{{ template "c" . }}`, 200) + `{{ end }}{{ define "c" }}{{ .city }}{{ end }}` + many})
	if m.linearText != nil {
		t.Errorf("a template of %d steps was written down", len(m.linearText))
	}
}
