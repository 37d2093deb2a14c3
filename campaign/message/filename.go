package message

import (
	"fmt"
	"strings"

	"mailblast/campaign/text"
)

// appendFilename appends the parameter filename of a Content-Disposition, on a line of its own. There is never a second one
// of that name: readers differ in which they take. A name in ASCII stands in quotes; any other, and one that looks like an
// encoded-word, as RFC 2231 says. Only what no line has room for is cut into sections, because some readers do not know
// them.
func appendFilename(dst []byte, name string) []byte {
	if !needsRFC2231(name) {
		return fmt.Appendf(dst, ";\r\n filename=%s", text.QuotedString(name))
	}
	const room = 900 // octets of a section
	sections := []string{""}
	for _, r := range name {
		s := percentEncode(string(r), "", false)
		if len(sections[len(sections)-1])+len(s) > room {
			sections = append(sections, "")
		}
		sections[len(sections)-1] += s
	}
	if len(sections) == 1 {
		return fmt.Appendf(dst, ";\r\n filename*=utf-8''%s", sections[0])
	}
	for i, s := range sections {
		charset := ""
		if i == 0 {
			charset = "utf-8''"
		}
		dst = fmt.Appendf(dst, ";\r\n filename*%d*=%s%s", i, charset, s)
	}
	return dst
}

// appendName appends the parameter name of a Content-Type, for readers that do not know RFC 2231 (Outlook, QQ Mail): an
// encoded-word in quotes, which RFC 2047 forbids and all readers understand. A name in ASCII needs no second place.
func appendName(dst []byte, name string) []byte {
	if !needsRFC2231(name) || name == "" {
		return dst
	}
	dst = append(dst, ";\r\n name=\""...)
	words, _ := appendWords(nil, name, len(` name="`))
	dst = append(dst, words[len(" "):]...)
	return append(dst, '"')
}

// needsRFC2231 reports whether a file name cannot stand in quotes as it is.
func needsRFC2231(name string) bool {
	return !text.IsASCII(name) || looksEncoded(name) || len(text.QuotedString(name)) > 900
}

// calendarMethod returns the METHOD of an iCalendar file, which its Content-Type repeats (RFC 6047 section 2.4), or "". Without it
// readers show a file where an invitation could be answered.
func calendarMethod(content []byte) string {
	for line := range strings.Lines(unfolded(content)) {
		name, value, ok := strings.Cut(strings.TrimRight(line, " \r\n"), ":")
		name, _, _ = strings.Cut(name, ";")
		if !ok || !strings.EqualFold(name, "METHOD") {
			continue
		}
		for i := range len(value) {
			if c := value[i] | 0x20; (c < 'a' || c > 'z') && value[i] != '-' && (value[i] < '0' || value[i] > '9') {
				return ""
			}
		}
		return strings.ToUpper(value)
	}
	return ""
}

// unfolded joins the lines of a calendar that were folded (RFC 5545 section 3.1).
func unfolded(content []byte) string {
	return strings.NewReplacer("\r\n ", "", "\r\n\t", "", "\n ", "", "\n\t", "").Replace(string(content))
}
