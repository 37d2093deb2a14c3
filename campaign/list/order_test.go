package list

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestRanker(t *testing.T) {
	columns := []string{"email", "Last Score", "seen"}
	tests := []struct {
		field     string
		ascending bool
		values    []string // by which the rows 0, 1, 2 … are ordered, in the second column
		want      []int
	}{
		{"Last Score", false, []string{"1", "3", "2"}, []int{1, 2, 0}},
		{"last_score", false, []string{"1", "3", "2"}, []int{1, 2, 0}},
		{"last_score", true, []string{"1", "3", "2"}, []int{0, 2, 1}},
		{"last_score", false, []string{"-1", "-0", "0", ".5", "1e2", "+7", " 8 "}, []int{4, 6, 5, 3, 1, 2, 0}},
		{"last_score", false, []string{"2", "1", "2", "1"}, []int{0, 2, 1, 3}},
		{"last_score", false, []string{"2025-12-31", "2026-01-01T00:00:00+01:00", "2026-01-01 08:00:00", "2026-01-01"}, []int{2, 3, 1, 0}},
		{"last_score", false, []string{"", "much", "1", "1,5", "NaN", "inf", "0x10", "1_000", "1e999", "2026-13-01"}, []int{2, 0, 1, 3, 4, 5, 6, 7, 8, 9}},
		{"last_score", true, []string{"", "1", "much", "0"}, []int{3, 1, 0, 2}},
	}
	for _, tt := range tests {
		rank := Ranker(columns, tt.field, tt.ascending)
		var got []int
		var ranks []float64
		for i, v := range tt.values {
			got, ranks = append(got, i), append(ranks, rank([]string{"a@example.com", v, "1"}))
		}
		slices.SortStableFunc(got, func(a, b int) int {
			switch {
			case ranks[a] < ranks[b]:
				return -1
			case ranks[a] > ranks[b]:
				return 1
			}
			return 0
		})
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s (ascending: %v) of %q: %v, want %v", tt.field, tt.ascending, tt.values, got, tt.want)
		}
		if got := rank(nil); !math.IsInf(got, 1) {
			t.Errorf("a row without values: %v", got)
		}
	}
	if Ranker(columns, "", false) != nil {
		t.Error("there is an order where there is none")
	}
}

// Whatever stands in a cell, its rank can be compared with all others, and comes last unless the cell was understood.
func FuzzRanker(f *testing.F) {
	for _, seed := range []string{"1", "-1.5e3", "2026-11-24", "NaN", "1e999", "", "٣", "0x1p-2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, ascending := range []bool{false, true} {
			switch rank := Ranker([]string{"email", "score"}, "score", ascending)([]string{"", value}); {
			case math.IsNaN(rank), math.IsInf(rank, -1):
				t.Errorf("%q: %v", value, rank)
			case math.IsInf(rank, 1) && !strings.ContainsAny(value, "eE") && strings.Trim(value, "0123456789") == "" && value != "" && len(value) < 300:
				t.Errorf("%q is no number", value)
			}
		}
	})
}
