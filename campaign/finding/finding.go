// Package finding says what is wrong with a file of a campaign: where, what, and what to do about it. It also guesses what a
// misspelt word was meant to be.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mailblast/campaign/text"
)

// A Finding is one fault in a file of the campaign.
type Finding struct {
	File         string
	Line, Column int    // from 1, the column in characters; Line 0 means the file as a whole
	Message      string // lower case, no full stop at the end
	Hint         string // what to do next; may be empty
}

// Error writes the finding on one line: file:line:column: message (hint).
func (f Finding) Error() string {
	var b strings.Builder
	b.WriteString(text.QuoteControl(f.File))
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// Findings are all the faults that were found.
type Findings []Finding

func (fs Findings) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort puts the findings in the order of file, line and column.
func (fs Findings) Sort() {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// DidYouMean returns the hint for a misspelt word: the nearest of the words that would have been right, or "" when none is
// near enough.
func DidYouMean(word string, words []string) string {
	if best := Nearest(word, words); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// Nearest returns the word with the smallest edit distance, without regard to upper and lower case, or "". A third of the
// letters may be wrong, but never all of them.
func Nearest(word string, words []string) string {
	const longest = 64 // nobody misspells longer words, and the cost grows with the product of the lengths
	from := []rune(strings.ToLower(word))
	if len(from) > longest {
		return ""
	}
	best, least := "", max(1, len(from)/3)+1
	for _, w := range words {
		to := []rune(strings.ToLower(w))
		if len(to) > longest {
			continue
		}
		if d := distance(from, to); d < least && d < len(to) {
			best, least = w, d
		}
	}
	return best
}

// distance returns how many letters have to be inserted, removed, replaced or swapped with their neighbour to make b of a
// (the optimal string alignment distance).
func distance(a, b []rune) int {
	var before []int // the row before the last one, for swaps
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
