package message

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"mailblast/campaign/finding"
	"mailblast/campaign/list"
)

// oneLine is a text template for a list with these columns.
func oneLine(template string, columns ...string) Source {
	src := testSource(map[string]string{"newsletter.txt": template})
	src.Columns = append([]string{"email"}, columns...)
	return src
}

// value composes the message of a recipient whose only other value this is.
func value(t *testing.T, src Source, values ...string) string {
	t.Helper()
	m, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	r := testRow()
	r.Values = append(r.Values[:1], values...)
	return composed(t, m.Composer(), r)[0]
}

func TestFieldNames(t *testing.T) {
	for _, c := range []struct{ column, template string }{
		{"नाम", "{{ .नाम }}"},
		{"Größe (m²)", "{{ .größe_m² }}"},
		{"Größe (m²)", "{{ $.größe_m² | upper | lower }}"},
		{"Größe (m²)", `{{ with .email }}{{ $.größe_m² }}{{ end }}`},
		{"Größe (m²)", `{{ if eq .größe_m² "x" }}{{ default "y" .größe_m² }}{{ end }}`},
		{"Größe (m²)", `{{ define "a" }}{{ (.).größe_m² }}{{ end }}{{ template "a" . }}`},
		{"Größe (m²)", `{{ ".größe_m²" | replace ".größe_m²" .größe_m² }}`},
		{"2. Vorname", "{{ .2_vorname }}"},
		{"2026", `{{ index . "2026" }}`},
		{"½", "{{ .½ }}"},
		{"é\u0301x", "{{ .é\u0301x }}"},
		{"Prénom", "{{ ." + norm.NFD.String("prénom") + " }}"},
		{"Tiếng Việt", "{{ ." + norm.NFD.String("tiếng_việt") + " }}"},
		{"ชื่อ", "{{ .ชื่อ }}"},
		{"if", "{{ .if }}"},
		{"end", "{{ .end }}"},
		{"title", "{{ .title }}"},
	} {
		if got := value(t, oneLine(c.template, c.column), "x"); got != "x" {
			t.Errorf("%s: got %q", c.template, got)
		}
		src := testSource(map[string]string{"newsletter.md": "a *" + c.template + "*", "newsletter.txt": "-"})
		src.Columns = []string{"email", c.column}
		m, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		r := testRow()
		r.Values = append(r.Values[:1], "x")
		if got := composed(t, m.Composer(), r)[1]; !strings.Contains(got, "a <em>x</em>") {
			t.Errorf("%s in Markdown: got %q", c.template, got)
		}
	}
	// Two names whose stand-ins must not be mixed up, and a name that looks like a stand-in.
	src := oneLine("{{ .1_x }}{{ .2_x }}{{ .a² }}{{ .a³ }}{{ .Ax }}{{ .AAA }}", "1 x", "2 x", "a²", "a³", "Ax", "AAA")
	if got := value(t, src, "1", "2", "3", "4", "5", "6"); got != "123456" {
		t.Errorf("got %q", got)
	}
}

func TestSlips(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"{{first_name}}", `newsletter.txt:1:3: "first_name" is no field (fields begin with a dot: {{ .first_name }})`},
		{"a\nb {{ FirstName | upper }}", `newsletter.txt:2:6: "FirstName" is no field (fields begin with a dot: {{ .first_name }})`},
		{"{{ First Name }}", `newsletter.txt:1:4: "First Name" is no field (fields begin with a dot: {{ .first_name }})`},
		{"{{ first-name }}", `newsletter.txt:1:4: "first-name" is no field (fields begin with a dot: {{ .first_name }})`},
		{"{{ $first_name }}", `newsletter.txt:1:4: "$first_name" is no field (fields begin with a dot: {{ .first_name }})`},
		{"{{ contact.FIRSTNAME }}", `"contact.FIRSTNAME" is no field (fields begin with a dot: {{ .first_name }})`},
		{"{{ FNAME }}", `"FNAME" is no field (fields begin with a dot: {{ .first_name }})`},
		{`{{ if city }}x{{ end }}`, `newsletter.txt:1:7: "city" is no field (fields begin with a dot: {{ .city }})`},
		{`{{ if eq city "Rome" }}x{{ end }}`, `newsletter.txt:1:10: "city" is no field (fields begin with a dot: {{ .city }})`},
		{`{{ with .city }}{{ first_name }}{{ end }}`, `"first_name" is no field (write {{ $.first_name }})`},
		{`{{ with .city }}{{ first-name }}{{ end }}`, `"first-name" is no field (write {{ $.first_name }})`},
		{`{{ title }}`, `"title" is no field (fields begin with a dot: {{ .title }})`},
		{"{{ contact.nothing }}", `"contact.nothing" is no field (fields begin with a dot; columns: `},

		{"{{ .First Name }}", `newsletter.txt:1:4: ".First Name" is no field (write {{ .first_name }})`},
		{"{{ .FirstName }}", `newsletter.txt:1:4: unknown field "FirstName" (did you mean "first_name"? columns: `},
		{"{{ .First-Name | upper }}", `newsletter.txt:1:4: ".First-Name" is no field (write {{ .first_name }})`},
		{"{{ .Subscriber.FirstName }}", `newsletter.txt:1:4: ".Subscriber.FirstName" is no field (write {{ .first_name }})`},
		{"{{ .2. Straße }}", `".2. Straße" is no field (write {{ .2_straße }})`},
		{"{{ .2 Straße }}", `".2 Straße" is no field (write {{ .2_straße }})`},
		{"{{ .Size (m²) }}", `".Size (m²)" is no field (write {{ .size_m² }})`},
		{"{{ .Ada's Name | upper }}, it's", `newsletter.txt:1:4: ".Ada's Name" is no field (write {{ .ada_s_name }})`},
		{"{{ .2nd-Name }}{{ 2nd Name }}", `newsletter.txt:1:19: "2nd Name" is no field (fields begin with a dot: {{ .2nd_name }})`},
		{"{{ .size_m }}", `unknown field "size_m" (did you mean "size_m²"?`},
		{"{{ .202 }}{{ .year }}", `unknown field "year" (columns: "email", "First Name" as .first_name, "city", "title", "2. Straße" as .2_straße, "Size (m²)" as .size_m², "2026" as index . "2026", "???" as index . "???", `},
		{"{{ .zip-code }}", `newsletter.txt:1:4: unknown field "zip-code" (columns: `},
		{"{{ .size_x² }}", `unknown field "size_x²" (did you mean "size_m²"?`},
		{`{{ .city "x" }}`, `.city is no function, and takes nothing (a function comes first`},
		{`{{ .city or "x" }}`, `.city is no function, and takes nothing (a function comes first, and what it works on after it: or .city …)`},
		{`{{ .city | .upper }}`, `upper is a function, and begins without a dot (write | upper)`},
		{`{{ with .city }}{{ .FirstName }}{{ end }}`, `a text has no field "FirstName" (inside {{ with }} and {{ range }} the dot is the value at hand: write $.first_name)`},

		{"a\n{{ .city | default &quot;Rome&quot; }}", `newsletter.txt:2:20: &quot; stands inside an action (write ")`},
		{"{{&nbsp;.city }}", `newsletter.txt:1:3: &nbsp; stands inside an action (write an ordinary space)`},
		{"{{ if and .city&amp;.title }}{{ end }}", `newsletter.txt:1:16: &amp; stands inside an action (write the character itself)`},
		{"é {{ .city\u00a0}}", `newsletter.txt:1:11: a no-break space (U+00A0) stands inside an action (write an ordinary space)`},
		{"{{\u3000.city }}", `a space that is none for a template (U+3000) stands inside an action`},
		{"{{ .city\u200b }}", `'\u200b' (U+200B) stands inside an action (remove it)`},
		{"{{ .city | default “Rome” }}", `newsletter.txt:1:20: '“' (U+201C) stands inside an action (write the straight ")`},
		{"{{ .city | default ‘Rome’ }}", `newsletter.txt:1:20: '‘' (U+2018) stands inside an action (a text stands between straight "`},
		{"{{ .first<b>_name</b> }}", `newsletter.txt:1:10: "<b>" stands inside an action (put it before the {{ or behind the }})`},

		{"{{{first_name}}}", `newsletter.txt:1:3: '{' begins no action (write {{ .first_name }})`},
		{"{{#if city}}x{{/if}}", `newsletter.txt:1:3: '#' begins no action (as in {{ if .city }} … {{ end }}`},
		{"{{ /* x */ }}", `'/' begins no action (a comment has no space behind the braces: {{/* … */}})`},
		{`{{ if .city == "Rome" }}x{{ end }}`, `newsletter.txt:1:13: there is no operator == (a function stands in its place, as in eq .city "Rome")`},
		{`{{ if .city && .title }}x{{ end }}`, `there is no operator &&`},
		{`{{ if .city = "Rome" }}x{{ end }}`, `newsletter.txt:1:13: = compares nothing`},
		{`{{ .city | default: "Rome" }}`, `newsletter.txt:1:19: a colon stands inside an action`},
	} {
		_, err := Compile(oneLine(c.template, "First Name", "city", "title", "2. Straße", "Size (m²)", "2026", "???", "Ada's Name", "2nd Name"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.template, err, c.want)
		}
	}
	// One slip, one finding; and what else is wrong is found as well.
	for template, n := range map[string]int{
		"{{ First Name }}": 1, "{{ .First Name }}": 1, "{{ first-name }}": 1, "{{ .Subscriber.FirstName }}": 1, "{{ .city | default &quot;Rome&quot; }}": 1,
		"{{\u00a0.city\u00a0}}\n{{ .nothing }}": 2, "{{#if city}}x{{else}}y{{/if}}": 2, "{{ .city | default “Rome” }}{{ .first-name }}{{ .x }}": 3,
	} {
		_, err := Compile(oneLine(template, "First Name", "city"))
		var all finding.Findings
		if !errors.As(err, &all) || len(all) != n {
			t.Errorf("%s: want %d findings, got\n%v", template, n, err)
		}
	}
}

// What can be executed is no slip.
func TestNoSlips(t *testing.T) {
	for _, template := range []string{
		`{{ title .x }}{{ title (.x) }}{{ printf "%s" .x }}{{ (printf "%s" .x) | upper }}`, "{{- .x -}} {{- /* first-name */ -}}{{/* &quot; */}}", `{{ "a-b &quot; “x” <b> == {{#if}} \" " }}{{ .x }}`,
		"{{ `a-b\n&nbsp;` }}", `{{ 'a' }}{{ 1.5e-3 }}{{ -3 }}{{ .5 }}{{ 0x1p-2 }}`, `{{ $title_x := .x }}{{ $title_x }}{{ $title_x = "y" }}`, `{{ range $i, $x := split "-" .x }}{{ $i }}{{ $x }}{{ end }}`,
		`{{ if eq .x "a" "b" }}{{ else if ne .x "c" }}{{ end }}`, "{{\n.x\n|\nupper\n}}", `{{ index . "Title X" }}{{ slice .x 0 }}`, `{{ define "a-b" }}{{ end }}{{ template "a-b" . }}{{ block "c" . }}{{ end }}`,
		`{{ with $y := .x }}{{ $y }}{{ $.title_x }}{{ end }}`, "}} { {% .x",
	} {
		if _, err := Compile(oneLine(template, "x", "Title X")); err != nil {
			t.Errorf("%s: %v", template, err)
		}
	}
}

var (
	hintAction = regexp.MustCompile(`\{\{ (?:[$.]|index )[^{}]* \}\}`)
	hintName   = regexp.MustCompile(`did you mean "([^"]+)"`)
	hintColumn = regexp.MustCompile(` as (\.[^ ,)]+|index \. "(?:[^"\\]|\\.)*")`)
)

// hinted are the actions that a hint says can be written.
func hinted(hint string) []string {
	actions := hintAction.FindAllString(hint, -1)
	for _, m := range hintName.FindAllStringSubmatch(hint, -1) {
		actions = append(actions, "{{ ."+m[1]+" }}")
	}
	for _, m := range hintColumn.FindAllStringSubmatch(hint, -1) {
		actions = append(actions, "{{ "+m[1]+" }}")
	}
	return actions
}

// Whatever the columns are called, what a hint says about them can be executed.
func TestHintsWork(t *testing.T) {
	columns := []string{"First Name", "FirstName2", "नाम", "Größe (m²)", "E-Mail 2", "2. Vorname", "2026", "5e3", "???", "a\"b", "x\ny", "½", "Straße", "ชื่อ", "if", "\u0301", "a.b", "日付", "tab\there", "back`tick\\", "Kunde’s Name", "می\u200cخواهم"}
	for _, column := range columns {
		for _, name := range []string{"." + column, column, "." + list.SnakeCase(column) + "x", "." + strings.ToUpper(column), "$." + list.SnakeCase(column) + "_", ".nothing_like_it"} {
			for _, form := range []string{"{{ %s }}", "{{ with .email }}{{ %s }}{{ end }}", "{{ %s | upper }}"} {
				_, err := Compile(oneLine(fmt.Sprintf(form, name), column))
				var all finding.Findings
				if !errors.As(err, &all) {
					continue // it can be executed, or says so in words
				}
				for _, f := range all {
					for _, action := range hinted(f.Hint) {
						if strings.Contains(action, "…") || strings.Contains(action, ".city") {
							continue
						}
						if got := value(t, oneLine(action, column), "value"); got != "value" && got != "Ada@Example.org" {
							t.Errorf("%q, as the hint for %s says, writes %q", action, fmt.Sprintf(form, name), got)
						}
					}
				}
			}
		}
	}
}

// FuzzFieldNames: any column can be written in the way that the hint for it says.
func FuzzFieldNames(f *testing.F) {
	for _, s := range []string{"First Name", "नाम", "Größe (m²)", "2. Vorname", "2026", "5e3", "???", "a\"b", "½", "\u0301", "a\u0301", "٣x", "x٣", "_", "1_2", "E", "𐐀²", "𝟙"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, column, other string) {
		columns := []string{"email", column, other}
		if _, err := list.FieldNames(columns); err != nil || len(column) > 1000 || strings.ContainsAny(column, "\x00") {
			return
		}
		if _, err := Compile(Source{File: testSource(map[string]string{"newsletter.txt": "x"}).File, Columns: columns, Read: readFrom(map[string]string{"newsletter.txt": "x"})}); err != nil {
			return
		}
		fields, _ := list.FieldNames(columns)
		c := &compiler{}
		for name := range fields {
			c.fields = append(c.fields, name)
		}
		slices.Sort(c.fields)
		src := oneLine("{{ "+c.reference("", column)+" }}", column, other)
		m, err := Compile(src)
		if err != nil {
			t.Fatalf("%q: %v", column, err)
		}
		r := testRow()
		r.Values = []string{"a@x.org", "value", "other"}
		if got := composed(t, m.Composer(), r)[0]; got != "value" {
			t.Errorf("%q as %s: got %q", column, c.reference("", column), got)
		}
	})
}

// FuzzSlips: whatever stands in a template, the slips are found without a fault, each at a place of the template, and a
// template that text/template accepts and whose functions and fields exist has none.
func FuzzSlips(f *testing.F) {
	for _, s := range []string{
		"{{first_name}}", "{{ .First Name | upper }}", "{{ .city | default &quot;Rome&quot; }}", "{{#if x}}{{/if}}", "{{{x}}}", "{{ .größe_m² }}", "{{ \"}}\" &quot; }}", "{{ 'a }}", "{{- /* x */ -}}",
		"{{ `", "{{ .2 x-y }}", "{{ $x := 1 }}{{ $x-1 }}", "{{ a ’ b }}", "{{ .x == \"“\" }}{{end}}", "{{ range }}{{ with }}{{ end }}{{ first-name }}", "{{ (.Size (m²)) }}", "{{\xa0}}", "{{-&nbsp;-}}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, template string) {
		_, err := Compile(oneLine(template, "First Name", "city", "Größe (m²)"))
		var all finding.Findings
		if err == nil {
			return
		}
		if !errors.As(err, &all) {
			t.Fatalf("%q: %v", template, err)
		}
		for _, f := range all {
			if strings.ContainsFunc(f.Error(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
				t.Errorf("%q: unclean %q", template, f.Error())
			}
			if f.Line > strings.Count(strings.ReplaceAll(template, "\r", "\n"), "\n")+1 {
				t.Errorf("%q: %v", template, f)
			}
		}
	})
}
