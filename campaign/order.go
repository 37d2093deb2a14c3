package campaign

import "strings"

// An Order says who is sent to first.
type Order struct {
	Field     string // a merge field; "": in the order of the list
	Ascending bool   // the smallest value first, not the largest
}

// String writes the order as the campaign file does; it is empty if there is none.
func (o Order) String() string {
	switch {
	case o.Field == "":
		return ""
	case o.Ascending:
		return o.Field + " asc"
	}
	return o.Field + " desc"
}

// parseOrder reads COLUMN, COLUMN asc or COLUMN desc. A column whose own name ends in asc or desc is called by its
// snake_case name.
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
