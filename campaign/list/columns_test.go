package list

import (
	"maps"
	"testing"
)

func TestSnakeCase(t *testing.T) {
	for in, want := range map[string]string{
		"email": "email", "First Name": "first_name", "E-Mail": "e_mail", "Straße 2": "straße_2", "first_name": "first_name",
		"  First   name (formal) ": "first_name_formal", "FirstName": "first_name", "userID": "user_id", "URL": "url", "Größe": "größe", "Gro\u0308ße": "größe",
		"Ελλάδα Όνομα": "ελλάδα_όνομα", "名前": "名前", "2nd line": "2nd_line", "5G": "5g", "#": "", "": "", "a\x00b": "a_b", "x_": "x", "__x": "x",
	} {
		if got := SnakeCase(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestFieldNames(t *testing.T) {
	got, err := FieldNames([]string{"First Name", "E-Mail", "#"})
	want := map[string]int{"First Name": 0, "first_name": 0, "E-Mail": 1, "e_mail": 1, "email": 1, "#": 2}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, columns := range [][]string{nil, {"name"}, {"email", "Email"}, {"email", ""}, {"email", "a b", "a_b"}} {
		if got, err := FieldNames(columns); err == nil || got != nil {
			t.Errorf("%q: got %v, want an error", columns, got)
		}
	}
}
