package message

import "testing"

func TestConditionalComments(t *testing.T) {
	for _, c := range []struct{ name, page, html, text string }{
		{"hidden", "<p>a</p><!--[if mso]><table><tr><td>{{ .city }}<![endif]--><p>b</p>", "<p>a</p><!--[if mso]><table><tr><td>&lt;b&gt; --&gt;<![endif]--><p>b</p>", "a\n\nb"},
		{"shown", "<!--[if !mso]><!--><p>{{ .city }}</p><!--<![endif]-->", "<!--[if !mso]><!--><p>&lt;b&gt; --&gt;</p><!--<![endif]-->", "<b> -->"},
		{"with white space", "<!-- [if gte mso 9]>x<![endif] --><p>a</p>", "<!-- [if gte mso 9]>x<![endif] --><p>a</p>", "a"},
		{"in a branch", "{{ if .city }}<!--[if mso]>x<![endif]-->{{ else }}<!--[if ie]>y<![endif]-->{{ end }}<p>a</p>", "<!--[if mso]>x<![endif]--><p>a</p>", "a"},
		{"in a partial", `{{ template "head" . }}<p>a</p>`, "<!--[if mso]>x<![endif]--><p>a</p>", "a"},
		{"a remark goes", "<!-- {{ .city }} --><p>a</p>", "<p>a</p>", "a"},
	} {
		m := mustCompile(t, map[string]string{"newsletter.html": c.page, "head.html": "<!--[if mso]>x<![endif]-->"})
		composer := m.Composer()
		for range 2 {
			parts := composed(t, composer, testRow("", "<b> -->"))
			if parts[0] != c.text || parts[1] != c.html {
				t.Errorf("%s: got %q, want %q and %q", c.name, parts, c.text, c.html)
			}
		}
	}
	_, err := Compile(testSource(map[string]string{"newsletter.html": "{{ " + conditionalFunc + " .city }}"}))
	if err == nil {
		t.Error("a template may call the function that writes comments")
	}
}
