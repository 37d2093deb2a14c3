package plaintext

import "testing"

func TestTokens(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"hidden", `<div style="display:none;max-height:0">Save</div><div style="display: NONE !important">&#847;&zwnj;&nbsp;&#847;&zwnj;</div><div hidden>x</div><p>Hello</p>`, "Hello"},
		{"hidden by a class", `<style>.pre, p.x{display:none} @media (max-width:600px){.y{display:none}}</style><span class="a pre">no</span><p class=x>no</p><p class=y>yes</p>`, "yes"},
		{"padding", `<div>Save 20%&#847;&zwnj;&nbsp;&#847;&zwnj;&nbsp;</div><p>Hello&nbsp;you</p>`, "Save 20%\n\nHello you"},
		{"joiners", "می\u200cخواهم 👨\u200d👩\u200d👧 a\u00adb", "می\u200cخواهم 👨\u200d👩\u200d👧 ab"},
		{"inline", `<p>Price: <span>10</span><span>,00</span>&euro;, H<sub>2</sub>O, <em>Hel</em>lo ("<b>Ada</b>") [<a href="https://e.example/">link</a>]</p>`,
			`Price: 10,00€, H2O, Hello ("*Ada*") [link ( https://e.example/ )]`},
		{"pictures", "<a href=\"https://e.example/a\">\n <img src=a.png alt=\"Shop now\">\n</a><p><img src=l.png alt=Logo><img src=x.gif alt=''></p>", "Shop now ( https://e.example/a )\n\nLogo"},
		{"a link without text", `<p>see <a href="https://e.example/a"><img src=x></a> now</p>`, "see https://e.example/a now"},
		{"links once", `<a href="https://e.example/">e.example</a>, <a href="mailto:a@e.example">a@e.example</a>, <a href="#top">up</a>`, "e.example, a@e.example, up"},
		{"numbers", `<ol><li>one<ul><li>in<p>more</p></li></ul></li><li value=5>two</li><li>three</li></ol><ol start=3 reversed><li>c<li>b</ol>`, "1. one\n   * in\n     more\n5. two\n6. three\n\n3. c\n2. b"},
		{"as it is", "<pre>a\n  b\n\n    c</pre>d", "a\n  b\n\n    c\n\nd"},
		{"blocks", `<section>S1</section><section>S2</section><dl><dt>Term</dt><dd>Meaning</dd></dl><span style="display:block">x</span>y`, "S1\nS2\n\nTerm\n  Meaning\n\nx\ny"},
		{"a table", `<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>`, "a b\n1 2"},
		{"a layout of tables", `<table><tr><td><table><tr><td><h1>Hi</h1><p>x</p></td></tr></table></td></tr></table><p>y</p>`, "Hi\n\nx\n\ny"},
		{"lines", `a<br>b<br><br>c<p>d</p><br><p>e</p>`, "a\nb\n\nc\n\nd\n\ne"},
		{"a quotation", `<blockquote><p>a</p><p>b</p></blockquote>c`, "> a\n> b\n\nc"},
		{"bold", `<b>a</b> <b> b </b>c<strong></strong><b><p>d</p></b>`, "*a* *b* c\n\nd"},
		{"Outlook", `<!--[if mso]>no<![endif]--><!--[if !mso]><!-->yes<!--<![endif]--><noscript>too</noscript>`, "yestoo"},
		{"a rule", `a<hr>b`, "a\n\n---\n\nb"},
		{"bullets off", `<ul style="list-style:none"><li>a<li>b</ul>`, "a\nb"},
	} {
		tokens, err := Tokens(c.page)
		if got := String(tokens); err != nil || got != c.want {
			t.Errorf("%s (%v):\ngot  %q\nwant %q", c.name, err, got, c.want)
		}
	}
}

func TestDiffers(t *testing.T) {
	for _, c := range []struct {
		text, begin string
		want        bool
	}{
		{"Unsubscribe", "https://e.example/u?", true}, {"e.example/u?x=1", "https://e.example/u?x=", false}, {"e.example", "https://e.example/", false},
		{"e.example", "https://", false}, {"a@e.example", "mailto:", false}, {"a", "/b", true},
	} {
		if got := Differs(c.text, c.begin); got != c.want {
			t.Errorf("%q, %q: %v", c.text, c.begin, got)
		}
	}
}
