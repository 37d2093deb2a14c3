package store

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// Fields are kept as json.Marshal writes them, whether they need escaping or not, and come back as json.Unmarshal reads
// them.
func FuzzFields(f *testing.F) {
	for _, v := range []string{"", "Ada", "Zoë", `"`, `\`, "<&>", "\x00", "\x7f", "\u2028", "\xff", "a\nb", ",", `","`, "]", "\n<&\u2028"} {
		f.Add(v, "London", "")
		f.Add("", v, `","`)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		reused := []string{"of", "an", "earlier", "row"}
		for _, values := range [][]string{{}, {a}, {a, b}, {a, b, c}} {
			want, err := json.Marshal(values)
			if err != nil {
				t.Fatal(err)
			}
			list, err := EncodeFields(nil, values)
			if err != nil || !bytes.Equal(list, want) {
				t.Fatalf("%q, %v; want %q", list, err, want)
			}
			var read []string
			if err := json.Unmarshal(list, &read); err != nil {
				t.Fatal(err)
			}
			if reused, err = DecodeFields(reused, list); err != nil || !slices.Equal(reused, read) {
				t.Fatalf("%s: %q, %v; want %q", list, reused, err, read)
			}
		}
	})
}

// What is no list of strings is an error, not a row without values.
func TestDecodeFieldsOfOther(t *testing.T) {
	for _, list := range []string{"", "[", `["a"`, `["a",1]`, `{"a":"b"}`, `["\x"]`} {
		if values, err := DecodeFields(nil, []byte(list)); err == nil {
			t.Errorf("%s: %q", list, values)
		}
	}
}
