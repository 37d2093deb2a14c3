package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// A table is printed aligned, and as Markdown.
type table struct {
	title   string
	columns []string
	rows    [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// print aligns the first column left, as words, and the others right.
func (t *table) print() {
	rules := make([]string, len(t.columns))
	width := make([]int, len(t.columns))
	lines := append([][]string{t.columns, rules}, t.rows...)
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for i, w := range width {
		rules[i] = strings.Repeat("-", w)
		if i > 0 {
			rules[i] = strings.Repeat("-", max(w-1, 1)) + ":"
		}
	}
	fmt.Printf("\n%s\n\n", t.title)
	for _, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", max(0, width[i]-utf8.RuneCountInString(cell)))
			if i == 0 {
				fmt.Print("| ", cell, pad)
			} else {
				fmt.Print(" | ", pad, cell)
			}
		}
		fmt.Println(" |")
	}
}

func whole(x float64) string { return humanize.Comma(int64(x + 0.5)) }

func times(x float64) string { return fmt.Sprintf("%.2f ×", x) }

// peak is the median of the peaks in MB, of a million bytes, or the bound that measure leaves.
func peak(costs []cost) string {
	mb := whole(median(costs, cost.megabytes))
	if slices.ContainsFunc(costs, func(c cost) bool { return c.ours }) {
		return "≤ " + mb
	}
	return mb
}

// extremes are the lowest and the highest rate.
func extremes(costs []cost) (low, high float64) {
	low, high = costs[0].rate(), costs[0].rate()
	for _, c := range costs {
		low, high = min(low, c.rate()), max(high, c.rate())
	}
	return low, high
}
