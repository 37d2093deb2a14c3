package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"mailblast/store"
)

// Loading the same list again, with one more row, a known one, a bad one, and one more column in front.
func testLoad(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 120)
	p.wantCounts(store.Counts{Queued: 120})
	snap := Snapshot
	snap.Columns = []string{"town", "email", "first name"}
	done := p.load(snap, Each([]store.Recipient{
		{Identity: "user0@example.com", Address: "USER0@example.com", Values: []string{"Wien", "", ""}},
		{Identity: "new@example.com", Address: "new@example.com", Values: []string{"Wien", "new@example.com", "Eva"}},
		{Identity: "invalid nonsense", Address: "nonsense", Invalid: "no @ in the address"},
	}))
	if done != (store.Loaded{Added: 2, Invalid: 1, Known: 1}) {
		t.Fatalf("%+v", done)
	}
	p.wantCounts(store.Counts{Queued: 121, Invalid: 1})
	c, err := p.queue.Campaign(t.Context(), "test")
	if want := []string{"email", "first name", "town"}; err != nil || !slices.Equal(c.Columns, want) {
		t.Errorf("columns %q, %v, want %q: stored rows are read by position", c.Columns, err, want)
	}
	jobs := p.claim(1000)
	if got := string(jobs[len(jobs)-1].Fields); got != `["new@example.com","Eva","Wien"]` {
		t.Errorf("fields %s", got)
	}
	if j := jobs[0]; j.Address != "user0@example.com" || j.Domain != "example.com" || !strings.HasSuffix(j.MessageID, "@example.com") || j.Attempt != 1 || j.Campaign != "test" {
		t.Errorf("job %+v", j)
	}
	ids := map[string]bool{}
	for _, j := range jobs {
		ids[j.MessageID] = true
	}
	if len(ids) != len(jobs) {
		t.Errorf("%d Message-IDs for %d messages", len(ids), len(jobs))
	}
}

// A list that breaks off leaves nothing behind: neither its rows nor the campaign.
func testLoadBrokenOff(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	broken := errors.New("broken row")
	next, n := List(1000), 0
	_, err := p.Load(t.Context(), Snapshot, false, func() (store.Recipient, error) {
		if n++; n > 500 {
			return store.Recipient{}, broken
		}
		return next()
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if all, err := p.queue.Campaigns(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	p.load(Snapshot, List(3))
	p.wantCounts(store.Counts{Queued: 3})
}

// Of a list whose rows are there already in part, wherever they stand in it, those that are new are counted, each as
// what it is.
func testLoadTwice(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	p.suppress("@example.net")
	snap := ordered("score", func(values []string) float64 {
		if values[1] == "?" {
			return math.Inf(1)
		}
		return 1
	})
	rows, half, want := someOfEach()
	for i, list := range [][]store.Recipient{half, rows, rows} {
		if done := p.load(snap, Each(list)); done != want[i] {
			t.Errorf("load %d: %+v, want %+v", i, done, want[i])
		}
	}
	if c := p.counts(); c.Total() != int64(len(rows)) {
		t.Errorf("%+v", c)
	}
	var lines []int
	for _, r := range p.rows() {
		if r.Line%3 > 0 {
			lines = append(lines, r.Line)
		}
	}
	if !slices.IsSorted(lines) || len(lines) != len(rows)-len(half) {
		t.Errorf("rows are not in the order of the list: %v", lines)
	}
}

// someOfEach are rows of all kinds, every third of them, and what loading those, then all, and then all again does.
func someOfEach() (rows, third []store.Recipient, want [3]store.Loaded) {
	for i := range 1777 {
		r := store.Recipient{Identity: fmt.Sprintf("user%d@example.com", i), Values: []string{"", "7"}, Line: i}
		of := &want[min(i%3, 1)]
		of.Added++
		switch {
		case i%7 == 0:
			r.Identity = fmt.Sprintf("user%d@example.net", i)
			of.Suppressed++
		case i%11 == 0:
			r.Invalid = "not an address"
			of.Invalid++
		case i%5 == 0:
			r.Values[1] = "?"
			of.Unranked++
		}
		r.Address = r.Identity
		rows = append(rows, r)
		if i%3 == 0 {
			third = append(third, r)
		}
	}
	want[1].Known, want[2].Known = int64(len(third)), int64(len(rows))
	return rows, third, want
}

// The snapshot is what was loaded last; once a message has left, a change of it takes a decision.
func testSnapshot(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 1)
	stored := func() store.Snapshot {
		t.Helper()
		snap, err := p.queue.Snapshot(t.Context(), "test")
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	if snap := stored(); string(snap.Source) != "name: test" || string(snap.Files["a.html"]) != "<p>" || snap.Files["empty.txt"] == nil ||
		snap.Path != Snapshot.Path || snap.MessageDomain != Snapshot.MessageDomain || snap.Durability != Snapshot.Durability {
		t.Fatalf("%+v", snap)
	}
	if source, err := p.queue.Source(t.Context(), "test"); string(source) != "name: test" || err != nil {
		t.Errorf("%q, %v", source, err)
	}
	changed := Snapshot
	changed.Files = map[string][]byte{"a.html": []byte("<h1>"), "empty.txt": {}, "new.png": {1}}
	p.load(changed, List(0)) // nothing has left, so a change is welcome
	p.begin(p.claim(1)...)
	var refused *store.ChangedError
	if _, err := p.Load(t.Context(), Snapshot, false, List(0)); !errors.As(err, &refused) || refused.Campaign != "test" || !slices.Equal(refused.What, []string{"a.html", "new.png"}) {
		t.Errorf("got %v", err)
	}
	if snap := stored(); string(snap.Files["a.html"]) != "<h1>" {
		t.Error("the refused snapshot was stored")
	}
	if _, err := p.Load(t.Context(), Snapshot, true, List(0)); err != nil {
		t.Error(err)
	}
	if snap := stored(); string(snap.Files["a.html"]) != "<p>" || len(snap.Files) != 2 {
		t.Errorf("accepted, but not stored: %v", snap.Files)
	}
}

func testPriority(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	snap := Snapshot
	for _, priority := range []int{5, -5} { // it is the last one that counts
		snap.Priority = priority
		p.load(snap, List(1))
		if c, err := p.queue.Campaign(t.Context(), "test"); err != nil || c.Priority != priority {
			t.Errorf("priority %d, %v", c.Priority, err)
		}
	}
}
