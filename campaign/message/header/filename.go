package header

import (
	"fmt"

	"mailblast/campaign/text"
)

// AppendFilename appends the parameter filename of a Content-Disposition, on a line of its own. There is never a second one
// of that name: readers differ in which they take. A name in ASCII stands in quotes; any other, and one that looks like an
// encoded-word, as RFC 2231 says. Only what no line has room for is cut into sections, because some readers do not know
// them.
func AppendFilename(dst []byte, name string) []byte {
	if !needsRFC2231(name) {
		return fmt.Appendf(dst, ";\r\n filename=%s", text.QuotedString(name))
	}
	const room = 900 // octets of a section
	sections := []string{""}
	for _, r := range name {
		s := string(appendPercent(nil, string(r), "", false))
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

// AppendName appends the parameter name of a Content-Type, for readers that do not know RFC 2231 (Outlook, QQ Mail): an
// encoded-word in quotes, which RFC 2047 forbids and all readers understand. A name in ASCII needs no second place.
func AppendName(dst []byte, name string) []byte {
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
