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
		{"short cells with blocks", `<table><tr><th><p>Item</p></th><th><h3>Price</h3></th></tr><tr><td>Tea</td><td><div>$1</div></td></tr></table><p>x</p>`, "Item Price\nTea $1\n\nx"},
		{"bullets in cells", `<table><tr><td>&bull;</td><td><p>A point that is long enough to be on a line of its own</p><p>x</p></td></tr><tr><td style="display:none">x</td><td><p>2.</p></td><td>b<br>c</td></tr></table>`,
			"• A point that is long enough to be on a line of its own\n\nx\n\n2. b\nc"},
		{"nothing but joiners", `<p>a</p><p> <span>&zwnj;</span></p><p>b</p>`, "a\n\nb"},
		{"white space kept by a style", `<p>x</p><div style="white-space: pre-wrap">a
  b</div>`, "x\n\na\n  b"},
		{"buttons", `<button>A</button><button>B</button>`, "A B"},
		{"columns", `<table><tr><td><h3>One</h3><p>a</p></td><td><h3>Two</h3><p>b</p></td></tr></table>`, "One\n\na\n\nTwo\n\nb"},
		{"long columns", `<table><tr><td><p>A paragraph that is longer than what a cell of prices has</p></td><td><p>b</p></td></tr></table>`, "A paragraph that is longer than what a cell of prices has\n\nb"},
		{"hidden on all media", `<style media="all">@import url("https://e.example/css?f=A:wght@400;700"); .pre{display:none}</style><style media=print>p{}.q{display:none}</style><span class=pre>no</span><p class=q>yes</p>`, "yes"},
		{"hidden by opacity", `<div style="opacity:0.0">no</div><div style="opacity:0.5">yes</div><div style="max-height:0em;overflow:hidden">no</div>`, "yes"},
		{"pictures side by side", `<a href="https://e.example/a"><img src=a alt="A one"></a><a href="https://e.example/b"><img src=b alt=B></a>(<img src=c alt=C>)x<img src=d alt=D>y`,
			"A one ( https://e.example/a ) B ( https://e.example/b )(C)x D y"},
		{"boxes side by side", `<div style="display:inline-block">A</div><div style="display:inline-block">B</div><a style="display:inline-block">C</a><a style="display:inline-block">D</a><span style="display:inline-block">E</span>F`, "A B C D EF"},
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
