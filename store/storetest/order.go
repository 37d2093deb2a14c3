package storetest

import (
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"mailblast/store"
)

// ordered is the snapshot of a campaign with an order.
func ordered(order string, rank func([]string) float64) store.Snapshot {
	snap := Snapshot
	snap.Order, snap.Rank = order, rank
	return snap
}

// byName ranks rows by their second value; what is no number is the last.
func byName(values []string) float64 {
	n, err := strconv.ParseFloat(values[1], 64)
	if err != nil {
		return math.Inf(1)
	}
	return n
}

// named yields recipients whose addresses and second values are the names.
func named(names ...string) func() (store.Recipient, error) {
	var all []store.Recipient
	for _, name := range names {
		all = append(all, store.Recipient{Identity: name, Address: name + "@example.com", Values: []string{name, name}})
	}
	return Each(all)
}

func wantNames(t *testing.T, jobs []store.Job, want ...string) {
	t.Helper()
	var names []string
	for _, j := range jobs {
		names = append(names, j.Address[:len(j.Address)-len("@example.com")])
	}
	if !slices.Equal(names, want) {
		t.Errorf("claimed %q, want %q", names, want)
	}
}

// Rows are claimed by rank, equal ones as in the list, also those that came later; what was deferred is due when it is due.
func testOrder(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	by := ordered("name", byName)
	if done := p.load(by, named("30", "none", "10", "20", "20.0", "nil")); done.Unranked != 2 {
		t.Errorf("%+v", done)
	}
	first := p.claim(2)
	wantNames(t, first, "10", "20")
	p.load(by, named("25", "20", "5"))
	wantNames(t, p.claim(2), "5", "20.0")
	p.finish(store.Outcome{Job: first[0], State: store.Queued}, // as if it had not been claimed
		store.Outcome{Job: first[1], State: store.Queued, Due: time.Now().Add(-time.Minute), Kind: store.Deferred})
	wantNames(t, p.claim(2), "10", "25")
	wantNames(t, p.claim(10), "30", "none", "nil", "20")
}

// Before the first message has left another order takes the place of the first one; then it takes a decision.
func testOrderChanges(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	p.load(Snapshot, named("3", "1", "2"))
	snap := ordered("name", byName)
	snap.Columns = []string{"town", "first name", "email"} // the values are where they are in the queue
	p.load(snap, List(0))
	jobs := p.claim(1)
	wantNames(t, jobs, "1")
	p.begin(jobs...)
	back := ordered("", nil)
	back.Source = []byte("name: test\nfrom: changed")
	if _, err := p.Load(t.Context(), back, false, List(0)); err == nil {
		t.Error("the change was taken")
	}
	if _, err := p.Load(t.Context(), back, true, named("0")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, p.claim(10), "3", "2", "0")
}
