package campaign

import "testing"

func TestOrder(t *testing.T) {
	for in, want := range map[string]Order{
		"Last Score": {Field: "Last Score"}, "last_score desc": {Field: "last_score"}, " last_score  ASC ": {Field: "last_score", Ascending: true},
		"last_score": {Field: "last_score"}, "last_score asc": {Field: "last_score", Ascending: true}, "asc": {Field: "asc"},
	} {
		o, err := parseOrder(in)
		if err != nil || o != want {
			t.Errorf("%q reads as %+v (%v), want %+v", in, o, err, want)
		}
		if again, err := parseOrder(o.String()); err != nil || again != o {
			t.Errorf("%q reads as %+v (%v), not %+v", o, again, err, o)
		}
	}
}

// What String writes is read as the same order.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{"1", "score asc", "asc", "a  desc", " ", "2026-11-24", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, order string) {
		o, err := parseOrder(order)
		if again, _ := parseOrder(o.String()); err == nil && again != o {
			t.Errorf("%q: %+v, and again %+v", order, o, again)
		}
	})
}
