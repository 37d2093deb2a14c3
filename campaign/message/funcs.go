package message

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"mailblast/campaign/text"
)

// maxValue bounds the texts that functions make, in octets. Without it {{ printf "%999999999d" 1 }} takes all memory, and a
// loop that works on its own result takes for ever. Mail readers show less of a whole message.
const maxValue = 128 << 10

// functions are what a template can call besides the safe functions of text/template (safeBuiltins). They work on text only:
// none reads files or the environment, and none declares a recipient's text to be HTML. The text is the last argument, so
// that it can be piped in: {{ .first_name | default "friend" }}.
func functions() map[string]any {
	return map[string]any{
		"default":  defaultTo,
		"upper":    func(s string) string { return cases.Upper(language.Und).String(s) },
		"lower":    func(s string) string { return cases.Lower(language.Und).String(s) },
		"title":    func(s string) string { return cases.Title(language.Und).String(s) },
		"trim":     strings.TrimSpace,
		"truncate": truncate,
		"replace":  replace,
		"split":    splitItems,
		"date":     date,
		"print":    func(args ...any) (string, error) { return bounded(fmt.Sprint(args...)) },
		"println":  func(args ...any) (string, error) { return bounded(fmt.Sprintln(args...)) },
		"printf":   printf,
		"urlquery": func(args ...any) (string, error) { return bounded(texttemplate.URLQueryEscaper(args...)) },
	}
}

// safeBuiltins are the functions of text/template that templates may call. html and js are missing: markup escapes by
// context, and in a text nothing has to be escaped.
var safeBuiltins = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len"}

// functionNames returns the names of all functions that can be called, sorted.
func functionNames() []string {
	names := slices.Clone(safeBuiltins)
	for name := range functions() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func bounded(s string) (string, error) {
	if len(s) > maxValue {
		return "", fmt.Errorf("the result is longer than %d octets", maxValue)
	}
	return s, nil
}

// defaultTo returns the fallback if a text is empty or only white space.
func defaultTo(fallback, s string) string {
	if strings.TrimSpace(s) == "" {
		return fallback
	}
	return s
}

// truncate shortens s to at most n characters, the … included. It counts characters as a reader does: an emoji is one, and a
// letter with its accents is one.
func truncate(n int, s string) (string, error) {
	if n < 1 {
		return "", errors.New("truncate needs a length of at least 1")
	}
	if len(s) <= n {
		return s, nil
	}
	end, state, rest := 0, -1, s
	for i := 0; rest != ""; i++ {
		if i == n {
			return strings.TrimRight(s[:end], " ") + "…", nil
		}
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if i < n-1 {
			end += len(cluster)
		}
	}
	return s, nil
}

// replace returns s with every occurrence of old replaced by new.
func replace(old, new, s string) (string, error) {
	if old == "" {
		return "", errors.New("replace needs a text to look for")
	}
	if n := strings.Count(s, old); n > 0 && len(new) > len(old) && n > (maxValue-len(s))/(len(new)-len(old)) {
		return "", fmt.Errorf("the result is longer than %d octets", maxValue)
	}
	return strings.ReplaceAll(s, old, new), nil
}

// splitItems cuts s at each separator, for {{ range split ";" .items }}. It trims the white space around the items and leaves
// out empty ones. More than maxRounds items are an error, because no loop could go through them.
func splitItems(separator, s string) ([]string, error) {
	if separator == "" {
		return nil, errors.New("split needs a separator")
	}
	if strings.Count(s, separator) > maxRounds {
		return nil, fmt.Errorf("split makes more than %d items of it", maxRounds)
	}
	items := strings.Split(s, separator)
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return slices.DeleteFunc(items, func(item string) bool { return item == "" }), nil
}

// bigVerb matches widths and precisions of more than three digits, and the * that takes them from an argument.
var bigVerb = regexp.MustCompile(`%[^a-zA-Z%]*([0-9]{4}|\*)`)

func printf(format string, args ...any) (string, error) {
	if bigVerb.MatchString(format) {
		return "", fmt.Errorf("printf takes widths up to 999, written as a number: %s", text.Quoted(format))
	}
	return bounded(fmt.Sprintf(format, args...))
}

// dateForms are the forms that date reads. Dates with slashes are missing: 02/03/2026 is a day in February for some and in
// March for others.
var dateForms = []string{
	time.DateOnly, time.DateTime, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04",
	"2006-01-02 15:04:05Z07:00", "20060102", "2006/1/2", "2006-1-2",
	"2.1.2006", "2.1.2006 15:04", "2.1.2006 15:04:05",
	"2 January 2006", "January 2, 2006", "2 Jan 2006", "Jan 2, 2006", time.RFC1123Z, time.RFC1123,
}

// date writes a date in another form: {{ .joined | date "2 January 2006" }}. The layout is Go's: the form in which Monday,
// 2 January 2006, 15:04:05 would be written. An empty text stays empty; a text that is no date is an error.
func date(layout, s string) (string, error) {
	if err := checkDateLayout(layout); err != nil {
		return "", err
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.Format(layout), nil
		}
	}
	return "", fmt.Errorf("%s is not a date (write it as 2026-12-31)", text.Quoted(s))
}

// checkDateLayout refuses the layouts of other languages (%d.%m.%Y, DD.MM.YYYY), which would be printed as they are.
func checkDateLayout(layout string) error {
	a := time.Date(2006, 1, 2, 3, 4, 5, 0, time.UTC)
	b := time.Date(2017, 11, 21, 22, 33, 44, 0, time.UTC)
	if len(layout) > 200 || !utf8.ValidString(layout) || strings.Contains(layout, "%") || a.Format(layout) == b.Format(layout) {
		return fmt.Errorf("%s is not a layout (write the date 2 January 2006, 15:04:05 the way you want it, as in %q)",
			text.Quoted(layout), "02.01.2006")
	}
	return nil
}
