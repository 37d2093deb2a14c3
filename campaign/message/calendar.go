package message

import "strings"

// calendarMethod returns the METHOD of an iCalendar file, which its Content-Type repeats (RFC 6047 section 2.4), or "".
// Without it readers show a file where an invitation could be answered.
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
