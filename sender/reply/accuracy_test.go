package reply

import (
	"os"
	"strings"
	"testing"
)

// Of replies in our own words nearly all are understood, and none of them makes a recipient dead who is not.
func TestAccuracy(t *testing.T) {
	table, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	classes := []Class{Throttled, Transient, HardBounce, Rejected, AuthOrConfig}
	got := map[Class]map[Class]int{} // by what is right, and what was said
	all, right := 0, 0
	c := NewClassifier(nil)
	for line := range strings.Lines(string(table)) {
		class, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		want := Class(class)
		r, err := Parse(strings.ReplaceAll(text, `\n`, "\n"))
		if !ok || !want.valid() || err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		e := c.Explain(Rcpt, r.Code, r.Status, r.Text)
		if got[want] == nil {
			got[want] = map[Class]int{}
		}
		got[want][e.Class]++
		all++
		switch {
		case e.Class == want:
			right++
		case e.Class == HardBounce:
			t.Errorf("%s makes a recipient dead, by rule %s, and is %s", text, e.Rule, want)
		default:
			t.Logf("%s is %s by rule %s, want %s", text, e.Class, e.Rule, want)
		}
	}
	for _, want := range classes {
		t.Logf("%-14s is taken for %v", want, got[want])
	}
	t.Logf("%d of %d replies are understood", right, all)
	if right*100 < all*98 {
		t.Errorf("%d of %d replies are understood, which is less than 98 %%", right, all)
	}
}
