package reply

import (
	"slices"
	"strings"
	"time"
)

// A rule says what a reply means. The first rule that fits decides, so their order is part of their meaning:
// what would stop everything, what is about speed, what passes by itself, and only then who or what was refused; a
// recipient is given up last, and only when nothing else was said.
//
// text and unless are regular expressions over what words makes of the reply, with names from the lexicon in braces; line
// breaks and tabs do not count.
// Rules are about what servers mean, not about what one server says: a sentence seen once does not belong here.
type rule struct {
	name   string
	codes  string // first digits of the code, any of them: "4", "5", "45"
	code   int    // the code; 0: any
	status string // enhanced status code, or how it starts: "4.7.5*"; empty: any; none: there is none
	text   string // has to match; empty: any text
	unless string // must not match
	class  Class
	scope  Scope
	quota  time.Duration // for a quota that is used up: within which time it is new
	why    string        // what it means, and who says so

	match, veto []int // patterns of the rulebook's matcher
}

// none is the status of a rule for replies without one.
const none = "none"

// fitsStatus reports whether the rule is about this enhanced status code.
func (r *rule) fitsStatus(status string) bool {
	if r.status == none {
		return status == ""
	}
	if prefix, any := strings.CutSuffix(r.status, "*"); any {
		return strings.HasPrefix(status, prefix)
	}
	return r.status == "" || r.status == status
}

// A rulebook is what a Classifier knows, with its patterns compiled.
type rulebook struct {
	*matcher
	rules     []rule
	providers *providerBook
}

func newRulebook() *rulebook {
	book := &rulebook{matcher: newMatcher(), rules: slices.Clone(table), providers: newProviderBook()}
	for i := range book.rules {
		r := &book.rules[i]
		r.match, r.veto = book.compile(r.text), book.compile(r.unless)
	}
	return book
}

// table is in the order in which the rules are asked.
var table = slices.Concat(stopRules, passRules, refuseRules)
