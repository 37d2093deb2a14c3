package cmd

import (
	"encoding/json"
	"slices"
	"testing"
)

// Whatever the queue holds, the quick way says what encoding/json says.
func FuzzDecodeFields(f *testing.F) {
	for _, list := range []string{`[]`, `[""]`, `["a"]`, `["a","b",""]`, `["\"","\\"]`, `["a\",\"b"]`, `["Zoë",","]`, `[",", "b"]`, `["a" ]`, `null`, `["`, `["]`, `["a"`, `["","]`} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		var want []string
		if json.Unmarshal([]byte(list), &want) != nil {
			t.Skip() // the queue holds what encoding/json wrote
		}
		if again, err := json.Marshal(want); err != nil || string(again) != list {
			t.Skip()
		}
		got, err := decodeFields(nil, []byte(list))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", list, got, err, want)
		}
	})
}
