package campaign

import (
	"fmt"
	"regexp"
	"strings"

	"mailblast/campaign/text"
)

// maxText is the greatest length of a value after its variables were expanded. It bounds what a small file can make of a
// large variable.
const maxText = 16 << 10 // octets

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	variableOnly = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)
)

// expand replaces ${NAME} by the variable, and ${NAME:-default} by the variable, or by the default if the variable is unset
// or empty, as a shell does. A default ends at the first }. The replacement is not expanded again. used reports that there
// was a reference.
//
// A $ in front of anything else stays as it is, also in front of a template action: ${{ .price }} is a dollar sign and a
// price. Right before a reference $$ is one dollar sign: $${NAME} is the text ${NAME}, and $$${NAME} is a dollar sign and
// the variable.
func expand(s string, lookup func(string) (string, bool)) (value string, used bool, faults []fault) {
	var b strings.Builder
	for s != "" {
		plain := strings.IndexByte(s, '$')
		if plain < 0 {
			plain = len(s)
		}
		b.WriteString(s[:plain])
		s = s[plain:]

		dollars := len(s) - len(strings.TrimLeft(s, "$"))
		rest := s[dollars:]
		if !strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, "{{") {
			b.WriteString(s[:dollars])
			s = rest
			continue
		}
		b.WriteString(s[:dollars/2])
		if dollars%2 == 0 {
			b.WriteByte('{')
			s = rest[1:]
			continue
		}
		used = true
		inner, after, closed := strings.Cut(rest[1:], "}")
		if !closed {
			f := fault{problem: "has a ${ without its }", hint: "write ${NAME}, or $${ for the text ${"}
			return "", used, append(faults, f)
		}
		s = after
		text, f := resolveVariable(inner, lookup)
		if f.problem != "" {
			faults = append(faults, f)
		}
		b.WriteString(text)
		if b.Len() > maxText {
			break // the caller reports that it is too long
		}
	}
	return b.String(), used, faults
}

// resolveVariable returns the value of what stands between ${ and }.
func resolveVariable(inner string, lookup func(string) (string, bool)) (string, fault) {
	name, def, hasDefault := strings.Cut(inner, ":-")
	if !variableName.MatchString(name) {
		return "", fault{
			problem: fmt.Sprintf("refers to %s, which cannot be the name of a variable", text.Quoted("${"+inner+"}")),
			hint:    "write ${NAME} or ${NAME:-default}, or $${ for the text ${",
		}
	}
	v, ok := lookup(name)
	if hasDefault && v == "" {
		return def, fault{}
	}
	if !ok {
		return "", fault{
			problem: fmt.Sprintf("needs the variable %s, which is not set", name),
			hint:    fmt.Sprintf("set %s in the environment", name),
		}
	}
	return v, fault{}
}
