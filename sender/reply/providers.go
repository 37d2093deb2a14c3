package reply

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// providersTable holds the rules for replies that only their provider can explain. Its first lines say how it is
// written.
//
//go:embed providers.tsv
var providersTable string

// providerColumns are the columns of the table, which are also its header line.
const providerColumns = "rule\tprovider\tcode\tstatus\tpattern\tclass\tscope\tquota\treason\tsource\texample"

// A providerRule is one row.
type providerRule struct {
	rule
	code    string // how the code starts
	pattern string
	example string
}

// A providerBook is the table with its patterns compiled.
type providerBook struct {
	*matcher
	rules []providerRule
}

func newProviderBook() *providerBook {
	rows, err := parseProviders(providersTable)
	if err != nil {
		panic("providers.tsv: " + err.Error()) // it is part of the program, and a test reads it
	}
	book := &providerBook{matcher: newMatcher(), rules: rows}
	for i := range book.rules {
		r := &book.rules[i]
		r.match = []int{book.pattern(r.pattern)}
	}
	return book
}

// ofProvider returns the first rule of a provider that fits, or nil.
func (book *rulebook) ofProvider(code int, status, text string) *rule {
	digits := fmt.Sprint(code)
	var r *reading
	for i := range book.providers.rules {
		p := &book.providers.rules[i]
		if !strings.HasPrefix(digits, p.code) || !p.fitsStatus(status) {
			continue
		}
		if r == nil {
			r = book.providers.readWhole(plain(text))
		}
		if r.matches(p.match) {
			return &p.rule
		}
	}
	return nil
}

// plain brings a text into the form that the patterns of the table are written for: lower case, on one line, with no
// two spaces together. Unlike words it keeps the codes that providers put into brackets.
func plain(text string) string {
	return strings.Join(strings.Fields(strings.ToLower(text[:min(len(text), maxText)])), " ")
}

// parseProviders reads the table. It is strict: a row that is skipped would be a rule that is missing.
func parseProviders(text string) ([]providerRule, error) {
	var rows []providerRule
	header := false
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !header {
			if line != providerColumns {
				return nil, fmt.Errorf("line %d: the columns are %q", i+1, providerColumns)
			}
			header = true
			continue
		}
		row, err := parseProvider(line)
		if err == nil && seen[row.name] {
			err = fmt.Errorf("a second rule called %q", row.name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		seen[row.name] = true
		rows = append(rows, row)
	}
	if !header {
		return nil, fmt.Errorf("there is no header line")
	}
	return rows, nil
}

func parseProvider(line string) (providerRule, error) {
	fail := func(format string, args ...any) (providerRule, error) {
		return providerRule{}, fmt.Errorf(format, args...)
	}
	f := strings.Split(line, "\t")
	if want := strings.Count(providerColumns, "\t") + 1; len(f) != want {
		return fail("%d columns, not %d", len(f), want)
	}
	for i, name := range strings.Split(providerColumns, "\t") {
		if f[i] == "" && name != "status" && name != "quota" || f[i] != strings.TrimSpace(f[i]) {
			return fail("%s is empty, or has space around it", name)
		}
	}
	p := providerRule{code: f[2], pattern: f[4], example: f[10]}
	p.name, p.status, p.class = f[0], f[3], Class(f[5])
	p.why = fmt.Sprintf("%s: %s (%s)", f[1], f[8], f[9])
	if !ruleName.MatchString(p.name) {
		return fail("rule %q: lower-case letters, digits and hyphens", p.name)
	}
	if !codeStart.MatchString(p.code) {
		return fail("code %q: it is 4 or 5, or two or three digits of a code", p.code)
	}
	if exact := strings.TrimSuffix(p.status, "*"); p.status != "" && (!statusStart.MatchString(p.status) || exact[0] != p.code[0]) {
		return fail("status %q: an enhanced status code of the class of code %s, or its beginning and *", p.status, p.code)
	}
	re, err := regexp.Compile(p.pattern)
	switch {
	case err != nil:
		return fail("pattern: %w", err)
	case re.MatchString(""):
		return fail("pattern %q matches everything", p.pattern)
	}
	if !p.class.valid() {
		return fail("class %q", f[5])
	}
	at := slices.Index(scopeNames, f[6])
	if at < 0 {
		return fail("scope %q", f[6])
	}
	p.scope = Scope(at)
	switch {
	case p.class == HardBounce && (p.code[0] != '5' || p.scope != Recipient):
		return fail("a hard_bounce is a 5xx reply, and about a recipient")
	case p.class == AuthOrConfig && p.scope != Server:
		return fail("auth_or_config hits the server")
	case !strings.HasPrefix(f[9], "https://"):
		return fail("source %q is not an address of a page", f[9])
	}
	if f[7] != "" {
		if p.quota, err = time.ParseDuration(f[7]); err != nil || p.quota <= 0 || p.class != AuthOrConfig {
			return fail("quota %q: a duration, and only with auth_or_config", f[7])
		}
	}
	return p, nil
}

// valid reports whether a rule can give this class.
func (c Class) valid() bool {
	switch c {
	case Throttled, Transient, HardBounce, Rejected, AuthOrConfig:
		return true
	}
	return false
}

var (
	ruleName    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	codeStart   = regexp.MustCompile(`^[45]([0-9][0-9]?)?$`)
	statusStart = regexp.MustCompile(`^[45](\.\d{1,3}\.(\d{1,3}|\d{0,2}\*)|\.\*)$`)
)
