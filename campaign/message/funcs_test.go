package message

import (
	"strings"
	"testing"
)

func TestFunctions(t *testing.T) {
	for _, c := range []struct{ template, city, want string }{
		{`{{ .city | default "friend" }}`, "", "friend"},
		{`{{ .city | default "friend" }}`, " \t", "friend"},
		{`{{ .city | default "friend" }}`, "Ada", "Ada"},
		{`{{ upper .city }} {{ lower .city }}`, "Straße", "STRASSE straße"},
		{`{{ title .city }}`, "ANNA-lena o'NEIL müller", "Anna-Lena O'neil Müller"},
		{`{{ trim .city }}|`, "  x ", "x|"},
		{`{{ truncate 5 .city }}`, "abcde", "abcde"},
		{`{{ truncate 5 .city }}`, "abcdef", "abcd…"},
		{`{{ truncate 3 .city }}`, "äöü", "äöü"},
		{`{{ truncate 3 .city }}`, "a bcd", "a…"},
		{`{{ truncate 2 .city }}`, "👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", "👨‍👩‍👧…"},
		{`{{ truncate 1 .city }}`, "abc", "…"},
		{`{{ replace "a" "bb" .city }}`, "banana", "bbbnbbnbb"},
		{`{{ range split "," .city }}[{{ . }}]{{ end }}`, "a, b,,c ,", "[a][b][c]"},
		{`{{ range split "," .city }}x{{ end }}`, "", ""},
		{`{{ printf "%-5s|%03d|%%" .city 7 }}`, "ab", "ab   |007|%"},
		{`{{ urlquery .city }}`, "a b&c", "a+b%26c"},
		{`{{ date "2.1.2006" .city }}`, "2026-03-09", "9.3.2026"},
		{`{{ date "2 January 2006" .city }}`, "9.3.2026", "9 March 2026"},
		{`{{ date "2006-01-02" .city }}`, "09.03.2026 10:00", "2026-03-09"},
		{`{{ date "15:04" .city }}`, "2026-03-09T10:20:30Z", "10:20"},
		{`{{ date "Monday" .city }}`, "March 9, 2026", "Monday"},
		{`{{ date "2006" .city }}`, "  ", ""},
		{`{{ date "2006" .city }}`, "03/09/2026", `error: "03/09/2026" is not a date`},
		{`{{ date "2006" .city }}`, "2026-02-30", `error: "2026-02-30" is not a date`},
		{`{{ date "2006" .city }}`, "a\x1bb", `error: "a b" is not a date`},
		{`{{ date .city "2026-01-01" }}`, "%d.%m.%Y", "error: \"%d.%m.%Y\" is not a layout"},
		{`{{ truncate 0 .city }}`, "x", "error: truncate needs a length of at least 1"},
		{`{{ replace "" "x" .city }}`, "x", "error: replace needs a text to look for"},
		{`{{ split "" .city }}`, "x", "error: split needs a separator"},
	} {
		m, err := Compile(testSource(map[string]string{"newsletter.txt": c.template}))
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		if want, isError := strings.CutPrefix(c.want, "error: "); isError {
			if _, err := m.Composer().Compose(testRow("", c.city)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %q: got %v, want %s", c.template, c.city, err, want)
			}
			continue
		}
		if got := composed(t, m.Composer(), testRow("", c.city))[0]; got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.template, c.city, got, c.want)
		}
	}
}
