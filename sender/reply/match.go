package reply

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// A matcher holds the patterns of all rules. To run some three hundred regular expressions over each reply would take a
// millisecond. So each has a filter in front, made from the expression itself, that says no in a thousandth of that
// time. The filter is a list of clauses, and a clause is a list of literals: every text that matches contains one
// literal of each clause. Patterns and clauses are shared, as many rules speak of the same things, and looked at once a
// reply.
type matcher struct {
	patterns     []pattern
	clauses      []clause
	patternIndex map[string]int // by expression
	clauseIndex  map[string]int // by literals
}

// A pattern is one alternative of a rule's expression.
type pattern struct {
	re    *regexp.Regexp
	needs []int // clauses
}

// A clause is a list of literals, each given as its trigrams.
type clause [][]uint16

func newMatcher() *matcher {
	return &matcher{patternIndex: map[string]int{}, clauseIndex: map[string]int{}}
}

// compile makes one pattern of each alternative of an expression over the output of words. {name} stands for an entry
// of the lexicon.
func (m *matcher) compile(expr string) []int {
	for expanded := ""; expanded != expr; {
		expanded, expr = expr, lexicon.Replace(expr)
	}
	expr = layout.Replace(expr)
	var patterns []int
	for _, alternative := range alternatives(expr) {
		patterns = append(patterns, m.pattern(alternative))
	}
	return patterns
}

var layout = strings.NewReplacer("\n", "", "\t", "")

// pattern returns the index of the pattern of expr.
func (m *matcher) pattern(expr string) int {
	if i, ok := m.patternIndex[expr]; ok {
		return i
	}
	p := pattern{re: regexp.MustCompile(expr)}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		panic(err) // regexp.MustCompile has just parsed it
	}
	for _, literals := range required(tree.Simplify()) {
		if i, ok := m.clause(literals); ok {
			p.needs = append(p.needs, i)
		}
	}
	m.patterns = append(m.patterns, p)
	m.patternIndex[expr] = len(m.patterns) - 1
	return len(m.patterns) - 1
}

// alternatives cuts an expression at every | that is not inside parentheses.
func alternatives(expr string) []string {
	if expr == "" {
		return nil
	}
	var all []string
	depth, start := 0, 0
	for i := range len(expr) {
		switch expr[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				all = append(all, expr[start:i])
				start = i + 1
			}
		}
	}
	return append(all, expr[start:])
}

// clause returns the index of the clause of these literals; false when one of them is too short to filter by.
func (m *matcher) clause(literals []string) (int, bool) {
	slices.Sort(literals)
	// A literal that begins with another one adds nothing: "users" to "user".
	literals = slices.CompactFunc(literals, func(kept, next string) bool { return strings.HasPrefix(next, kept) })
	key := strings.Join(literals, "|")
	if i, ok := m.clauseIndex[key]; ok {
		return i, true
	}
	var c clause
	for _, literal := range literals {
		grams := trigrams(literal)
		if len(grams) == 0 {
			return 0, false
		}
		c = append(c, grams)
	}
	m.clauseIndex[key] = len(m.clauses)
	m.clauses = append(m.clauses, c)
	return m.clauseIndex[key], true
}

// maxLiterals is how many literals a clause may have before it is cut short.
const maxLiterals = 400

// required returns clauses of which every text that re matches satisfies all: of each, it contains one literal.
func required(re *syntax.Regexp) [][]string {
	if re.Op != syntax.OpConcat {
		starts, _ := beginnings(re)
		return [][]string{starts}
	}
	var clauses [][]string
	run := []string{""}
	for _, sub := range re.Sub {
		starts, whole := beginnings(sub)
		if len(run)*len(starts) > maxLiterals {
			clauses = append(clauses, run)
			run = []string{""}
		}
		run = join(run, starts)
		if !whole {
			clauses = append(clauses, run)
			run = []string{""}
		}
	}
	return append(clauses, run)
}

// beginnings returns strings of which every match of re begins with one, and whether each match is just that string.
func beginnings(re *syntax.Regexp) (starts []string, whole bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, true
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpBeginText, syntax.OpEndText:
		return []string{""}, true
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				if len(starts) == 10 {
					return []string{""}, false
				}
				starts = append(starts, string(c))
			}
		}
		return starts, true
	case syntax.OpCapture:
		return beginnings(re.Sub[0])
	case syntax.OpPlus:
		starts, _ = beginnings(re.Sub[0])
		return starts, false
	case syntax.OpQuest:
		starts, whole = beginnings(re.Sub[0])
		return append([]string{""}, starts...), whole
	case syntax.OpAlternate:
		whole = true
		for _, sub := range re.Sub {
			more, all := beginnings(sub)
			starts, whole = append(starts, more...), whole && all
		}
		return starts, whole
	case syntax.OpConcat:
		starts = []string{""}
		for _, sub := range re.Sub {
			more, all := beginnings(sub)
			if len(starts)*len(more) > maxLiterals {
				return starts, false
			}
			if starts = join(starts, more); !all {
				return starts, false
			}
		}
		return starts, true
	}
	return []string{""}, false
}

// join returns every string of a followed by every string of b.
func join(a, b []string) []string {
	all := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			all = append(all, x+y)
		}
	}
	return all
}

// A reading is one text and what was found in it. It is matched sentence by sentence, as no pattern goes beyond one.
type reading struct {
	matcher   *matcher
	sentences []sentence
	matched   []finding // by pattern
}

// A sentence is the text between two full stops.
type sentence struct {
	text  string
	seen  [1 << 12 / 64]uint64 // the hashes of its trigrams; another trigram may have the same hash
	holds []finding            // by clause
}

// A finding says whether something holds, as far as that is known.
type finding uint8

const (
	unknown finding = iota
	no
	yes
)

func findingOf(holds bool) finding {
	if holds {
		return yes
	}
	return no
}

func (m *matcher) read(text string) *reading {
	r := &reading{matcher: m, matched: make([]finding, len(m.patterns))}
	for part := range strings.SplitSeq(text, ".") {
		r.add(strings.TrimSpace(part))
	}
	return r
}

// readWhole reads a text in which a full stop ends nothing.
func (m *matcher) readWhole(text string) *reading {
	r := &reading{matcher: m, matched: make([]finding, len(m.patterns))}
	r.add(text)
	return r
}

func (r *reading) add(text string) {
	if text == "" {
		return
	}
	s := sentence{text: text, holds: make([]finding, len(r.matcher.clauses))}
	for i := 0; i+3 <= len(text); i++ {
		h := trigram(text[i:])
		s.seen[h/64] |= 1 << (h % 64)
	}
	r.sentences = append(r.sentences, s)
}

// matches reports whether one of the patterns matches.
func (r *reading) matches(patterns []int) bool {
	for _, i := range patterns {
		if r.matched[i] == unknown {
			r.matched[i] = findingOf(r.find(&r.matcher.patterns[i]))
		}
		if r.matched[i] == yes {
			return true
		}
	}
	return false
}

func (r *reading) find(p *pattern) bool {
	for i := range r.sentences {
		s := &r.sentences[i]
		if s.possible(r.matcher, p.needs) && p.re.MatchString(s.text) {
			return true
		}
	}
	return false
}

// possible reports whether all the clauses hold.
func (s *sentence) possible(m *matcher, clauses []int) bool {
	for _, i := range clauses {
		if s.holds[i] == unknown {
			s.holds[i] = findingOf(s.satisfies(m.clauses[i]))
		}
		if s.holds[i] == no {
			return false
		}
	}
	return true
}

// satisfies reports whether all the trigrams of one of the literals are there.
func (s *sentence) satisfies(c clause) bool {
next:
	for _, grams := range c {
		for _, h := range grams {
			if s.seen[h/64]&(1<<(h%64)) == 0 {
				continue next
			}
		}
		return true
	}
	return false
}

func trigrams(s string) []uint16 {
	var grams []uint16
	for i := 0; i+3 <= len(s); i++ {
		grams = append(grams, trigram(s[i:]))
	}
	return grams
}

// trigram hashes the first three octets of s to 12 bits.
func trigram(s string) uint16 {
	h := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16
	return uint16(h * 2654435761 >> 20)
}
