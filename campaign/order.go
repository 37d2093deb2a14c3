package campaign

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"mailblast/campaign/text"
)

// An Order says who is sent to first.
type Order struct {
	Field     string // a merge field; "": in the order of the list
	Ascending bool   // the smallest value first, not the largest
}

// String is the order as the campaign file may write it, or "" where there is none.
func (o Order) String() string {
	switch {
	case o.Field == "":
		return ""
	case o.Ascending:
		return o.Field + " asc"
	}
	return o.Field + " desc"
}

// parseOrder reads COLUMN, COLUMN asc or COLUMN desc. A column whose own name ends so is called by its snake_case name.
func parseOrder(s string) (Order, error) {
	s = strings.TrimSpace(s)
	i := strings.LastIndexByte(s, ' ')
	o := Order{Field: s}
	if i >= 0 {
		switch strings.ToLower(s[i+1:]) {
		case "asc":
			o.Ascending = true
			fallthrough
		case "desc":
			o.Field = strings.TrimSpace(s[:i])
		}
	}
	return o, nil
}

// Ranker makes a row's rank of its values, which are in the order of the columns: the lowest goes first. A row whose value is
// neither a number nor a date is the last of all, in either direction. It is nil where there is no order, and no such field.
func (o Order) Ranker(columns []string) func(values []string) float64 {
	fields, err := FieldNames(columns)
	column, ok := fields[o.Field]
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
		case o.Ascending:
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

// order finds an order by what is no field.
func (l *loader) order(columns map[string]int, shown string) {
	o := l.file.OrderBy
	if _, ok := columns[o.Field]; ok || o.Field == "" {
		return
	}
	f := l.file.At("order_by", fmt.Sprintf("order_by: there is no column %s", text.Quoted(o.Field)))
	f.Hint = strings.TrimSpace(didYouMean(o.Field, sortedKeys(columns)) + " columns: " + shown)
	l.find(f)
}
