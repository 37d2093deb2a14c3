package smtp

import (
	"encoding/base64"
	"strings"
)

// A redactor takes a password out of what a server says. Some servers echo what they got, whole, cut off or wrapped,
// and not only during the log-in. It knows each form in which the password went to the server.
type redactor struct {
	forms []string
	parts map[string]bool // every run of partSize octets in a form, or a whole shorter one
}

// partSize is the least number of consecutive octets of a form that are taken out.
const partSize = 6

func newRedactor(c Config) *redactor {
	encode := base64.RawStdEncoding.EncodeToString
	r := &redactor{
		forms: []string{c.Password, encode([]byte(c.Password)), encode([]byte("\x00" + c.Username + "\x00" + c.Password))},
		parts: map[string]bool{},
	}
	for _, form := range r.forms {
		for i := range max(1, len(form)-partSize+1) {
			r.parts[form[i:min(i+partSize, len(form))]] = true
		}
	}
	return r
}

// redact takes the password out of a text. It is quick where there is nothing to take out, which is nearly always.
func (r *redactor) redact(text string) string {
	for i := range len(text) {
		if r.parts[text[i:min(i+partSize, len(text))]] || len(r.forms[0]) < partSize && strings.HasPrefix(text[i:], r.forms[0]) {
			return r.replace(text)
		}
	}
	return text
}

// replace writes "[password]" for each part of a form.
func (r *redactor) replace(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		longest := 0
		for _, form := range r.forms {
			longest = max(longest, shared(text, form, min(partSize, len(form))))
		}
		if longest == 0 {
			out.WriteByte(text[0])
			text = text[1:]
			continue
		}
		out.WriteString("[password]")
		text = text[longest:]
	}
	return strings.ReplaceAll(out.String(), "[password][password]", "[password]")
}

// shared returns the length of the longest start of text that occurs in form, 0 if it is less than least.
func shared(text, form string, least int) int {
	longest := 0
	for i := range len(form) {
		n := 0
		for n < len(text) && i+n < len(form) && text[n] == form[i+n] {
			n++
		}
		longest = max(longest, n)
	}
	if longest < least {
		return 0
	}
	return longest
}
