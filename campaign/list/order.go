package list

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Ranker returns the function that ranks a row by a merge field: the row with the lowest rank is sent to first. The values of
// a row are in the order of the columns. A row whose value is neither a number nor a date comes last, ascending or not.
// Without such a field Ranker returns nil.
func Ranker(columns []string, field string, ascending bool) func(values []string) float64 {
	fields, err := FieldNames(columns)
	column, ok := fields[field]
	if err != nil || !ok {
		return nil
	}
	return func(values []string) float64 {
		if column >= len(values) {
			return math.Inf(1)
		}
		n, ok := orderNumber(strings.TrimSpace(values[column]))
		switch {
		case !ok:
			return math.Inf(1)
		case ascending:
			return n
		}
		return 0 - n // never -0
	}
}

// orderNumber reads a decimal number, or a date or time as the seconds since 1970.
func orderNumber(s string) (float64, bool) {
	if strings.Trim(s, "+-.0123456789eE") == "" { // ParseFloat also reads words and hexadecimal numbers
		if n, err := strconv.ParseFloat(s, 64); err == nil {
			return n, true
		}
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return float64(t.UnixMilli()) / 1000, true
		}
	}
	return 0, false
}
