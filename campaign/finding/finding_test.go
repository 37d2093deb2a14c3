package finding

import (
	"strings"
	"testing"
)

func TestFindingKeepsToItsLine(t *testing.T) {
	f := Finding{File: "a\nb", Message: "m", Hint: "h"}
	if got, want := f.Error(), `"a\nb": m (h)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"from", "subject", "html", "tls"}
	for word, want := range map[string]string{
		"form": "from", "SUBJECT": "subject", "subejct": "subject", "sbject": "subject", "htm": "html", "xyz": "", "t": "", "": "",
		strings.Repeat("subject", 100): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
