package message

import "strings"

// An action is what stands between {{ and }} in the source of a template.
type action struct {
	start int    // the octet of the template at which code begins
	code  string // without trim markers; the contents of text constants are zeros
	text  string // the same as it is written
}

// end returns the octet of the template at which the action's code ends.
func (a action) end() int { return a.start + len(a.code) }

// eachAction calls f with the actions of a template in order. Comments are left out. It finds actions where text/template does,
// and where an action is not well-formed, it ends with the next }}.
func eachAction(template string, f func(action)) {
	for at := 0; ; {
		open := strings.Index(template[at:], "{{")
		if open < 0 {
			return
		}
		start := at + open + 2
		if rest := template[start:]; len(rest) > 1 && rest[0] == '-' && strings.IndexByte(" \t\r\n", rest[1]) >= 0 {
			start += 2
		}
		if strings.HasPrefix(template[start:], "/*") {
			length := strings.Index(template[start:], "*/")
			if length < 0 {
				return
			}
			at = start + length + 2
			if end := strings.Index(template[at:], "}}"); end >= 0 {
				at += end + 2
			}
			continue
		}
		code, length := scanAction(template[start:])
		at = start + length
		a := action{start: start, code: code, text: template[start:at]}
		if inner := strings.TrimSuffix(code, "-"); inner != code && strings.TrimRight(inner, " \t\r\n") != inner {
			a.code, a.text = inner, a.text[:len(inner)]
		}
		f(a)
		if at += 2; at > len(template) {
			return
		}
	}
}

// scanAction returns the code of the action that begins s, up to its }} or the end of s, and its length.
func scanAction(s string) (code string, length int) {
	var constants [][2]int
	for length < len(s) && !strings.HasPrefix(s[length:], "}}") {
		if c := s[length]; c == '"' || c == '\'' || c == '`' {
			end := constantEnd(s, length)
			if end < 0 {
				if length = strings.Index(s, "}}"); length < 0 {
					length = len(s)
				}
				return s[:length], length
			}
			constants = append(constants, [2]int{length + 1, end})
			length = end
		}
		length++
	}
	if len(constants) == 0 {
		return s[:length], length
	}
	out := []byte(s[:length])
	for _, c := range constants {
		clear(out[c[0]:c[1]])
	}
	return string(out), length
}

// constantEnd returns where the text constant ends that begins at i, or -1 if it does not. A constant in single quotes is one
// character, so an apostrophe that nothing closes in the same action begins none.
func constantEnd(s string, i int) int {
	quote := s[i]
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == quote:
			return j
		case quote == '`':
		case s[j] == '\n', quote == '\'' && strings.HasPrefix(s[j:], "}}"):
			return -1
		case s[j] == '\\':
			j++
		}
	}
	return -1
}
