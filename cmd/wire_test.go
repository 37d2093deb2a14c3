package cmd

import (
	"encoding/json"
	"slices"
	"testing"
)

// Whatever strings encoding/json wrote into the queue come back as they were.
func FuzzDecodeFields(f *testing.F) {
	f.Add("a", "b", "")
	f.Add("Zoë", ",", `","`)
	f.Add(`\`, `"`, "\n<&\u2028")
	f.Add("", "", "]")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, fields := range [][]string{{}, {a}, {a, b}, {a, b, c}} {
			list, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if err := json.Unmarshal(list, &want); err != nil {
				t.Fatal(err)
			}
			if got, err := decodeFields(nil, list); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v; want %q", list, got, err, want)
			}
		}
	})
}
