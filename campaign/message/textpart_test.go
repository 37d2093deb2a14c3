package message

import (
	"strings"
	"testing"
)

func TestDerivedText(t *testing.T) {
	for _, c := range []struct{ name, page, city, want string }{
		{"values are not escaped", "<p>{{ .city }}</p>", `"A" & <b>`, `"A" & <b>`},
		{"a heading", "<h1>In {{ .city }}</h1><p>x</p>", "Rome", "In Rome\n\nx"},
		{"a link", `<a href="https://example.com/?c={{ .city }}&amp;d=1">{{ .city }}</a>`, "Köln & Bonn", "Köln & Bonn ( https://example.com/?c=K%C3%B6ln%20%26%20Bonn&d=1 )"},
		{"a link that is a value", `<a href="{{ .city }}">x</a>`, "https://example.com/a", "x ( https://example.com/a )"},
		{"a link with its address as text", `<a href="{{ .city }}">{{ .city }}</a>`, "https://example.com/a", "https://example.com/a"},
		{"signs after bold", `<p>Hi <b>{{ .city }}</b>, <b>x</b>!</p>`, "Rome", "Hi *Rome*, *x*!"},
		{"a condition", `{{ if eq .city "Rome" }}<p>ciao</p>{{ else }}<p>hello</p>{{ end }}`, "Rome", "ciao"},
		{"a condition inside a tag", `<p {{ if eq .city "Rome" }}class="{{ .city }}"{{ end }}>x</p>`, "Rome", "x"},
		{"white space in a value", "<p>x{{ .city }}y</p>", " a \n\t b ", "x a b y"},
		{"script and style", "<style>{{ .city }}</style><script>{{ .city }}</script><p>x</p>", "Rome", "x"},
		{"a template in an attribute", `<p title="{{ template "p" . }}">x</p><p>{{ template "p" . }}</p>`, "Rome", "x\n\nin Rome"},
		{"a template that writes attributes", `<a {{ template "attr" . }}>x</a>`, "Rome", "x ( https://example.com/Rome )"},
		{"a table", "<table><tr><td>a</td><td>{{ .city }}</td></tr><tr><td>c</td></tr></table>", "Rome", "a Rome\nc"},
		{"an empty value", "<p>{{ .city }}</p><p>b</p>", " ", "b"},
		{"an empty link", `<p><a href="{{ .city }}">x</a></p>`, "", "x"},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mustCompile(t, map[string]string{"newsletter.html": c.page, "p.html": "in {{ .city }}", "attr.html": `href="https://example.com/{{ .city }}"`})
			composer := m.Composer()
			for range 2 { // the first message makes the skeleton, the second uses it
				if got := composed(t, composer, testRow("", c.city))[0]; got != c.want {
					t.Errorf("got  %q\nwant %q", got, c.want)
				}
			}
		})
	}
}

// What was made for one recipient is not used for another whose message has a different structure.
func TestDerivedTextOfTheNext(t *testing.T) {
	for _, c := range []struct{ name, page, firstCity, first, secondCity, second string }{
		{"blank value", "<p>a</p><p>{{ .city }}</p><p>b</p>", "Rome", "a\n\nRome\n\nb", "", "a\n\nb"},
		{"attributes from a template", `<a {{ template "attr" . }}>x</a>`, "Rome", "x", "Bonn", "x ( https://example.com )"},
	} {
		m := mustCompile(t, map[string]string{"newsletter.html": c.page, "attr.html": `{{ if eq .city "Rome" }}title="y"{{ else }}href="https://example.com"{{ end }}`})
		composer := m.Composer()
		if got := composed(t, composer, testRow("", c.firstCity))[0]; got != c.first {
			t.Errorf("%s: got %q, want %q", c.name, got, c.first)
		}
		if got := composed(t, composer, testRow("", c.secondCity))[0]; got != c.second {
			t.Errorf("%s, the second: got %q, want %q", c.name, got, c.second)
		}
	}
}

// Each way through the conditions has a skeleton of its own, and one is not used for another.
func TestDerivedTextFollowsConditions(t *testing.T) {
	m := mustCompile(t, map[string]string{"newsletter.html": `<p>{{ if .city }}from {{ .city }}{{ else }}from nowhere{{ end }}</p>{{ range split ";" .items }}<p>{{ . }}</p>{{ end }}`})
	c := m.Composer()
	for range 2 {
		for _, r := range []struct{ city, items, want string }{
			{"Rome", "", "from Rome"},
			{"", "", "from nowhere"},
			{"Köln", "a;b", "from Köln\n\na\n\nb"},
			{"Bonn", "c;d", "from Bonn\n\nc\n\nd"},
			{"", "<i>", "from nowhere\n\n<i>"},
		} {
			if got := composed(t, c, testRow("", r.city, r.items))[0]; got != r.want {
				t.Errorf("%v: got %q", r, got)
			}
		}
	}
	for i := range maxSkeletons + 10 {
		items := strings.Repeat("x;", i)
		want := "from Rome" + strings.Repeat("\n\nx", i)
		if got := composed(t, c, testRow("", "Rome", items))[0]; got != want {
			t.Fatalf("%d items: got %q", i, got)
		}
	}
	if n := len(c.converter.skeletons); n > maxSkeletons {
		t.Errorf("%d skeletons are kept", n)
	}
}

// The text for a recipient does not depend on those before.
func FuzzDerivedTextOfTheNext(f *testing.F) {
	m := mustCompile(f, map[string]string{
		"newsletter.html": `<style>{{ if eq .city "hide" }}.x{display:none}{{ end }}</style><div class="{{ .first_name }}">{{ .city }}<b>{{ .first_name }}</b>s</div>` +
			`<p> {{ .city }} <a href="{{ .items }}">{{ .first_name }}</a>, <a href=" https://example.com/{{ .city }} ">https://example.com/{{ .first_name }}</a>.</p>` +
			`<ol start="{{ .items }}"><li>{{ .city }}</li>{{ range split ";" .items }}<li><img alt="{{ . }}">{{ . }}</li>{{ end }}</ol>` +
			`<table><tr><td><p>{{ .first_name }}</p></td><td><p>{{ .city }}</p></td></tr></table><pre>{{ .items }}
 {{ .city }}</pre><p style="display:{{ .items }}">{{ .items }}</p>{{ if .city }}<p>{{ .city }}{{ .first_name }}</p>{{ end }}`,
	})
	for _, seed := range [][6]string{
		{"Ada", "Rome", "https://example.com/a", "Zoë", "Köln", "https://example.com/b"},
		{"https://example.com/a", "x", "https://example.com/a", "One", "x", "https://example.com/a"},
		{"One", "Rome", "https://example.com/a", "https://example.com/a", "Rome", "https://example.com/a"},
		{"Rome", "Rome", "a;b", "Rome ", " Rome", "a;b"},
		{"", "", "", "Ada", "Rome", "x"}, {"Ada", "Rome", "x", " ", "\t", " \n "},
		{" Ada ", "\u00a0Rome", "a\n  b", "Ada", "Rome", "a b"}, {"x", "hide", "none", "y", "Rome", "block"},
		{"Ada", "Rome", "\u00a0", "Ada", "Rome", "\u0085"}, {"Ada", "Rome", " \n\n ", "Ada", "Rome", " "}, {"Ada", "", "x", "Ada", " ", "x"},
		{"<b>", "&amp;", "3", "*", "&nbsp;", "7"}, {"mailto:a@example.com", "a@example.com", "tel:1", "\u200b", "\u00ad", "\u200c\u034f"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5])
	}
	used := m.Composer() // for all the pairs that come, so that many came before
	f.Fuzz(func(t *testing.T, name, city, items, nextName, nextCity, nextItems string) {
		reused, next := m.Composer(), testRow(nextName, nextCity, nextItems)
		for _, c := range []*Composer{reused, used} {
			if _, err := c.Compose(testRow(name, city, items)); err != nil {
				return // a value that no message may have
			}
		}
		fresh, err := m.Composer().Compose(next)
		if err != nil {
			if _, again := reused.Compose(next); again == nil {
				t.Fatal("refused when it is the first only:", err)
			}
			return
		}
		want := decodedParts(t, joined(fresh))[0]
		for _, c := range []*Composer{reused, reused, used} {
			if got := composed(t, c, next)[0]; got != want {
				t.Fatalf("after others:\n%q\nalone:\n%q", got, want)
			}
		}
	})
}
