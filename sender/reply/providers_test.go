package reply

import (
	"strings"
	"testing"
)

// Every row is understood, its pattern fits its own example, and no row before it takes the example away.
func TestProvidersTable(t *testing.T) {
	rows, err := parseProviders(providersTable)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClassifier(nil)
	for _, row := range rows {
		r, err := Parse(row.example)
		if err != nil {
			t.Errorf("%s: example %q: %v", row.name, row.example, err)
			continue
		}
		e := c.Explain(Rcpt, r.Code, r.Status, r.Text)
		if e.Rule != row.name || e.Class != row.class || e.Scope != row.scope {
			t.Errorf("%s: its example %q is %s for the %s by rule %s", row.name, row.example, e.Class, e.Scope, e.Rule)
		}
	}
}

// A row that is not understood is an error with its line, never a rule that is silently not there.
func TestParseProvidersRefuses(t *testing.T) {
	const row = "some-rule\tSome\t45\t4.7.*\twords?\tthrottle\tserver\t\tthe reason\thttps://example.com/codes\t450 4.7.1 Words"
	if _, err := parseProviders(providerColumns + "\n# a comment\n\n" + row + "\n"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ why, from, to string }{
		{"a column too few", "\tthe reason", ""},
		{"a column too many", "some-rule", "some-rule\tother"},
		{"nothing in a column", "words?", ""},
		{"space around a column", "throttle", "throttle "},
		{"a name that is not one", "some-rule", "Some Rule"},
		{"a code that is not one", "\t45\t", "\t4x\t"},
		{"a code of success", "\t45\t", "\t25\t"},
		{"a status that is not one", "4.7.*", "4.7"},
		{"a status of another class", "4.7.*", "5.7.*"},
		{"a pattern that is not one", "words?", "words("},
		{"a pattern for everything", "words?", "(words)?"},
		{"an unknown class", "throttle", "slow"},
		{"an unknown scope", "server", "world"},
		{"a hard bounce by 4xx", "throttle\tserver", "hard_bounce\trecipient"},
		{"a log-in of one recipient", "throttle\tserver", "auth_or_config\trecipient"},
		{"a quota of something else", "server\t\t", "server\t24h\t"},
		{"a quota that is no time", "throttle\tserver\t\t", "auth_or_config\tserver\tday\t"},
		{"a source that is no page", "https://example.com/codes", "hearsay"},
	} {
		if _, err := parseProviders(providerColumns + "\n" + strings.Replace(row, c.from, c.to, 1)); err == nil {
			t.Errorf("%s is taken", c.why)
		}
	}
	for why, text := range map[string]string{"nothing": "", "no header": row, "a rule twice": providerColumns + "\n" + row + "\n" + row} {
		if _, err := parseProviders(text); err == nil {
			t.Errorf("%s is taken", why)
		}
	}
}

func FuzzParseProviders(f *testing.F) {
	f.Add(providersTable)
	f.Add(providerColumns + "\na\tb\t4\t\tc\tthrottle\tserver\t\td\thttps://e\t450 c")
	f.Add(providerColumns + "\na\tb\t5\t5.*\t.\thard_bounce\trecipient\t\td\thttps://e\t550 5.1.1 c")
	f.Add("\n#\n\t\t\t\t\t\t\t\t\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseProviders(text)
		for _, row := range rows {
			switch {
			case err != nil:
				t.Fatal("rows with an error")
			case row.name == "" || row.why == "" || !row.class.valid():
				t.Fatalf("%+v is taken", row)
			case row.class == HardBounce && row.code[0] != '5':
				t.Fatalf("%s makes a hard bounce of a reply other than 5xx", row.name)
			}
			newMatcher().pattern(row.pattern)
		}
	})
}
