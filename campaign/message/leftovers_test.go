package message

import (
	"slices"
	"strings"
	"testing"
)

// warned compiles templates for a list with the columns email, First Name, city, link and items, and returns the warnings.
func warned(t *testing.T, files map[string]string) []string {
	t.Helper()
	src := testSource(files)
	src.Columns = []string{"email", "First Name", "city", "link", "items"}
	m, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range m.Warnings() {
		all = append(all, f.Error())
	}
	return all
}

func TestLeftovers(t *testing.T) {
	const first = "is no merge field here, and is sent as it stands (for the field write {{ .first_name }})"
	for tag, want := range map[string]string{
		"*|FNAME|*": first, "*|FIRST NAME|*": first, "%%First Name%%": first, "%%first_name%%": first, "%FIRSTNAME%": first, "%recipient.first_name%": first,
		"{% if first_name %}":        "(as in {{ if .city }} … {{ end }}",
		"*|IF:FNAME|*":               "(as in {{ if .city }} … {{ end }}",
		"*|UNSUB|*":                  `(columns: "email", "First Name" as .first_name, "city"`,
		"%%unsub_center_url%%":       `(columns: "email"`,
		"%%=v(@first_name)=%%":       `(columns: "email"`,
		"<%= recipient.firstName %>": first,
		"[FIRST NAME]":               first, "[First Name]": first, "[FNAME]": first, "[firstname,fallback=friend]": first, "[[first_name]]": first,
		"{first_name}": first, "{FirstName}": first, "{$first_name}": first, "<<First Name>>": first, "&lt;&lt;First Name&gt;&gt;": first,
		"«First Name»": first, "#first_name#": first, "#city#": "(for the field write {{ .city }})",
	} {
		for _, file := range []string{"newsletter.txt", "newsletter.html", "newsletter.md", "subject", "X-Tag"} {
			files := map[string]string{file: "é{{ .city }}\n" + tag + " " + tag}
			place := file + ":2:1: "
			if file == "subject" || file == "X-Tag" {
				files = map[string]string{"newsletter.txt": "x", file: "a " + tag}
				place = "campaign.yaml:1:1: "
			}
			got := warned(t, files)
			if len(got) != 1 || !strings.HasPrefix(got[0], place) || !strings.Contains(got[0], tag) || !strings.Contains(got[0], want) {
				t.Errorf("%s in %s: warnings %q, want one with %s", tag, file, got, want)
			}
		}
	}
	if got := warned(t, map[string]string{"newsletter.html": "{{ with .city }}[FNAME]{{ end }}"}); len(got) != 1 || !strings.Contains(got[0], "{{ $.first_name }}") {
		t.Errorf("inside a block: %q", got)
	}
}

// Text that only looks like a merge tag is no reason to warn.
func TestNoLeftovers(t *testing.T) {
	for file, texts := range map[string][]string{
		"newsletter.txt": {
			"[x] done, [1], [sic], [a city], city [of Rome]", "5 % city 10 %", "https://example.com/?a=%20city%20b", "#city, #items", "{ } {a b c}", "«Rome»", "1 << 2 >> 1",
			"* | city | *", "100%%", "{{ .city }}", `{{ "[city]" }}`, "if (a < b && b > c) { city; }", "**city**", "%city", "[https://example.com/city]",
		},
		"newsletter.html": {
			"<style>a[city]{color:#fff} .x{width:50%}@media{.a{city}}</style>", "<!--[if mso]>x<![endif]-->", "<script>var x = {city}; y[link]</script>", "<!-- [FNAME] -->",
			`<table width="100%" height="100%"><td bgcolor="#ffffff">`, `<p style="width:100%;height:50%">`,
		},
		"newsletter.md": {
			"[link](https://example.com)", "[link][1]\n\n[1]: https://example.com", "![city](https://example.com/a.png)", "see [link]\n\n[link]: https://example.com", "- [x] city", "a[^city]\n\n[^city]: b",
		},
	} {
		for _, text := range texts {
			if got := warned(t, map[string]string{file: text}); len(got) > 0 {
				t.Errorf("%s: warnings %q", text, got)
			}
		}
	}
}

// What a warning says is to be written can be written.
func TestWarningsWork(t *testing.T) {
	for _, column := range []string{"First Name", "नाम", "Größe (m²)", "2. Vorname", "FIRSTNAME", "Prénom"} {
		src := oneLine("%%"+column+"%% *|"+column+"|* ["+column+"] *|FNAME|*", column)
		m, err := Compile(src)
		if err != nil || len(m.Warnings()) == 0 {
			t.Fatalf("%s: error %v, no warnings", column, err)
		}
		for _, f := range m.Warnings() {
			actions := hinted(f.Hint)
			if len(actions) == 0 {
				t.Errorf("%s: nothing to write in %s", column, f.Error())
			}
			for _, action := range actions {
				if got := value(t, oneLine(action, column), "value"); got != "value" {
					t.Errorf("%s: %s writes %q", column, action, got)
				}
			}
		}
	}
}

// FuzzLeftovers: whatever stands in a template, each warning is at a place of it, where the tag begins.
func FuzzLeftovers(f *testing.F) {
	for _, s := range []string{"*|FNAME|* %%city%%", "a\n[First Name, x]", "<style>{city}</style>{city}", "{{ .city }}«city»{{", "%recipient.city%%city%", "<<city>>&lt;&lt;city&gt;&gt;", "{% if city %}[city](x)", "<%= city %>#city#\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, file := range []string{"newsletter.html", "newsletter.md"} {
			src := testSource(map[string]string{file: text})
			m, err := Compile(src)
			if err != nil {
				continue
			}
			lines := strings.Split(strings.NewReplacer("\ufeff", "", "\r\n", "\n", "\r", "\n").Replace(text), "\n")
			if strings.Contains(text, "\ufeff") {
				continue
			}
			for _, w := range m.Warnings() {
				if w.Line < 1 || w.Line > len(lines) || w.Column < 1 {
					t.Fatalf("%q: %v", text, w.Error())
				}
				rest := string([]rune(lines[w.Line-1])[w.Column-1:])
				if rest == "" || !slices.Contains([]string{"*", "%", "{", "<", "&", "[", "«", "#"}, string([]rune(rest)[:1])) {
					t.Errorf("%q: %v stands at %q", text, w.Error(), rest)
				}
			}
		}
	})
}
