package markup

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"text/template"
	"text/template/parse"

	"golang.org/x/net/html"
)

// page is a template that was escaped, with what was said about it.
type page struct {
	root  *template.Template
	wrong []string
}

func compile(t testing.TB, source string) page {
	t.Helper()
	trees := map[string]*parse.Tree{}
	tree := parse.New("page")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(source, "", "", trees); err != nil {
		t.Fatal(err)
	}
	for _, each := range trees {
		each.ParseName = "page"
	}
	var p page
	escapers := Escape(Set{
		Trees: trees,
		Report: func(_ string, at int, message, hint string) {
			p.wrong = append(p.wrong, fmt.Sprintf("%d: %s", at, message))
		},
		Reference: func(_ string, _ int, name string) string { return name + "@id" },
	}, "page")
	p.root = template.New("").Funcs(template.FuncMap{
		"urlquery": queryEscape,
		Func:       func(n int, v any) (string, error) { return escapers[n].Escape(fmt.Sprint(v)) },
	})
	for name, each := range trees {
		if _, err := p.root.AddParseTree(name, each); err != nil {
			t.Fatal(err)
		}
	}
	p.root = p.root.Lookup("page")
	return p
}

func (p page) execute(value string) (string, error) {
	var out bytes.Buffer
	err := p.root.Execute(&out, map[string]string{"x": value, "y": value})
	return out.String(), err
}

func TestEscape(t *testing.T) {
	for _, c := range []struct{ page, value, want string }{
		{`<p>{{ .x }}</p>`, `<b>&"'+`, `<p>&lt;b&gt;&amp;&#34;&#39;+</p>`},
		{`<p title="{{ .x }}">`, `"><script>`, `<p title="&#34;&gt;&lt;script&gt;">`},
		{`<p title={{ .x }}>`, `a b=c`, `<p title=a&#32;b&#61;c>`},
		{`<!-- {{ .x }} -->`, `--><b>`, `<!-- --&gt;&lt;b&gt; -->`},
		{`<!--[if mso]><v:x href="{{ .x }}"><![endif]-->`, `https://e.example/?a=b&c`, `<!--[if mso]><v:x href="https://e.example/?a=b&amp;c"><![endif]-->`},
		{`<title>{{ .x }}</title>`, `</title>`, `<title>&lt;/title&gt;</title>`},
		{`<h{{ .x }}>`, `2`, `<h2>`},
		{`<a href="{{ .x }}">`, ` https://e.example/x `, `<a href="https://e.example/x">`},
		{`<a href="{{ .x }}">`, `shop.example.com:8080/x`, `<a href="shop.example.com:8080/x">`},
		{`<a href="{{ .x }}">`, `localhost:8080`, `<a href="localhost:8080">`},
		{`<a href="{{ .x }}">`, `tel:+49301234`, `<a href="tel:+49301234">`},
		{`<a href="{{ .x }}">`, `TEL:49301234`, `<a href="TEL:49301234">`},
		{`<a href="{{ .x }}">`, `https://e.example/ö/%C3%B6?a=1&b=2#c`, `<a href="https://e.example/%C3%B6/%C3%B6?a=1&amp;b=2#c">`},
		{`<img src="{{ .x }}">`, `data:image/png;base64,iVBORw0KGgo=`, `<img src="data:image/png;base64,iVBORw0KGgo=">`},
		{`<a href="https://e.example/{{ .x }}">`, `a b/c?d`, `<a href="https://e.example/a%20b/c?d">`},
		{`<a href="mailto:{{ .x }}?subject={{ .y }}">`, `a+b@e.example`, `<a href="mailto:a+b@e.example?subject=a%2Bb%40e.example">`},
		{`<a href="{{ .x }}&amp;email={{ .y }}">`, `a+b`, `<a href="a+b&amp;email=a%2Bb">`},
		{`<a href="?q={{ .x | urlquery }}">`, `a b`, `<a href="?q=a%20b">`},
		{`<a href="/edit?{{ .x }}&amp;{{ .y }}">`, `_al=TOKEN&b=c d`, `<a href="/edit?_al=TOKEN&amp;b=c%20d&amp;_al=TOKEN&amp;b=c%20d">`},
		{`<a href="/edit?{{ .x }}=1&q={{ .y }}">`, `a&b`, `<a href="/edit?a%26b=1&q=a%26b">`},
		{`<a href="?q=/{{ .x }}:{{ .y }}">`, `a/b`, `<a href="?q=/a%2Fb:a%2Fb">`},
		{`<a href="{{ .x }}{{ .y }}">`, `x`, `<a href="xx">`},
		{`<img srcset="{{ .x }} 1x, b.png 2x">`, `a,b.png`, `<img srcset="a%2Cb.png 1x, b.png 2x">`},
		{`<p style="font-family: {{ .x }}">`, `'Segoe UI', Arial`, `<p style="font-family: &#39;Segoe UI&#39;, Arial">`},
		{`<p style="color: {{ .x }}">`, `rgb(1, 2, 3)`, `<p style="color: rgb(1, 2, 3)">`},
		{`<style>.a{width:{{ .x }}}</style>`, `calc(100% - 10px)`, `<style>.a{width:calc(100% - 10px)}</style>`},
		{`<style>.a{background:{{ .x }}}</style>`, `url(https://e.example/a.png)`, `<style>.a{background:url(https://e.example/a.png)}</style>`},
		{`<style>.a:after{content:"{{ .x }}"}</style>`, `"</style>`, `<style>.a:after{content:"\22 \3c \2f style\3e "}</style>`},
		{`<p style="background:url('{{ .x }}')">`, `https://e.example/a').png`, `<p style="background:url('https://e.example/a%27%29.png')">`},
		{`<p style="background:url(&quot;{{ .x }}&quot;)">`, `https://e.example/"`, `<p style="background:url(&quot;https://e.example/%22&quot;)">`},
		{`<script type="application/ld+json">{"a": "{{ .x }}", "b": {{ .x }}}</script>`, `"</script>`,
			`<script type="application/ld+json">{"a": "\u0022\u003c/script\u003e", "b": "\u0022\u003c/script\u003e"}</script>`},
		{`<td{{ if .x }} class="a"{{ end }} {{ if .y }}nowrap{{ end }}>`, `x`, `<td class="a" nowrap>`},
		{`<a href="{{ if .x }}https://e.example/?{{ else }}/{{ end }}{{ .x }}">`, `a&b`, `<a href="https://e.example/?a%26b">`},
		{`{{ define "t" }}{{ .x }}{{ end }}<a title="{{ template "t" . }}" href="?{{ template "t" . }}">{{ template "t" . }}</a>`, `"&`,
			`<a title="&#34;&amp;" href="?%22%26">&#34;&amp;</a>`},
		{`<img src="cid:a.png"><td style="background:url(&quot;CID:b.png&quot;)"><img srcset="cid:c 1x, cid:d 2x"><v:fill src='{{ if .x }}cid:e{{ end }}'>(cid:42) <a href="?q=cid:7">`, `x`,
			`<img src="cid:a.png@id"><td style="background:url(&quot;CID:b.png@id&quot;)"><img srcset="cid:c@id 1x, cid:d@id 2x"><v:fill src='cid:e@id'>(cid:42) <a href="?q=cid:7">`},
		{`<style>.a{background:url( cid:x.png )}</style><td background=cid:y.png>`, ``, `<style>.a{background:url( cid:x.png@id )}</style><td background=cid:y.png@id>`},
	} {
		p := compile(t, c.page)
		got, err := p.execute(c.value)
		if err != nil || len(p.wrong) > 0 || got != c.want {
			t.Errorf("%s with %q:\n got %s\nwant %s\n%v %v", c.page, c.value, got, c.want, err, p.wrong)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ page, value, want string }{
		{`<a href="{{ .x }}">`, `javascript:alert(1)`, `scheme "javascript"`},
		{`<a href="{{ .x }}">`, " java\tscript:alert(1)", `scheme "javascript"`},
		{`<a href="{{ .x }}">`, `javascript:80`, `scheme "javascript"`},
		{`<a href="{{ .x }}">`, `VBScript:x`, `scheme "vbscript"`},
		{`<a href="{{ .x }}">`, `data:text/html,x`, `data: URL`},
		{`<a href="{{ .x }}">`, `ftp://e.example`, `scheme "ftp"`},
		{`<a href="{{ .x }}:{{ .y }}">`, `JavaScript`, `scheme "javascript"`},
		{`<a href="java{{ .x }}">`, `script:alert(1)`, `scheme that the template began`},
		{`<a href="{{ .x }}">`, `x:y`, `scheme "x"`},
		{`<p style="color:{{ .x }}">`, `expression(alert(1))`, `expression()`},
		{`<p style="color:{{ .x }}">`, `red;background:url(x)`, `';'`},
		{`<p style="color:{{ .x }}">`, `url(javascript:alert(1))`, `scheme "javascript"`},
		{`<p style="color:{{ .x }}">`, `url('javascript:alert(1)')`, `scheme "javascript"`},
		{`<style>{{ .x }}</style>`, `</style>`, `'<'`},
		{`<style>a{color:{{ .x }}}</style>`, `rgb(1`, `other half`},
		{`<h{{ .x }}>`, `1 onclick=x`, `tag's name`},
		{`<p {{ .x }}="y">`, `onclick`, `cannot come from a field`},
		{`<p {{ .x }}="y">`, `a b`, `name of an attribute`},
		{`<xmp>{{ .x }}</xmp>`, `</xmp>`, `cannot be escaped`},
	} {
		p := compile(t, c.page)
		_, err := p.execute(c.value)
		if len(p.wrong) > 0 || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v %v, want %s", c.page, c.value, err, p.wrong, c.want)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{`<!--[if mso]><p>`, `16: a conditional comment has no end: <!--[if …]>`},
		{`<!--[if !mso]><!--><p>`, `has no end: <!--[if …]><!-->`},
		{`<p><![endif]-->`, `3: the end of a conditional comment without its beginning`},
		{`<!--[if mso]><!-- note --><p><![endif]-->`, `29: the end of a conditional comment without`},
		{`<!--[if mso]><!--[if gte mso 9]>x<![endif]-->`, `13: a conditional comment begins inside another one`},
		{`<!--[if {{ .x }}]>a<![endif]-->`, `condition of a comment`},
		{`{{ if .x }}<!--[if mso]>{{ end }}<p>`, `ways that end in different places`},
		{`<p {{ if .x }}title="a{{ end }}>`, `ways that end in different places`},
		{`{{ range .x }}<p title="{{ end }}`, `ways that end in different places`},
		{`<a href="javascript:f({{ .x }})">`, `cannot be made safe`},
		{`<{{ .x }}>`, `right behind <`},
		{`<p on{{ .x }}="y">`, `part of the name of an attribute`},
		{`<p {{ .x }}rc="y">`, `part of the name of an attribute`},
		{`<script>/* {{ .x }} */</script>`, `comment of a script`},
		{`<style>/* {{ .x }} */</style>`, `comment of a style sheet`},
		{`<p title="{{ .x }}`, `inside a tag`},
	} {
		p := compile(t, c.page)
		if len(p.wrong) != 1 || !strings.Contains(p.wrong[0], c.want) {
			t.Errorf("%s: %q, want %s", c.page, p.wrong, c.want)
		}
	}
}

// TestUntouched has what html/template rewrites.
func TestUntouched(t *testing.T) {
	for _, source := range []string{
		`<!--[if mso]>a<![endif]--><!--[if !mso]><!-->b<!--<![endif]--><!--[if !mso]><!-- -->c<!--<![endif]--><!--[if !mso]><!---->d<!--<![endif]-->`,
		`<!--[if mso]>A<!--[endif]--><p>3</p>`,
		`<!--[if (gte mso 9)|(IE)]><table width="600"><tr><td><![endif]--><!--[if gte mso 9]><xml><o:OfficeDocumentSettings><o:AllowPNG/></o:OfficeDocumentSettings></xml><![endif]-->`,
		`<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html><p><![if !supportLists]>1. <![endif]>Item<?xml:namespace prefix = o ns = "urn:x" /><o:p></o:p></p>`,
		"<style>// .a{}\n.b{color:red}/* x */ .c:after{content:'\\'}'}\n@media (max-width:600px){.d{width:100%!important}}</style>",
		`<script type="application/ld+json">{"@context": "http://schema.org", "a": "<!-- // --> </p>"}</script>`,
		`<html ⚡4email data-css-strict><style amp4email-boilerplate>body{visibility:hidden}</style><td border="0"0" =x nowrap/>a < b <3 & c</td>`,
		`<!-- a comment --><!----><!-->b<!--->c<!-- x --!>d`,
		`<img src='a' alt="<b>-->"><a href="javascript:x">y</a><textarea></p></textarea><title><b></title>`,
	} {
		p := compile(t, source)
		got, err := p.execute("")
		if err != nil || len(p.wrong) > 0 || got != source {
			t.Errorf("%s\n%s\n%v %v", source, got, err, p.wrong)
		}
	}
}

// shape is the structure of a page without its texts and values, as a parser of others' reads it.
func shape(source string) string {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.String()
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			fmt.Fprintf(&out, "%v %s", kind, token.Data)
			for _, a := range token.Attr {
				fmt.Fprintf(&out, " %s", a.Key)
			}
			out.WriteString("\n")
		case html.CommentToken, html.DoctypeToken:
			fmt.Fprintf(&out, "%v\n", kind)
		}
	}
}

// FuzzEscape: no value changes the structure of a page, and text arrives as it is.
func FuzzEscape(f *testing.F) {
	pages := []string{
		`<p>{{ .x }}</p><b>`, `<p title="{{ .x }}" id=a>`, `<p title='{{ .x }}' id=a>`, `<p title={{ .x }} id=a>`, `<a href="{{ .x }}" id=a>`, `<a href="/p?{{ .x }}#{{ .y }}" id=a>`,
		`<p style="color:{{ .x }}" id=a>`, `<style>p{color:{{ .x }};background:url({{ .y }})}</style><b>`, `<script>f('{{ .x }}', {{ .y }})</script><b>`,
		`<!-- {{ .x }} --><b>`, `<!--[if mso]><p title="{{ .x }}">{{ .y }}</p><![endif]--><b>`, `<title>{{ .x }}</title><b>`, `<textarea>{{ .x }}</textarea><b>`,
		`<img srcset="{{ .x }} 1x, {{ .y }} 2x" id=a>`, `<h{{ .x }} id=a>`, `<p data-{{ .x }}="{{ .y }}" id=a>`, `<iframe srcdoc="{{ .x }}" id=a></iframe>`, `<?x {{ .x }}?><b>`,
	}
	for _, value := range []string{"x", `"`, `'`, `</p>`, `-->`, `</style>`, `</script>`, `javascript:alert(1)`, `url(javascript:x)`, "a\tb", "`", `\`, `&lt;`, `]]>`, `--!>`} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, source := range pages {
			p := compile(t, source)
			got, err := p.execute(value)
			if err != nil {
				continue
			}
			plain, _ := p.execute("1")
			if name := strings.Contains(source, "<h{{") || strings.Contains(source, "data-{{"); !name && shape(got) != shape(plain) {
				t.Errorf("%s with %q: %s", source, value, got)
			}
			for _, bad := range []string{"javascript:", "vbscript:", "expression("} {
				if strings.Contains(source, "href=\"{{") && strings.HasPrefix(strings.ToLower(html.UnescapeString(got)), `<a href="`+bad) {
					t.Errorf("%s with %q: %s", source, value, got)
				}
			}
		}
	})
}
